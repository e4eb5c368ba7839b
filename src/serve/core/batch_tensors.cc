#include "serve/core/batch_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace tenon::serve {
namespace {

constexpr int kMaxPaddedRank = 6;
/// What padding may add to tensors: so many bytes, and so many for each byte that was sent.
constexpr double kPadBytes = 64 << 20, kPadTimes = 16;

bool SameRows(const Literal& a, const Literal& b) {
  return a.rank() == b.rank() && std::equal(a.dims().begin() + 1, a.dims().end(), b.dims().begin() + 1);
}

/// Bytes of so many elements, of texts without what they hold.
double Bytes(DType dtype, std::int64_t count) {
  return static_cast<double>(count) * (dtype == DType::kString ? sizeof(std::string) : dtype_bits(dtype) / 8.0);
}

/// The tensor with its dims beyond the first grown to `dims`, the new places filled with its first element.
Literal Padded(const Literal& tensor, const std::vector<std::int64_t>& row_dims) {
  std::vector<std::int64_t> dims = {tensor.dims()[0]};
  dims.insert(dims.end(), row_dims.begin(), row_dims.end());
  if (dims == tensor.dims() || tensor.size() == 0)
    return dims == tensor.dims() ? tensor : Literal(tensor.dtype(), dims);
  const std::int64_t line = tensor.dims().back(), new_line = dims.back();
  const bool text = tensor.dtype() == DType::kString;
  Literal out(tensor.dtype(), dims);
  const std::size_t width = text ? 0 : tensor.nbytes() / static_cast<std::size_t>(tensor.size());
  std::byte* to = text ? nullptr : out.mutable_raw().data();
  const std::byte* from = text ? nullptr : tensor.raw().data();
  if (text) {
    std::ranges::fill(out.mutable_strings(), tensor.strings()[0]);
  } else {
    for (std::int64_t i = 0; i < out.size(); ++i) std::memcpy(to + static_cast<std::size_t>(i) * width, from, width);
  }
  // Line by line: the index of a line in the old tensor, counted through all dims but the last.
  std::vector<std::int64_t> at(dims.size() - 1, 0);
  const std::int64_t lines = line == 0 ? 0 : tensor.size() / line;
  for (std::int64_t l = 0; l < lines; ++l) {
    std::int64_t target = 0;
    for (std::size_t d = 0; d < at.size(); ++d) target = target * dims[d] + at[d];
    if (text)
      std::copy_n(tensor.strings().begin() + l * line, line, out.mutable_strings().begin() + target * new_line);
    else
      std::memcpy(to + static_cast<std::size_t>(target * new_line) * width,
                  from + static_cast<std::size_t>(l * line) * width, static_cast<std::size_t>(line) * width);
    for (std::size_t d = at.size(); d-- > 0;) {
      if (++at[d] < tensor.dims()[d]) break;
      at[d] = 0;
    }
  }
  return out;
}

}  // namespace

Result<Literal> JoinRows(std::span<const Literal* const> tensors, std::int64_t padding, bool pad_variable,
                         std::string_view name) {
  std::vector<Literal> padded;
  std::vector<const Literal*> parts(tensors.begin(), tensors.end());
  const Literal& first = *parts[0];
  if (!std::ranges::all_of(parts, [&](const Literal* t) { return SameRows(*t, first); })) {
    const bool same_rank = std::ranges::all_of(parts, [&](const Literal* t) { return t->rank() == first.rank(); });
    if (!pad_variable || !same_rank || first.rank() > kMaxPaddedRank)
      return Status(Code::kFailedPrecondition,
                    fmt::format("Tensors with name '{}' from different tasks have different shapes and padding is "
                                "turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with "
                                "the same name have equal dimensions starting with the first dim.",
                                name));
    std::vector<std::int64_t> dims(first.dims().begin() + 1, first.dims().end());
    for (const Literal* t : parts)
      for (std::size_t d = 0; d < dims.size(); ++d) dims[d] = std::max(dims[d], t->dims()[d + 1]);
    double sent = 0;
    std::vector<std::int64_t> all = {padding};
    for (const Literal* t : parts) {
      sent += Bytes(first.dtype(), t->size());
      all[0] += t->dims()[0];
    }
    all.insert(all.end(), dims.begin(), dims.end());
    const Result<std::int64_t> count = checked_size(all);
    if (!count.ok() || Bytes(first.dtype(), *count) > kPadBytes + kPadTimes * sent)
      return Status(Code::kFailedPrecondition,
                    fmt::format("Tensors with name '{}' from different tasks are not padded to {}: that takes too much "
                                "memory for the {} bytes that they have.",
                                name, Shape(all).to_string(), sent));
    padded.reserve(parts.size());
    for (const Literal*& t : parts) t = &padded.emplace_back(Padded(*t, dims));
  }
  std::int64_t rows = padding;
  for (const Literal* t : parts) rows += t->dims()[0];
  std::vector<std::int64_t> dims = parts[0]->dims();
  dims[0] = rows;
  const Literal& last = *parts.back();
  if (first.dtype() == DType::kString) {
    std::vector<std::string> strings;
    for (const Literal* t : parts) strings.insert(strings.end(), t->strings().begin(), t->strings().end());
    const auto row = static_cast<std::size_t>(last.dims()[0] > 0 ? last.size() / last.dims()[0] : 0);
    for (std::int64_t i = 0; i < padding; ++i)
      strings.insert(strings.end(), last.strings().begin(), last.strings().begin() + static_cast<std::ptrdiff_t>(row));
    return Literal::from_strings(std::move(dims), std::move(strings));
  }
  const Result<std::size_t> bytes = checked_bytes(first.dtype(), dims);
  if (!bytes.ok()) return bytes.status();
  Literal out = Literal::uninitialized(first.dtype(), std::move(dims));
  std::byte* to = out.mutable_raw().data();
  for (const Literal* t : parts) {
    if (t->nbytes() > 0) std::memcpy(to, t->raw().data(), t->nbytes());
    to += t->nbytes();
  }
  const std::size_t row = last.dims()[0] > 0 ? last.nbytes() / static_cast<std::size_t>(last.dims()[0]) : 0;
  for (std::int64_t i = 0; i < padding && row > 0; ++i, to += row) std::memcpy(to, last.raw().data(), row);
  return out;
}

Literal Rows(const Literal& tensor, std::int64_t from, std::int64_t count) {
  if (from == 0 && count == tensor.dims()[0]) return tensor;
  std::vector<std::int64_t> dims = tensor.dims();
  const std::int64_t elements = dims[0] > 0 ? tensor.size() / dims[0] : 0;
  const auto whole = static_cast<std::size_t>(dims[0]);
  dims[0] = count;
  if (tensor.dtype() == DType::kString) {
    const auto begin = tensor.strings().begin() + from * elements;
    return Literal::from_strings(std::move(dims), {begin, begin + count * elements});
  }
  const std::size_t row = whole > 0 ? tensor.nbytes() / whole : 0;
  Literal out = Literal::uninitialized(tensor.dtype(), std::move(dims));
  if (row > 0 && count > 0)
    std::memcpy(out.mutable_raw().data(), tensor.raw().data() + static_cast<std::size_t>(from) * row,
                static_cast<std::size_t>(count) * row);
  return out;
}

Status NoMemoryForRows(const std::exception& error) {
  return Status(Code::kResourceExhausted, std::string("batch: no memory for the rows of a request: ") + error.what());
}

Result<std::vector<Literal>> CutRows(std::span<const Literal> tensors, std::int64_t from, std::int64_t rows) {
  try {
    std::vector<Literal> own;
    for (const Literal& tensor : tensors) own.push_back(Rows(tensor, from, rows));
    return own;
  } catch (const std::exception& error) {
    return NoMemoryForRows(error);
  }
}

Result<std::int64_t> BatchRows(std::span<const Literal> inputs) {
  if (inputs.empty())
    return Status(Code::kInvalidArgument, "Batching session Run() must have at least one input tensor");
  for (const Literal& input : inputs) {
    if (input.rank() == 0)
      return Status(Code::kInvalidArgument, "Batching session Run() input tensors must have at least one dimension");
    if (input.dims()[0] != inputs[0].dims()[0])
      return Status(Code::kInvalidArgument, "Batching session Run() input tensors must have equal 0th-dimension size");
  }
  return inputs[0].dims()[0];
}

}  // namespace tenon::serve
