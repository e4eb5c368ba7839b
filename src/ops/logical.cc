// Logic on bool, and bit by bit on integers.
#include "ops/binary.h"

namespace tenon::ir::ops {
namespace {

using Int = std::int64_t;

template <auto I>
Status EvalInt(EvalContext& ctx) {
  return EvalBinary(ctx, {.i = I});
}

std::vector<Sample> NotSamples() {
  return {{.name = "basic", .inputs = {Bools({2, 2}, {true, false, false, true})}},
          {.name = "scalar", .inputs = {Bools({}, {true})}},
          {.name = "empty", .inputs = {Bools({0}, {})}},
          {.name = "number", .inputs = {Random({2})}, .error = "dtype"}};
}
std::vector<Sample> LogicalSamples() {
  return {{.name = "basic", .inputs = {Bools({4}, {true, true, false, false}), Bools({4}, {true, false, true, false})}},
          {.name = "broadcast", .inputs = {Bools({2, 1}, {true, false}), Bools({2}, {true, false})}},
          {.name = "scalar", .inputs = {Bools({}, {true}), Bools({}, {false})}},
          {.name = "empty", .inputs = {Bools({0, 2}, {}), Bools({1, 2}, {true, false})}},
          {.name = "mismatch", .inputs = {Bools({2}, {true, false}), Bools({3}, {true, false, true})}, .error = "c1"},
          {.name = "numbers", .inputs = {Random({2}), Random({2})}, .error = "dtype"}};
}
std::vector<Sample> BitNotSamples() {
  return {{.name = "basic", .inputs = {Ints({5}, {0, 1, -1, 100, -128})}},
          {.name = "scalar", .inputs = {Ints({}, {7})}},
          {.name = "empty", .inputs = {Ints({0}, {})}},
          {.name = "floats", .inputs = {Random({2})}, .error = "dtype"}};
}
std::vector<Sample> BitSamples() {
  return {{.name = "basic", .inputs = {Ints({5}, {0, 1, -1, 100, -128}), Ints({5}, {3, 3, 85, -3, 127})}},
          {.name = "broadcast", .inputs = {Ints({2, 1}, {12, 10}), Ints({3}, {1, 6, 15})}},
          {.name = "scalar", .inputs = {Ints({}, {12}), Ints({}, {10})}},
          {.name = "empty", .inputs = {Ints({0}, {}), Ints({1}, {1})}},
          {.name = "mismatch", .inputs = {Ints({2}, {1, 2}), Ints({3}, {1, 2, 3})}, .error = "c1"},
          {.name = "floats", .inputs = {Random({2}), Random({2})}, .error = "dtype"}};
}

constinit const OpDef kOps[] = {
    UnaryOp({.name = "logical_not",
             .summary = "y = not x.",
             .dtypes = kBoolSet,
             .traits = kExact | kDiscrete,
             .eval = EvalReal<nullptr, [](Int x) { return Int{x == 0}; }>,
             .samples = NotSamples,
             .names = {.onnx = "Not", .tf = "LogicalNot", .tflite = "LOGICAL_NOT", .torch = "aten.logical_not.default"},
             .flags = kNotDifferentiable}),
    BinaryOp(
        {.name = "logical_and",
         .summary = "z = x and y.",
         .dtypes = kBoolSet,
         .traits = kExact | kDiscrete | kCommutative,
         .eval = EvalInt<[](Int x, Int y) { return Int{x != 0 && y != 0}; }>,
         .samples = LogicalSamples,
         .names = {.onnx = "And", .tf = "LogicalAnd", .tflite = "LOGICAL_AND", .torch = "aten.logical_and.default"},
         .flags = kNotDifferentiable}),
    BinaryOp({.name = "logical_or",
              .summary = "z = x or y.",
              .dtypes = kBoolSet,
              .traits = kExact | kDiscrete | kCommutative,
              .eval = EvalInt<[](Int x, Int y) { return Int{x != 0 || y != 0}; }>,
              .samples = LogicalSamples,
              .names = {.onnx = "Or", .tf = "LogicalOr", .tflite = "LOGICAL_OR", .torch = "aten.logical_or.default"},
              .flags = kNotDifferentiable}),
    BinaryOp({.name = "logical_xor",
              .summary = "z = either x or y.",
              .dtypes = kBoolSet,
              .traits = kExact | kDiscrete | kCommutative,
              .eval = EvalInt<[](Int x, Int y) { return Int{(x != 0) != (y != 0)}; }>,
              .lower = Lower2<[](Ex x, Ex y) { return Op("logical_not", Op("equal", x, y)); }>,
              .samples = LogicalSamples,
              .names = {.onnx = "Xor", .torch = "aten.logical_xor.default"},
              .flags = kNotDifferentiable}),
    UnaryOp(
        {.name = "bitwise_not",
         .summary = "Every bit of x inverted.",
         .dtypes = kIntegerSet,
         .traits = kExact | kDiscrete,
         .eval = EvalReal<nullptr, [](Int x) { return ~x; }>,
         .samples = BitNotSamples,
         .names = {.onnx = "BitwiseNot", .tf = "Invert", .keras = "BitwiseNot", .torch = "aten.bitwise_not.default"},
         .flags = kNotDifferentiable}),
    BinaryOp(
        {.name = "bitwise_and",
         .summary = "The bits that x and y share.",
         .dtypes = kIntegerSet,
         .traits = kExact | kDiscrete | kCommutative,
         .eval = EvalInt<[](Int x, Int y) { return x & y; }>,
         .samples = BitSamples,
         .names = {.onnx = "BitwiseAnd", .tf = "BitwiseAnd", .keras = "BitwiseAnd", .torch = "aten.bitwise_and.Tensor"},
         .flags = kNotDifferentiable}),
    BinaryOp(
        {.name = "bitwise_or",
         .summary = "The bits of x or y.",
         .dtypes = kIntegerSet,
         .traits = kExact | kDiscrete | kCommutative,
         .eval = EvalInt<[](Int x, Int y) { return x | y; }>,
         .samples = BitSamples,
         .names = {.onnx = "BitwiseOr", .tf = "BitwiseOr", .keras = "BitwiseOr", .torch = "aten.bitwise_or.Tensor"},
         .flags = kNotDifferentiable}),
    BinaryOp({.name = "bitwise_xor",
              .summary = "The bits in which x and y differ.",
              .dtypes = kIntegerSet,
              .traits = kExact | kDiscrete | kCommutative,
              .eval = EvalInt<[](Int x, Int y) { return x ^ y; }>,
              .samples = BitSamples,
              .names = {.onnx = "BitwiseXor",
                        .tf = "BitwiseXor",
                        .keras = "BitwiseXor",
                        .tflite = "BITWISE_XOR",
                        .torch = "aten.bitwise_xor.Tensor"},
              .flags = kNotDifferentiable}),
};

}  // namespace
extern const std::span<const OpDef> logical_ops;
constinit const std::span<const OpDef> logical_ops{kOps};
}  // namespace tenon::ir::ops
