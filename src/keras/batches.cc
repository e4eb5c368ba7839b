#include "keras/batches.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "eager/node.h"
#include "tensor/sole_owner.h"

namespace tenon::keras {
namespace {

// The rows [begin, end), sharing nothing.
Tensor Rows(const Tensor& t, std::int64_t begin, std::int64_t end) {
  const Literal& l = t.literal();
  std::vector<std::int64_t> dims = l.dims();
  const std::int64_t rows = dims[0];
  dims[0] = end - begin;
  if (l.dtype() == DType::kString) {
    const std::int64_t per = rows == 0 ? 0 : l.size() / rows;
    return Tensor(
        Literal::from_strings(std::move(dims), {l.strings().begin() + begin * per, l.strings().begin() + end * per}));
  }
  const std::size_t row = rows == 0 ? 0 : l.nbytes() / static_cast<std::size_t>(rows);
  Literal out = Literal::uninitialized(l.dtype(), std::move(dims));
  if (out.nbytes() > 0)
    std::memcpy(out.mutable_raw().data(), l.raw().data() + static_cast<std::size_t>(begin) * row, out.nbytes());
  return Tensor(std::move(out));
}

// A cache line at any address.
using Line = unsigned char __attribute__((vector_size(64), aligned(1), may_alias));
constexpr std::size_t kRowsAtOnce = 8;

// Eight rows of `bytes` whole lines, line by line; ahead, where wanted, are rows to come.
template <bool Ahead>
[[gnu::always_inline]] inline void CopyLines(const std::byte* const* rows, const std::byte* const* ahead,
                                             std::size_t bytes, std::size_t row, std::byte* to) {
  for (std::size_t b = 0; b < bytes; b += sizeof(Line))
    for (std::size_t j = 0; j < kRowsAtOnce; ++j) {
      *reinterpret_cast<Line*>(to + j * row + b) = *reinterpret_cast<const Line*>(rows[j] + b);
      if (Ahead) __builtin_prefetch(ahead[j] + b, 0, 2);
    }
}
using CopyLinesFn = void (*)(const std::byte* const* rows, const std::byte* const* ahead, std::size_t bytes,
                             std::size_t row, std::byte* to);
void CopyLinesPlain(const std::byte* const* rows, const std::byte* const* ahead, std::size_t bytes, std::size_t row,
                    std::byte* to) {
  CopyLines<false>(rows, ahead, bytes, row, to);  // with smaller loads, asking ahead costs more than it gives
}
#if defined(__x86_64__)
[[gnu::target("avx512f")]] void CopyLinesWide(const std::byte* const* rows, const std::byte* const* ahead,
                                              std::size_t bytes, std::size_t row, std::byte* to) {
  CopyLines<true>(rows, ahead, bytes, row, to);
}
CopyLinesFn FindCopyLines() { return __builtin_cpu_supports("avx512f") ? CopyLinesWide : CopyLinesPlain; }
#else
CopyLinesFn FindCopyLines() { return CopyLinesPlain; }
#endif

// Copies the rows `now` one after the other to `to`, and asks for the rows `next` (no more of them, perhaps fewer),
// which are then on their way to the cache while this batch is used. Rows lie anywhere in memory, so each one is a new
// page and a new stream: eight at a time, line by line, keep as many misses in flight as the core allows (half the time
// of a memcpy a row).
void GatherRows(const std::byte* from, std::size_t row, std::span<const std::uint32_t> now,
                std::span<const std::uint32_t> next, std::byte* to) {
  static const CopyLinesFn kCopyLines = FindCopyLines();
  const std::size_t lines = row / sizeof(Line) * sizeof(Line);
  std::size_t i = 0;
  for (; i + kRowsAtOnce <= now.size(); i += kRowsAtOnce) {
    const std::byte *rows[kRowsAtOnce], *ahead[kRowsAtOnce];
    for (std::size_t j = 0; j < kRowsAtOnce; ++j) {
      rows[j] = from + now[i + j] * row;
      ahead[j] = i + j < next.size() ? from + next[i + j] * row : rows[j];
    }
    kCopyLines(rows, ahead, lines, row, to + i * row);
    for (std::size_t j = 0; j < kRowsAtOnce && lines < row; ++j)
      std::memcpy(to + (i + j) * row + lines, rows[j] + lines, row - lines);
  }
  for (; i < now.size(); ++i) std::memcpy(to + i * row, from + now[i] * row, row);
}

}  // namespace

Batches::Batches(std::vector<Tensor> x, std::vector<Tensor> y, Tensor sample_weight, int batch_size)
    : x_(std::move(x)), y_(std::move(y)), sample_weight_(std::move(sample_weight)), batch_size_(batch_size) {
  if (batch_size <= 0)
    fail(Code::kInvalidArgument, "fit: got batch_size " + std::to_string(batch_size) + ", expected more than 0");
  bool first = true;
  const auto check = [&](const Tensor& t, const char* what) {
    const Literal& l = t.literal();
    if (l.rank() == 0)
      fail(Code::kInvalidArgument, std::string("fit: ") + what + " is a scalar, expected rows along axis 0");
    if (is_packed(l.dtype()))
      fail(Code::kInvalidArgument,
           std::string("fit: ") + what + " is " + std::string(dtype_name(l.dtype())) + ", cast it first");
    if (first) rows_ = l.dims()[0];
    first = false;
    if (l.dims()[0] != rows_)
      fail(Code::kInvalidArgument, std::string("fit: ") + what + " has " + std::to_string(l.dims()[0]) +
                                       " rows, expected " + std::to_string(rows_) + " as in the first input");
  };
  for (const Tensor& t : x_) check(t, "x");
  for (const Tensor& t : y_) check(t, "y");
  if (sample_weight_.defined()) check(sample_weight_, "sample_weight");
  if (rows_ == 0) fail(Code::kInvalidArgument, "fit: the data have no rows");
}

int Batches::count() const { return in_memory() ? static_cast<int>((rows_ + batch_size_ - 1) / batch_size_) : -1; }

void Batches::Reset(std::optional<std::uint64_t> shuffle_seed) {
  at_ = 0;
  if (!in_memory()) {
    next_ = start_();
    return;
  }
  order_.clear();
  if (!shuffle_seed) return;
  order_.resize(static_cast<std::size_t>(rows_));
  std::iota(order_.begin(), order_.end(), 0U);
  // Fisher-Yates over SplitMix64.
  std::uint64_t state = *shuffle_seed;
  for (std::size_t i = order_.size(); i > 1; --i) {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    // The high half of a 64x64 product: unbiased enough for any array in memory, no division.
    const auto j = static_cast<std::size_t>((static_cast<unsigned __int128>(z) * i) >> 64);
    std::swap(order_[i - 1], order_[j]);
  }
}

Tensor Batches::Gather(const Tensor& rows, std::int64_t begin, std::int64_t end, Literal& spare) const {
  if (order_.empty()) return Rows(rows, begin, end);
  const Literal& l = rows.literal();
  std::vector<std::int64_t> dims = l.dims();
  dims[0] = end - begin;
  if (l.dtype() == DType::kString) {
    const std::int64_t per = l.size() / rows_;
    std::vector<std::string> strings;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t from = order_[static_cast<std::size_t>(i)] * per;
      strings.insert(strings.end(), l.strings().begin() + from, l.strings().begin() + from + per);
    }
    return Tensor(Literal::from_strings(std::move(dims), std::move(strings)));
  }
  const std::size_t row = l.nbytes() / static_cast<std::size_t>(rows_);
  if (!IsSoleOwner(spare.buffer()) || spare.dtype() != l.dtype() || spare.dims() != dims)
    spare = Literal::uninitialized(l.dtype(), std::move(dims));
  const std::size_t first = static_cast<std::size_t>(begin), count = static_cast<std::size_t>(end - begin);
  const std::span<const std::uint32_t> order = order_;
  GatherRows(l.raw().data(), row, order.subspan(first, count),
             order.subspan(first + count, std::min(count, order.size() - first - count)), spare.mutable_raw().data());
  return Tensor(spare);
}

std::optional<DataArg::Batch> Batches::Next() {
  if (!in_memory()) return next_ ? next_() : std::nullopt;
  if (at_ >= rows_) return std::nullopt;
  const std::int64_t end = std::min(rows_, at_ + batch_size_);
  DataArg::Batch batch;
  spare_.resize(x_.size() + y_.size() + 1);
  std::size_t array = 0;
  for (const Tensor& t : x_) batch.x.push_back(Gather(t, at_, end, spare_[array++]));
  for (const Tensor& t : y_) batch.y.push_back(Gather(t, at_, end, spare_[array++]));
  if (sample_weight_.defined()) batch.sample_weight = Gather(sample_weight_, at_, end, spare_[array]);
  at_ = end;
  return batch;
}

std::pair<Batches, Batches> Batches::Split(std::int64_t at, int second_batch_size) const {
  const auto part = [&](std::int64_t begin, std::int64_t end, int size) {
    std::vector<Tensor> x, y;
    for (const Tensor& t : x_) x.push_back(Rows(t, begin, end));
    for (const Tensor& t : y_) y.push_back(Rows(t, begin, end));
    return Batches(std::move(x), std::move(y), sample_weight_.defined() ? Rows(sample_weight_, begin, end) : Tensor(),
                   size);
  };
  return {part(0, at, batch_size_), part(at, rows_, second_batch_size)};
}

}  // namespace tenon::keras
