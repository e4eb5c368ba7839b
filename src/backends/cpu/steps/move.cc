#include "backends/cpu/steps/move.h"

#include <algorithm>
#include <cstring>

#include "runtime/parallel.h"

namespace tenon::cpu {
namespace {

struct Pair64 {
  std::uint64_t a, b;
};

// The two innermost axes: rows x cols, where cols walks `out` by out_col and `in` by in_col.
template <class T>
void Plane(const T* in, T* out, std::int64_t rows, std::int64_t in_row, std::int64_t out_row, std::int64_t cols,
           std::int64_t in_col, std::int64_t out_col) {
  if (in_col == 1 && out_col == 1) {
    if (cols < 16) {
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < cols; ++c) out[r * out_row + c] = in[r * in_row + c];
      return;
    }
    for (std::int64_t r = 0; r < rows; ++r)
      std::memcpy(out + r * out_row, in + r * in_row, static_cast<std::size_t>(cols) * sizeof(T));
    return;
  }
  // In squares, so that the lines of both sides stay in the cache.
  constexpr std::int64_t kSquare =
      64 / static_cast<std::int64_t>(sizeof(T)) < 8 ? 8 : 64 / static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t r0 = 0; r0 < rows; r0 += kSquare) {
    const std::int64_t r1 = std::min(rows, r0 + kSquare);
    for (std::int64_t c0 = 0; c0 < cols; c0 += kSquare) {
      const std::int64_t c1 = std::min(cols, c0 + kSquare);
      for (std::int64_t r = r0; r < r1; ++r)
        for (std::int64_t c = c0; c < c1; ++c) out[r * out_row + c * out_col] = in[r * in_row + c * in_col];
    }
  }
}

template <class T>
void Typed(const Move& m, const T* in, T* out, int threads) {
  const std::size_t rank = m.dims.size();
  if (rank == 0) {
    *out = *in;
    return;
  }
  const std::size_t col = rank - 1;
  // The other inner axis: the one along which the source lies closest, so that both sides of a transpose are walked in
  // lines.
  std::size_t row = rank;
  for (std::size_t i = 0; i < col; ++i)
    if (row == rank || std::abs(m.from_strides[i]) <= std::abs(m.from_strides[row])) row = i;
  if (row != rank && m.from_strides[col] == 1) row = col - 1;
  const std::int64_t rows = row == rank ? 1 : m.dims[row];
  std::vector<std::size_t> outer;
  std::int64_t planes = 1, elements = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    elements *= m.dims[i];
    if (i == col || i == row) continue;
    outer.push_back(i);
    planes *= m.dims[i];
  }
  const int parts = elements < 65536 ? 1 : static_cast<int>(std::min<std::int64_t>(planes, 32));
  runtime::ForEachPart(threads, parts, [&](int part) {
    const std::int64_t begin = planes * part / parts, end = planes * (part + 1) / parts;
    for (std::int64_t p = begin; p < end; ++p) {
      std::int64_t rest = p, from = 0, to = 0;
      for (std::size_t k = outer.size(); k-- > 0;) {
        const std::int64_t at = rest % m.dims[outer[k]];
        rest /= m.dims[outer[k]];
        from += at * m.from_strides[outer[k]], to += at * m.to_strides[outer[k]];
      }
      Plane(in + from, out + to, rows, row == rank ? 0 : m.from_strides[row], row == rank ? 0 : m.to_strides[row],
            m.dims[col], m.from_strides[col], m.to_strides[col]);
    }
  });
}

}  // namespace

void Collapse(Move& m) {
  Move c{.input = m.input, .output = m.output, .from = m.from, .to = m.to};
  for (std::size_t i = 0; i < m.dims.size(); ++i) {
    if (m.dims[i] == 1) continue;
    if (!c.dims.empty() && c.from_strides.back() == m.from_strides[i] * m.dims[i] &&
        c.to_strides.back() == m.to_strides[i] * m.dims[i]) {
      c.dims.back() *= m.dims[i];
      c.from_strides.back() = m.from_strides[i], c.to_strides.back() = m.to_strides[i];
    } else {
      c.dims.push_back(m.dims[i]), c.from_strides.push_back(m.from_strides[i]), c.to_strides.push_back(m.to_strides[i]);
    }
  }
  m = std::move(c);
}

void RunMove(const Move& m, std::size_t element, const std::byte* in, std::byte* out, int threads) {
  switch (element) {
    case 1:
      return Typed(m, reinterpret_cast<const std::uint8_t*>(in), reinterpret_cast<std::uint8_t*>(out), threads);
    case 2:
      return Typed(m, reinterpret_cast<const std::uint16_t*>(in), reinterpret_cast<std::uint16_t*>(out), threads);
    case 4:
      return Typed(m, reinterpret_cast<const std::uint32_t*>(in), reinterpret_cast<std::uint32_t*>(out), threads);
    case 8:
      return Typed(m, reinterpret_cast<const std::uint64_t*>(in), reinterpret_cast<std::uint64_t*>(out), threads);
    default:
      return Typed(m, reinterpret_cast<const Pair64*>(in), reinterpret_cast<Pair64*>(out), threads);
  }
}

}  // namespace tenon::cpu
