// Elementwise arithmetic of two inputs. Integers wrap; nothing promotes.
#include "ops/binary.h"

#include <cmath>
#include <limits>

namespace tenon::ir::ops {
namespace {

using Complex = std::complex<double>;
using Int = std::int64_t;
using UInt = std::uint64_t;

constexpr Int Wrap(UInt x) { return static_cast<Int>(x); }
Int AddInt(Int x, Int y) { return Wrap(static_cast<UInt>(x) + static_cast<UInt>(y)); }
Int SubtractInt(Int x, Int y) { return Wrap(static_cast<UInt>(x) - static_cast<UInt>(y)); }
Int MultiplyInt(Int x, Int y) { return Wrap(static_cast<UInt>(x) * static_cast<UInt>(y)); }

// Division by zero gives 0; the lowest integer divided by -1 wraps to itself.
Int DivideInt(Int x, Int y) { return y == 0 ? 0 : y == -1 ? SubtractInt(0, x) : x / y; }
UInt DivideUInt(UInt x, UInt y) { return y == 0 ? 0 : x / y; }
Int RemainderInt(Int x, Int y) {
  if (y == 0 || y == -1) return 0;
  const Int r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}
UInt RemainderUInt(UInt x, UInt y) { return y == 0 ? 0 : x % y; }
Int FloorDivideInt(Int x, Int y) {
  const Int q = DivideInt(x, y);
  return y != 0 && y != -1 && x % y != 0 && (x < 0) != (y < 0) ? q - 1 : q;
}

double Remainder(double x, double y) {
  const double r = std::fmod(x, y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}
// Python's: exact where the rounded quotient x / y would cross a whole number.
double FloorDivide(double x, double y) {
  if (y == 0) return x / y;
  const double r = std::fmod(x, y);
  double q = (x - r) / y;
  if (r != 0 && (r < 0) != (y < 0)) q -= 1;
  if (q == 0 || std::isnan(q)) return q;
  const double whole = std::floor(q);
  return q - whole > 0.5 ? whole + 1 : whole;
}

UInt PowerUInt(UInt x, UInt y) {
  UInt out = 1;
  for (; y != 0; y >>= 1, x *= x)
    if ((y & 1U) != 0) out *= x;
  return out;
}
// A negative exponent truncates 1 / x^|y| toward zero, which leaves only the powers of 1 and -1 (and 0 for 0).
Int PowerInt(Int x, Int y) {
  if (y >= 0) return Wrap(PowerUInt(static_cast<UInt>(x), static_cast<UInt>(y)));
  if (x == 1) return 1;
  if (x == -1) return y % 2 == 0 ? 1 : -1;
  return 0;
}

// NaN wins.
double Maximum(double x, double y) { return std::isnan(x) || x > y ? x : y; }
double Minimum(double x, double y) { return std::isnan(x) || x < y ? x : y; }

// y x^(y-1), and 0 where y is 0, also at x = 0; x^y ln x, and 0 where x <= 0.
Ex PowerGradX(Ex d, Ex x, Ex y, Ex) {
  const Ex zero_y = Op("equal", y, y.b->operator()(y.b->ZerosLike(y)));
  const Ex exponent = Select(zero_y, y.b->operator()(y.b->OnesLike(y)), y - 1);
  return d * y * Op("power", x, exponent);
}
Ex PowerGradY(Ex d, Ex x, Ex, Ex z) {
  const Ex positive = Op("greater", x, x.b->operator()(x.b->ZerosLike(x)));
  const Ex log = Op("log", Select(positive, x, x.b->operator()(x.b->OnesLike(x))));
  return d * z * log;
}

Ex Where(Ex condition, Ex d) { return Select(condition, d, d.b->operator()(d.b->ZerosLike(d))); }

template <double Low2, double High2>
std::vector<Sample> Samples() {
  return BinarySamples(kLow, kHigh, Low2, High2);
}
std::vector<Sample> ArithmeticSamples() {
  std::vector<Sample> samples = BinarySamples(kLow, kHigh, kLow2, kHigh2);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  samples.push_back({.name = "extremes",
                     .inputs = {Values({7}, {0.0, 1e30, -1e30, kInf, kInf, std::nan(""), 1e-38}),
                                Values({7}, {0.0, 1e30, 1e-30, -kInf, 2, 1, 1e-2})},
                     .gradient = false,
                     .only_f32 = true});
  samples.push_back({.name = "mixed", .inputs = {Random({2}), Ints({2}, {1, 2})}, .error = "dtype"});
  return samples;
}
std::vector<Sample> DivideSamples() {
  std::vector<Sample> samples = BinarySamples(kLow, kHigh, 0.5, 3);
  samples.push_back({.name = "integers",
                     .inputs = {Ints({7}, {7, -7, 7, -7, 6, 5, 0}), Ints({7}, {2, 2, -2, -2, 3, 0, 4})},
                     .gradient = false});
  samples.push_back({.name = "floats",
                     .inputs = {Values({7}, {7, -7, 7, -7, 6, 5, 0.3}), Values({7}, {2, 2, -2, -2, 3, 0, 0.1})},
                     .gradient = false});
  return samples;
}
std::vector<Sample> PowerSamples() {
  std::vector<Sample> samples = BinarySamples(0.25, 3, kLow2, kHigh2);
  samples.push_back({.name = "special",
                     .inputs = {Values({8}, {0, 0, -2, -2, -1, 4, 0, -8}), Values({8}, {0, 2, 3, -2, 0.5, 0.5, -1, 2})},
                     .gradient = false,
                     .only_f32 = true});
  samples.push_back(
      {.name = "square_of_zero", .inputs = {Values({3}, {0, 2, -3}), Values({}, {2})}, .gradient = false});
  samples.push_back({.name = "integers",
                     .inputs = {Ints({8}, {2, -2, 3, 0, 0, 1, -1, 5}), Ints({8}, {10, 3, 0, 0, 2, -1, -3, -2})},
                     .gradient = false});
  return samples;
}

constinit const OpDef kOps[] = {
    BinaryOp({.name = "add",
              .summary = "z = x + y.",
              .traits = kExact | kCommutative,
              .eval =
                  [](EvalContext& ctx) {
                    return EvalBinary(ctx, {.f = [](double x, double y) { return x + y; },
                                            .i = AddInt,
                                            .c = [](Complex x, Complex y) { return x + y; }});
                  },
              .grad = Grad2<[](Ex d, Ex, Ex, Ex) { return d; }, [](Ex d, Ex, Ex, Ex) { return d; }>,
              .samples = ArithmeticSamples,
              .names = {.onnx = "Add", .tf = "AddV2", .keras = "Add", .torch = "aten.add.Tensor"}}),
    BinaryOp({.name = "subtract",
              .summary = "z = x - y.",
              .traits = kExact,
              .eval =
                  [](EvalContext& ctx) {
                    return EvalBinary(ctx, {.f = [](double x, double y) { return x - y; },
                                            .i = SubtractInt,
                                            .c = [](Complex x, Complex y) { return x - y; }});
                  },
              .grad = Grad2<[](Ex d, Ex, Ex, Ex) { return d; }, [](Ex d, Ex, Ex, Ex) { return -d; }>,
              .samples = ArithmeticSamples,
              .names = {.onnx = "Sub", .tf = "Sub", .keras = "Subtract", .torch = "aten.sub.Tensor"}}),
    BinaryOp({.name = "multiply",
              .summary = "z = x * y.",
              .traits = kExact | kCommutative,
              .eval =
                  [](EvalContext& ctx) {
                    return EvalBinary(ctx, {.f = [](double x, double y) { return x * y; },
                                            .i = MultiplyInt,
                                            .c = [](Complex x, Complex y) { return x * y; }});
                  },
              .grad = Grad2<[](Ex d, Ex, Ex y, Ex) { return d * y; }, [](Ex d, Ex x, Ex, Ex) { return d * x; }>,
              .samples = ArithmeticSamples,
              .names = {.onnx = "Mul", .tf = "Mul", .keras = "Multiply", .torch = "aten.mul.Tensor"}}),
    BinaryOp(
        {.name = "divide",
         .summary = "z = x / y. Integers truncate toward zero, and give 0 for y = 0.",
         .traits = kExact | kIntegersAsFloat,
         .eval =
             [](EvalContext& ctx) {
               return EvalBinary(ctx, {.f = [](double x, double y) { return x / y; },
                                       .i = DivideInt,
                                       .u = DivideUInt,
                                       .c = [](Complex x, Complex y) { return x / y; }});
             },
         .grad = Grad2<[](Ex d, Ex, Ex y, Ex) { return d / y; }, [](Ex d, Ex, Ex y, Ex z) { return -(d * (z / y)); }>,
         .samples = DivideSamples,
         .names = {.onnx = "Div"}}),
    BinaryOp(
        {.name = "floor_divide",
         .summary = "z = floor(x / y), as Python's //. Integers give 0 for y = 0.",
         .dtypes = kRealSet,
         .traits = kDiscrete,
         .eval =
             [](EvalContext& ctx) { return EvalBinary(ctx, {.f = FloorDivide, .i = FloorDivideInt, .u = DivideUInt}); },
         .samples = DivideSamples,
         .names = {.tf = "FloorDiv", .keras = "FloorDivide", .tflite = "FLOOR_DIV"},
         .flags = kNotDifferentiable}),
    BinaryOp(
        {.name = "remainder",
         .summary = "z = x - y * floor(x / y), with the sign of y, as Python's %. Integers give 0 for y = 0.",
         .dtypes = kRealSet,
         .traits = kDiscrete,
         .eval =
             [](EvalContext& ctx) { return EvalBinary(ctx, {.f = Remainder, .i = RemainderInt, .u = RemainderUInt}); },
         .grad = Grad2<[](Ex d, Ex, Ex, Ex) { return d; },
                       [](Ex d, Ex x, Ex y, Ex) { return -(d * Op("floor_divide", x, y)); }>,
         .samples = DivideSamples,
         .names = {.tf = "FloorMod", .keras = "Mod", .tflite = "FLOOR_MOD", .torch = "aten.remainder.Tensor"}}),
    BinaryOp(
        {.name = "power",
         .summary = "z = x^y. Integers wrap; for y < 0 they truncate 1 / x^-y toward zero (0 for x = 0).",
         .dtypes = kRealSet,
         .eval =
             [](EvalContext& ctx) {
               return EvalBinary(
                   ctx, {.f = [](double x, double y) { return std::pow(x, y); }, .i = PowerInt, .u = PowerUInt});
             },
         .grad = Grad2<PowerGradX, PowerGradY>,
         .samples = PowerSamples,
         .names = {.onnx = "Pow", .tf = "Pow", .keras = "Power", .tflite = "POW", .torch = "aten.pow.Tensor_Tensor"}}),
    BinaryOp({.name = "maximum",
              .summary = "The larger of x and y; NaN if one of them is. The gradient goes to x where they are equal.",
              .dtypes = kRealSet,
              .traits = kExact | kCommutative,
              .eval =
                  [](EvalContext& ctx) {
                    return EvalBinary(ctx, {.f = Maximum,
                                            .i = [](Int x, Int y) { return std::max(x, y); },
                                            .u = [](UInt x, UInt y) { return std::max(x, y); }});
                  },
              .grad = Grad2<[](Ex d, Ex x, Ex y, Ex) { return Where(Op("greater_equal", x, y), d); },
                            [](Ex d, Ex x, Ex y, Ex) { return Where(Op("less", x, y), d); }>,
              .samples = ArithmeticSamples,
              .names = {.tf = "Maximum", .keras = "Maximum", .tflite = "MAXIMUM", .torch = "aten.maximum.default"}}),
    BinaryOp({.name = "minimum",
              .summary = "The smaller of x and y; NaN if one of them is. The gradient goes to x where they are equal.",
              .dtypes = kRealSet,
              .traits = kExact | kCommutative,
              .eval =
                  [](EvalContext& ctx) {
                    return EvalBinary(ctx, {.f = Minimum,
                                            .i = [](Int x, Int y) { return std::min(x, y); },
                                            .u = [](UInt x, UInt y) { return std::min(x, y); }});
                  },
              .grad = Grad2<[](Ex d, Ex x, Ex y, Ex) { return Where(Op("less_equal", x, y), d); },
                            [](Ex d, Ex x, Ex y, Ex) { return Where(Op("greater", x, y), d); }>,
              .samples = ArithmeticSamples,
              .names = {.tf = "Minimum", .keras = "Minimum", .tflite = "MINIMUM", .torch = "aten.minimum.default"}}),
    BinaryOp({.name = "atan2",
              .summary = "The angle in [-pi, pi] of the point with the coordinates (x, y).",
              .dtypes = kFloatSet,
              .eval =
                  [](EvalContext& ctx) {
                    return EvalBinary(ctx, {.f = [](double y, double x) { return std::atan2(y, x); }});
                  },
              .grad = Grad2<[](Ex d, Ex y, Ex x, Ex) { return d * (x / (x * x + y * y)); },
                            [](Ex d, Ex y, Ex x, Ex) { return -(d * (y / (x * x + y * y))); }>,
              .samples = Samples<kLow2, kHigh2>,
              .names = {.tf = "Atan2", .keras = "Arctan2", .torch = "aten.atan2.default"},
              .x = "y",
              .y = "x"}),
};

}  // namespace
extern const std::span<const OpDef> binary_ops;
constinit const std::span<const OpDef> binary_ops{kOps};
}  // namespace tenon::ir::ops
