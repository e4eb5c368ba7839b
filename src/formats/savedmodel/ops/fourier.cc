// Fourier transforms of a length that is known now, as products with matrices of cosines and sines; complex numbers and
// their parts.
#include <fmt/format.h>

#include <cmath>
#include <complex>
#include <numbers>

#include "formats/savedmodel/ops/build.h"
#include "ir/numeric.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Ints = std::vector<std::int64_t>;

constexpr std::int64_t kMostLength = 8192;

DType RealOf(DType complex) { return complex == DType::kC128 ? DType::kF64 : DType::kF32; }
DType ComplexOf(DType real) { return real == DType::kF64 ? DType::kC128 : DType::kC64; }

ir::Ex Turn(OpContext& c, DType dtype, double imaginary) {
  return Ex(c, c.b.Constant(ir::FromComplex(dtype, {}, {std::complex<double>(0, imaginary)})));
}
ir::Ex Real(OpContext& c, Value x) { return Ex(c, c.b.Cast(x, RealOf(c.b.dtype(x)))); }
ir::Ex Imaginary(OpContext& c, Value x) { return Real(c, Ex(c, x) * Turn(c, c.b.dtype(x), -1)); }
ir::Ex Complex(OpContext& c, Value re, Value im) {
  if (!c.b.ok()) return Ex(c, {});
  const DType dtype = ComplexOf(c.b.dtype(re));
  return Ex(c, c.b.Cast(re, dtype)) + Ex(c, c.b.Cast(im, dtype)) * Turn(c, dtype, 1);
}

Status RealPart(OpContext& c) {
  const Value x = c.in(0);
  if (c.b.ok()) c.Set(is_complex(c.b.dtype(x)) ? Real(c, x) : Ex(c, x));
  return {};
}
Status ImaginaryPart(OpContext& c) {
  const Value x = c.in(0);
  if (c.b.ok()) c.Set(is_complex(c.b.dtype(x)) ? Imaginary(c, x) : Ex(c, c.b.ZerosLike(x)));
  return {};
}
Status MakeComplex(OpContext& c) {
  const Value re = c.in(0), im = c.in(1);
  c.Set(Complex(c, re, im));
  return {};
}
Status Conjugate(OpContext& c) {
  const Value x = c.in(0);
  if (!c.b.ok()) return {};
  c.Set(is_complex(c.b.dtype(x)) ? Complex(c, Real(c, x), -Imaginary(c, x)) : Ex(c, x));
  return {};
}
/// The length of the vector, by its larger part: squares do not overflow.
Status Magnitude(OpContext& c) {
  const Value x = c.in(0);
  if (!c.b.ok()) return {};
  const ir::Ex a = Op("abs", Real(c, x)), b = Op("abs", Imaginary(c, x));
  const ir::Ex most = Op("maximum", a, b), least = Op("minimum", a, b);
  const ir::Ex zero = Ex(c, c.b.Scalar(0, c.b.dtype(a))), none = Op("equal", most, zero);
  const ir::Ex ratio = least / Select(none, Ex(c, c.b.OnesLike(most)), most);
  c.Set(Select(none, zero, most * Op("sqrt", 1.0 + ratio * ratio)));
  return {};
}
Status Angle(OpContext& c) {
  const Value x = c.in(0);
  if (c.b.ok()) c.Set(c.b.Add("atan2", {Imaginary(c, x), Real(c, x)}));
  return {};
}

enum class Weight {
  kOne,
  kMean,  // 1 / length
  kHalf,  // the same of half a spectrum: rows that stand for their mirror image too count twice
};

/// [rows, columns] of the weight of the row times sin (or cos) of 2 pi row column / length.
template <class T>
Literal Wave(std::int64_t length, std::int64_t rows, std::int64_t columns, Weight weight, bool sine) {
  std::vector<double> turn;
  for (std::int64_t k = 0; k < length; ++k) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(length);
    turn.push_back(sine ? std::sin(angle) : std::cos(angle));
  }
  Literal made = Literal::uninitialized(DTypeOf<T>::value, {rows, columns});
  const std::span<T> out = made.mutable_data<T>();
  for (std::int64_t i = 0; i < rows; ++i) {
    const bool twice = weight == Weight::kHalf && i != 0 && 2 * i != length;
    const double scale = weight == Weight::kOne ? 1 : (twice ? 2.0 : 1.0) / static_cast<double>(length);
    for (std::int64_t k = 0; k < columns; ++k)
      out[static_cast<std::size_t>(i * columns + k)] =
          static_cast<T>(turn[static_cast<std::size_t>(i * k % length)] * scale);
  }
  return made;
}

struct Waves {
  Value cosine, sine;
};
/// The two constants; all nodes that take the same ones share them.
Waves MakeWaves(OpContext& c, std::int64_t length, std::int64_t rows, std::int64_t columns, DType dtype,
                Weight weight) {
  const bool wide = dtype == DType::kF64;
  const auto bytes = static_cast<std::size_t>(2 * rows * columns * (wide ? 8 : 4));
  const std::string key = fmt::format("waves {} {} {} {} {}", length, rows, columns, wide, static_cast<int>(weight));
  const auto wave = [&](bool sine) {
    return wide ? Wave<double>(length, rows, columns, weight, sine) : Wave<float>(length, rows, columns, weight, sine);
  };
  const Result<std::vector<Literal>> made =
      c.t.Shared(key, bytes, [&] { return std::vector<Literal>{wave(false), wave(true)}; });
  if (!made.ok()) {
    c.b.SetStatus(made.status());
    return {};
  }
  return {c.b.Constant((*made)[0]), c.b.Constant((*made)[1])};
}

ir::Ex Times(OpContext& c, Value x, Value waves) { return Ex(c, c.b.Add("matmul", {x, waves})); }

/// The last axis cut or filled up with zeros to that length.
Value Fitted(OpContext& c, Value x, std::int64_t length) {
  const int rank = c.rank(x);
  if (rank < 1) return {};
  const Dim have = c.shape(x)[rank - 1];
  if (have == Dim(length)) return x;
  std::vector<Dim> none(static_cast<std::size_t>(rank), Dim(0)), more = none;
  more.back() = Dim::max(Dim(length) - have, 0);
  if (more.back() != Dim(0)) x = c.b.Add("pad", {x}, {{"low", Shape(none)}, {"high", Shape(more)}});
  return SliceAxis(c, x, rank - 1, 0, length);
}

/// RFFT and IRFFT: the length is an input.
Status RealTransform(OpContext& c) {
  const Value x = c.in(0);
  const std::int64_t length = c.integer(1);
  if (!c.b.ok()) return {};
  if (length < 1 || length > kMostLength) return c.Unsupported(fmt::format("a transform of length {}", length));
  const std::int64_t bins = length / 2 + 1;
  if (c.node.op == "RFFT") {
    const Value signal = Fitted(c, x, length);
    if (!c.b.ok()) return {};
    const Waves w = MakeWaves(c, length, length, bins, c.b.dtype(x), Weight::kOne);
    c.Set(Complex(c, Times(c, signal, w.cosine), -Times(c, signal, w.sine)));
    return {};
  }
  // What half a spectrum leaves out mirrors the rest; the bins of mean and fastest wave are real.
  const Value re = Fitted(c, Real(c, x), bins), im = Fitted(c, Imaginary(c, x), bins);
  if (!c.b.ok()) return {};
  const Waves w = MakeWaves(c, length, bins, length, c.b.dtype(re), Weight::kHalf);
  c.Set(Times(c, re, w.cosine) - Times(c, im, w.sine));
  return {};
}

/// FFT and IFFT over the last axis, whose size must be known.
Status Transform(OpContext& c) {
  const Value x = c.in(0);
  const int rank = c.rank(x);
  if (rank < 1) return c.Fail("expected rank 1 or more");
  const std::int64_t length = c.shape(x)[rank - 1].try_value().value_or(0);
  if (length < 1 || length > kMostLength)
    return c.Unsupported(fmt::format("a transform of length {}", c.shape(x)[rank - 1].to_string()));
  const bool inverse = c.node.op == "IFFT";
  const ir::Ex re = Real(c, x), im = Imaginary(c, x);
  const Waves w = MakeWaves(c, length, length, length, c.b.dtype(re), inverse ? Weight::kMean : Weight::kOne);
  const ir::Ex a = Times(c, re, w.cosine), b = Times(c, im, w.sine), d = Times(c, im, w.cosine),
               e = Times(c, re, w.sine);
  c.Set(inverse ? Complex(c, a - b, d + e) : Complex(c, a + b, d - e));
  return {};
}

constexpr Rule kRules[] = {
    {"Real", RealPart},        {"Imag", ImaginaryPart}, {"Complex", MakeComplex}, {"Conj", Conjugate},
    {"ComplexAbs", Magnitude}, {"Angle", Angle},        {"RFFT", RealTransform},  {"IRFFT", RealTransform},
    {"FFT", Transform},        {"IFFT", Transform},
};

}  // namespace

std::span<const Rule> FourierRules() { return kRules; }

}  // namespace tenon::savedmodel
