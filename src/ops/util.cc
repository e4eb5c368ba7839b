#include "ops/util.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace tenon::ir::ops {
namespace {

bool IsUnsigned(DType t) { return is_integer(t) && !is_signed_integer(t); }

// The class in which inputs of this dtype are computed.
enum class Wide { kFloat, kInt, kUnsigned, kComplex };
Wide WideOf(DType t) {
  if (is_complex(t)) return Wide::kComplex;
  if (is_float(t)) return Wide::kFloat;
  return IsUnsigned(t) ? Wide::kUnsigned : Wide::kInt;
}

}  // namespace

Status EvalUnary(EvalContext& ctx, const UnaryFns& fns) {
  const Literal& x = ctx.in(0);
  const DType out = ctx.out_dtype();
  switch (WideOf(x.dtype())) {
    case Wide::kComplex: {
      if (fns.c == nullptr) return ctx.Fail("has no complex form");
      std::vector<std::complex<double>> v = ToComplex(x);
      for (auto& e : v) e = fns.c(e);
      ctx.Set(0, FromComplex(out, x.dims(), v));
      return {};
    }
    case Wide::kFloat: {
      if (fns.f == nullptr) return ctx.Fail("has no float form");
      std::vector<double> v = ToDoubles(x);
      for (double& e : v) e = fns.f(e);
      ctx.Set(0, FromDoubles(out, x.dims(), v));
      return {};
    }
    default: {
      if (fns.i == nullptr && fns.u == nullptr) {  // a float function of integers (is_nan, …)
        if (fns.f == nullptr) return ctx.Fail("has no integer form");
        std::vector<double> v = ToDoubles(x);
        for (double& e : v) e = fns.f(e);
        ctx.Set(0, FromDoubles(out, x.dims(), v));
        return {};
      }
      const bool use_unsigned = IsUnsigned(x.dtype()) && fns.u != nullptr;
      std::vector<std::int64_t> v = ToInts(x);
      for (std::int64_t& e : v)
        e = use_unsigned ? static_cast<std::int64_t>(fns.u(static_cast<std::uint64_t>(e))) : fns.i(e);
      ctx.Set(0, FromInts(out, x.dims(), v));
      return {};
    }
  }
}

Status EvalBinary(EvalContext& ctx, const BinaryFns& fns) {
  const Literal &x = ctx.in(0), &y = ctx.in(1);
  const std::vector<std::int64_t> dims = ctx.out_dims();
  const DType out = ctx.out_dtype();
  const std::vector<std::int64_t> xi = BroadcastIndices(x.dims(), dims), yi = BroadcastIndices(y.dims(), dims);
  const auto zip = [&](const auto& a, const auto& b, auto f) {
    using R = decltype(f(a[0], b[0]));
    std::vector<R> v(xi.size());
    for (std::size_t k = 0; k < v.size(); ++k)
      v[k] = f(a[static_cast<std::size_t>(xi[k])], b[static_cast<std::size_t>(yi[k])]);
    return v;
  };
  switch (WideOf(x.dtype())) {
    case Wide::kComplex:
      if (fns.c == nullptr) return ctx.Fail("has no complex form");
      ctx.Set(0, FromComplex(out, dims, zip(ToComplex(x), ToComplex(y), fns.c)));
      return {};
    case Wide::kFloat:
      if (fns.f == nullptr) return ctx.Fail("has no float form");
      ctx.Set(0, FromDoubles(out, dims, zip(ToDoubles(x), ToDoubles(y), fns.f)));
      return {};
    default: {
      if (fns.i == nullptr && fns.u == nullptr) return ctx.Fail("has no integer form");
      const bool use_unsigned = IsUnsigned(x.dtype()) && fns.u != nullptr;
      ctx.Set(0, FromInts(out, dims, zip(ToInts(x), ToInts(y), [&](std::int64_t a, std::int64_t b) {
                            return use_unsigned ? static_cast<std::int64_t>(fns.u(static_cast<std::uint64_t>(a),
                                                                                  static_cast<std::uint64_t>(b)))
                                                : fns.i(a, b);
                          })));
      return {};
    }
  }
}

std::vector<std::int64_t> Strides(std::span<const std::int64_t> dims) {
  std::vector<std::int64_t> strides(dims.size());
  std::int64_t s = 1;
  for (std::size_t i = dims.size(); i-- > 0;) {
    strides[i] = s;
    s *= dims[i];
  }
  return strides;
}

void ForEachIndex(std::span<const std::int64_t> dims, const std::function<void(std::span<const std::int64_t>)>& f) {
  for (const std::int64_t d : dims)
    if (d == 0) return;
  std::vector<std::int64_t> index(dims.size(), 0);
  for (;;) {
    f(index);
    std::size_t axis = dims.size();
    for (;;) {
      if (axis == 0) return;
      --axis;
      if (++index[axis] < dims[axis]) break;
      index[axis] = 0;
    }
  }
}

std::vector<std::int64_t> BroadcastIndices(std::span<const std::int64_t> in_dims, std::span<const std::int64_t> dims) {
  std::vector<std::int64_t> out;
  out.reserve(static_cast<std::size_t>(checked_size(dims).value()));
  std::vector<std::int64_t> steps(dims.size(), 0);
  const std::vector<std::int64_t> strides = Strides(in_dims);
  const std::size_t offset = dims.size() - in_dims.size();
  for (std::size_t i = 0; i < in_dims.size(); ++i) steps[offset + i] = in_dims[i] == 1 ? 0 : strides[i];
  ForEachIndex(dims, [&](std::span<const std::int64_t> index) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < index.size(); ++i) at += index[i] * steps[i];
    out.push_back(at);
  });
  return out;
}

Literal GatherElements(const Literal& in, std::vector<std::int64_t> dims, std::span<const std::int64_t> indices) {
  Literal out(in.dtype(), std::move(dims));
  if (in.dtype() == DType::kString) {
    std::vector<std::string>& target = out.mutable_strings();
    for (std::size_t i = 0; i < indices.size(); ++i)
      if (indices[i] >= 0) target[i] = in.strings()[static_cast<std::size_t>(indices[i])];
    return out;
  }
  const int bits = dtype_bits(in.dtype());
  const std::span<std::byte> target = out.mutable_raw();
  const std::span<const std::byte> source = in.raw();
  if (bits == 4) {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] < 0) continue;
      const auto from = static_cast<std::size_t>(indices[i]);
      const auto nibble = (std::to_integer<unsigned>(source[from / 2]) >> (from % 2 * 4)) & 15U;
      target[i / 2] |= static_cast<std::byte>(nibble << (i % 2 * 4));
    }
    return out;
  }
  const auto bytes = static_cast<std::size_t>(bits / 8);
  for (std::size_t i = 0; i < indices.size(); ++i)
    if (indices[i] >= 0)
      std::memcpy(target.data() + i * bytes, source.data() + static_cast<std::size_t>(indices[i]) * bytes, bytes);
  return out;
}

std::vector<Sample> UnarySamples(double low, double high, bool extremes) {
  std::vector<Sample> samples = {
      {.name = "basic", .inputs = {Random({2, 3, 5}, 1, low, high)}},
      {.name = "scalar", .inputs = {Random({}, 2, low, high)}},
      {.name = "empty", .inputs = {Random({0, 3}, 3, low, high)}},
      {.name = "long", .inputs = {Random({1031}, 4, low, high)}, .gradient = false},
  };
  constexpr double kInf = std::numeric_limits<double>::infinity();
  if (extremes)
    samples.push_back(
        {.name = "extremes",
         .inputs = {Values({10}, {0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30, kInf, -kInf, std::nan(""), 88.5})},
         .gradient = false,
         .only_f32 = true});
  return samples;
}

std::vector<Sample> BinarySamples(double low, double high, double low2, double high2) {
  return {
      {.name = "basic", .inputs = {Random({2, 3}, 1, low, high), Random({2, 3}, 2, low2, high2)}},
      {.name = "row", .inputs = {Random({4, 3}, 3, low, high), Random({3}, 4, low2, high2)}},
      {.name = "both", .inputs = {Random({4, 1}, 5, low, high), Random({2, 1, 3}, 6, low2, high2)}},
      {.name = "scalar", .inputs = {Random({}, 7, low, high), Random({2, 2}, 8, low2, high2)}},
      {.name = "empty", .inputs = {Random({0, 3}, 9, low, high), Random({1, 3}, 10, low2, high2)}},
      {.name = "long",
       .inputs = {Random({517, 3}, 11, low, high), Random({517, 3}, 12, low2, high2)},
       .gradient = false},
      {.name = "mismatch", .inputs = {Random({2, 3}, 13, low, high), Random({2, 4}, 14, low2, high2)}, .error = "c1"},
      {.name = "one_input", .inputs = {Random({2, 3}, 15, low, high)}, .error = "arity"},
  };
}

}  // namespace tenon::ir::ops
