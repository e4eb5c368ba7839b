// Fourier transforms of a length that is known now, as products with matrices of cosines and sines; complex numbers and
// their parts.
#include <fmt/format.h>

#include <cmath>
#include <complex>
#include <limits>
#include <numbers>

#include "formats/savedmodel/ops/build.h"
#include "ir/numeric.h"
#include "ir/op_def.h"

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
ir::Ex Finite(OpContext& c, Value x) { return Op("is_finite", Ex(c, x)); }

/// A number times i is NaN where it is infinite: there the product is written out.
ir::Ex Complex(OpContext& c, Value re, Value im) {
  if (!c.b.ok()) return Ex(c, {});
  const DType dtype = ComplexOf(c.b.dtype(re));
  const ir::Ex product = Ex(c, c.b.Cast(im, dtype)) * Turn(c, dtype, 1);
  const double endless = std::numeric_limits<double>::infinity();
  const ir::Ex zero = Ex(c, c.b.Scalar(0, c.b.dtype(im))), up = Turn(c, dtype, endless),
               down = Turn(c, dtype, -endless);
  const ir::Ex none = Turn(c, dtype, std::numeric_limits<double>::quiet_NaN());
  const ir::Ex other = Select(Op("greater", Ex(c, im), zero), up, Select(Op("less", Ex(c, im), zero), down, none));
  return Ex(c, c.b.Cast(re, dtype)) + Select(Finite(c, im), product, other);
}

struct Parts {
  Value re, im;
};
/// What a value of Complex() was made of, so that no complex arithmetic stands between a transform and its magnitude.
std::optional<Parts> PartsOf(OpContext& c, Value x) {
  const ir::Graph& graph = c.b.graph();
  const auto made = [&](Value v, std::string_view op) {
    return v.valid() && graph.node(v).op->name == op ? &graph.node(v) : nullptr;
  };
  const ir::Node* sum = made(x, "add");
  const ir::Node* re = sum == nullptr ? nullptr : made(sum->inputs[0], "cast");
  const ir::Node* chosen = sum == nullptr ? nullptr : made(sum->inputs[1], "select");
  if (re == nullptr || chosen == nullptr) return std::nullopt;
  const ir::Node *finite = made(chosen->inputs[0], "is_finite"), *product = made(chosen->inputs[1], "multiply");
  const ir::Node* im = product == nullptr ? nullptr : made(product->inputs[0], "cast");
  const ir::Node* turn = product == nullptr ? nullptr : made(product->inputs[1], "constant");
  if (finite == nullptr || im == nullptr || turn == nullptr || finite->inputs[0] != im->inputs[0]) return std::nullopt;
  const auto times_i = [&](const ir::Node* node, double factor) {
    if (node == nullptr || node->attrs.Lit("value").size() != 1) return false;
    const std::complex<double> z = ir::ToComplex(node->attrs.Lit("value"))[0];
    return z.real() == 0 && (z.imag() == factor || (std::isnan(z.imag()) && std::isnan(factor)));
  };
  const auto compares = [&](Value v, std::string_view op) {
    const ir::Node* const node = made(v, op);
    return node != nullptr && node->inputs[0] == im->inputs[0];
  };
  constexpr double kEndless = std::numeric_limits<double>::infinity();
  const ir::Node* up = made(chosen->inputs[2], "select");
  const ir::Node* down = up == nullptr ? nullptr : made(up->inputs[2], "select");
  if (!times_i(turn, 1) || down == nullptr || !compares(up->inputs[0], "greater") ||
      !compares(down->inputs[0], "less") || !times_i(made(up->inputs[1], "constant"), kEndless) ||
      !times_i(made(down->inputs[1], "constant"), -kEndless) ||
      !times_i(made(down->inputs[2], "constant"), std::numeric_limits<double>::quiet_NaN()))
    return std::nullopt;  // a model may choose otherwise
  Parts parts{re->inputs[0], im->inputs[0]};
  const DType dtype = RealOf(c.b.dtype(x));
  if (c.b.dtype(parts.re) != dtype || c.b.dtype(parts.im) != dtype) return std::nullopt;
  if (!c.b.ranked(parts.re) || !c.b.ranked(parts.im) || !c.b.ranked(x)) return std::nullopt;
  if (c.shape(parts.re) != c.shape(parts.im)) parts = {c.b.BroadcastLike(parts.re, x), c.b.BroadcastLike(parts.im, x)};
  return parts;
}

ir::Ex Real(OpContext& c, Value x) {
  if (!c.b.ok()) return Ex(c, {});
  const std::optional<Parts> parts = PartsOf(c, x);
  return Ex(c, parts ? parts->re : c.b.Cast(x, RealOf(c.b.dtype(x))));
}

/// Where the real part is not finite a product with -i is NaN: of c64 the upper half of the bits says it there.
ir::Ex Imaginary(OpContext& c, Value x) {
  if (!c.b.ok()) return Ex(c, {});
  if (const std::optional<Parts> parts = PartsOf(c, x)) return Ex(c, parts->im);
  const DType dtype = c.b.dtype(x);
  const Value turned = c.b.Cast(Ex(c, x) * Turn(c, dtype, -1), RealOf(dtype));
  if (dtype != DType::kC64 || !c.b.ok()) return Ex(c, turned);
  const ir::Ex bits = Op("bitcast", Ex(c, x), {{"dtype", DType::kU64}});
  const ir::Ex upper = Op("floor_divide", bits, Ex(c, c.b.Scalar(0x1p32, DType::kU64)));
  const Value said = c.b.Add("bitcast", {c.b.Cast(upper, DType::kU32)}, {{"dtype", DType::kF32}});
  return Select(Finite(c, Real(c, x)), Ex(c, turned), Ex(c, said));
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
  const ir::Ex endless = Ex(c, c.b.Scalar(std::numeric_limits<double>::infinity(), c.b.dtype(a)));
  const ir::Ex infinite = Op("logical_or", Op("is_inf", a), Op("is_inf", b));
  c.Set(Select(infinite, endless, Select(none, zero, most * Op("sqrt", 1.0 + ratio * ratio))));
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
