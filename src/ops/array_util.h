// What the records of array ops share: dims that may be symbolic, shapes after a reduction, wide element types.
#pragma once
#include <complex>
#include <concepts>
#include <optional>
#include <vector>

#include "ops/util.h"

namespace tenon::ir::ops {

/// Known to be different (an unknown equality is left to run time).
inline bool Differ(const Dim& a, const Dim& b) { return Dim::equal(a, b) == Truth::kNo; }
/// Of two dims that must be equal: the number, when one of them is one.
inline Dim Merge(const Dim& a, const Dim& b) { return a.is_symbolic() ? b : a; }
/// Known to be below / above the other: a negative difference, when it is a number.
bool KnownLess(const Dim& a, const Dim& b);
/// A shape of that many dims that only the data decide.
Shape FreshShape(const InferContext& ctx, std::size_t rank);
/// How many elements lie along `axes` of x (all axes when empty): a rank-0 value of x's dtype. A constant when the dims
/// are numbers. Works with symbolic dims and unknown rank.
Ex CountAlong(Ex x, const std::vector<std::int64_t>& axes);
/// x in f32 when it is f16 or bf16, else x itself: what sums and squares are made in.
Ex AtLeastF32(Ex x);
/// The dims of x as an i64 vector.
Ex ShapeOf(Ex x);
/// A constant i64 vector.
Ex Vector(Builder& b, const std::vector<std::int64_t>& values);
/// Zeros of those dims.
Ex Zeros(Builder& b, DType dtype, Shape dims);
/// expand_dims and squeeze with fixed axes; the value itself when there are none.
Ex ExpandDims(Ex x, std::vector<std::int64_t> axes);
Ex Squeeze(Ex x, std::vector<std::int64_t> axes);
/// `dims` with 1 in place of those axes.
std::vector<std::int64_t> Kept(std::vector<std::int64_t> dims, const std::vector<int>& axes);
/// `axes` as 0..rank-1, unchecked (after inference); every axis when empty and `all`.
std::vector<int> NormalAxes(const std::vector<std::int64_t>& axes, int rank, bool all);
inline int NormalAxis(std::int64_t axis, int rank) { return static_cast<int>(axis < 0 ? axis + rank : axis); }
inline std::size_t Size(std::int64_t n) { return static_cast<std::size_t>(n); }
std::int64_t Product(std::span<const std::int64_t> dims);
/// The product of the dims before, at and after an axis: an array as [outer, axis, inner].
struct Around {
  std::int64_t outer = 1, count = 1, inner = 1;
};
Around SplitAt(std::span<const std::int64_t> dims, int axis);
/// Sets output i to `type` with that symbolic value when it is known.
inline void SetWithValue(InferContext& ctx, int i, Type type, SymbolicValue value) {
  ctx.Set(i, std::move(type));
  if (value) ctx.SetValue(i, *std::move(value));
}
/// The known elements of input i, when all are numbers.
std::optional<std::vector<std::int64_t>> KnownInts(const InferContext& ctx, int i);

/// The elements in the wide type of their class: f64, i64, u64 or c128.
template <class T>
std::vector<T> LoadAs(const Literal& x) {
  if constexpr (std::same_as<T, double>) return ToDoubles(x);
  if constexpr (std::same_as<T, std::int64_t>) return ToInts(x);
  if constexpr (std::same_as<T, std::complex<double>>) return ToComplex(x);
  if constexpr (std::same_as<T, std::uint64_t>) {
    const std::vector<std::int64_t> bits = ToInts(x);
    return {bits.begin(), bits.end()};
  }
}
template <class T>
Literal StoreAs(DType dtype, std::vector<std::int64_t> dims, const std::vector<T>& values) {
  if constexpr (std::same_as<T, double>) return FromDoubles(dtype, std::move(dims), values);
  if constexpr (std::same_as<T, std::int64_t>) return FromInts(dtype, std::move(dims), values);
  if constexpr (std::same_as<T, std::complex<double>>) return FromComplex(dtype, std::move(dims), values);
  if constexpr (std::same_as<T, std::uint64_t>)
    return FromInts(dtype, std::move(dims), std::vector<std::int64_t>(values.begin(), values.end()));
}
/// Calls f with a zero of the wide type of that dtype's class (bool counts as a signed integer).
template <class F>
decltype(auto) VisitWide(DType dtype, F&& f) {
  if (is_complex(dtype)) return f(std::complex<double>());
  if (is_float(dtype)) return f(double());
  if (is_integer(dtype) && !is_signed_integer(dtype)) return f(std::uint64_t());
  return f(std::int64_t());
}
/// Sum, difference and product; integers wrap.
template <class T>
T Plus(T a, T b) {
  if constexpr (std::same_as<T, std::int64_t>)
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  else
    return a + b;
}
template <class T>
T Times(T a, T b) {
  if constexpr (std::same_as<T, std::int64_t>)
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  else
    return a * b;
}

}  // namespace tenon::ir::ops
