// Elementwise trigonometric and hyperbolic functions and their inverses. Angles are in radians.
#include <cmath>

#include "ops/unary.h"

namespace tenon::ir::ops {
namespace {

// 1 - x^2 without cancellation near +-1.
Ex OneMinusSquare(Ex x) { return (1.0 - x) * (1.0 + x); }

constinit const OpDef kOps[] = {
    UnaryOp({.name = "sin",
             .summary = "y = sin x.",
             .eval = EvalFloat<[](double x) { return std::sin(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * Op("cos", x); }>,
             .names = {.onnx = "Sin", .tf = "Sin", .keras = "Sin", .tflite = "SIN", .torch = "aten.sin.default"}}),
    UnaryOp({.name = "cos",
             .summary = "y = cos x.",
             .eval = EvalFloat<[](double x) { return std::cos(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return -(d * Op("sin", x)); }>,
             .names = {.onnx = "Cos", .tf = "Cos", .keras = "Cos", .tflite = "COS", .torch = "aten.cos.default"}}),
    UnaryOp({.name = "tan",
             .summary = "y = tan x.",
             .eval = EvalFloat<[](double x) { return std::tan(x); }>,
             .grad = Grad1<[](Ex d, Ex, Ex y) { return d * (1.0 + y * y); }>,
             .samples = Over<-1.25, 1.25>,
             .names = {.onnx = "Tan", .tf = "Tan", .keras = "Tan", .torch = "aten.tan.default"}}),
    UnaryOp({.name = "asin",
             .summary = "The angle in [-pi/2, pi/2] whose sine is x; NaN outside [-1, 1].",
             .eval = EvalFloat<[](double x) { return std::asin(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * Op("rsqrt", OneMinusSquare(x)); }>,
             .samples = Over<-0.875, 0.875>,
             .names = {.onnx = "Asin", .tf = "Asin", .keras = "Arcsin", .torch = "aten.asin.default"}}),
    UnaryOp({.name = "acos",
             .summary = "The angle in [0, pi] whose cosine is x; NaN outside [-1, 1].",
             .eval = EvalFloat<[](double x) { return std::acos(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return -(d * Op("rsqrt", OneMinusSquare(x))); }>,
             .samples = Over<-0.875, 0.875>,
             .names = {.onnx = "Acos", .tf = "Acos", .keras = "Arccos", .torch = "aten.acos.default"}}),
    UnaryOp({.name = "atan",
             .summary = "The angle in [-pi/2, pi/2] whose tangent is x.",
             .eval = EvalFloat<[](double x) { return std::atan(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d / (1.0 + x * x); }>,
             .names = {.onnx = "Atan", .tf = "Atan", .keras = "Arctan", .torch = "aten.atan.default"}}),
    UnaryOp({.name = "sinh",
             .summary = "y = (e^x - e^-x) / 2.",
             .eval = EvalFloat<[](double x) { return std::sinh(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * Op("cosh", x); }>,
             .names = {.onnx = "Sinh", .tf = "Sinh", .keras = "Sinh", .torch = "aten.sinh.default"}}),
    UnaryOp({.name = "cosh",
             .summary = "y = (e^x + e^-x) / 2.",
             .eval = EvalFloat<[](double x) { return std::cosh(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * Op("sinh", x); }>,
             .names = {.onnx = "Cosh", .tf = "Cosh", .keras = "Cosh", .torch = "aten.cosh.default"}}),
    UnaryOp({.name = "tanh",
             .summary = "y = (e^x - e^-x) / (e^x + e^-x).",
             .eval = EvalFloat<[](double x) { return std::tanh(x); }>,
             .grad = Grad1<[](Ex d, Ex, Ex y) { return d * (1.0 - y * y); }>,
             .names = {.onnx = "Tanh", .tf = "Tanh", .keras = "Tanh", .tflite = "TANH", .torch = "aten.tanh.default"}}),
    UnaryOp({.name = "asinh",
             .summary = "The number whose hyperbolic sine is x.",
             .eval = EvalFloat<[](double x) { return std::asinh(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * Op("rsqrt", 1.0 + x * x); }>,
             .names = {.onnx = "Asinh", .tf = "Asinh", .keras = "Arcsinh", .torch = "aten.asinh.default"}}),
    UnaryOp({.name = "acosh",
             .summary = "The number >= 0 whose hyperbolic cosine is x; NaN below 1.",
             .eval = EvalFloat<[](double x) { return std::acosh(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * Op("rsqrt", (x - 1) * (x + 1)); }>,
             .samples = Over<1.125, 5.0>,
             .names = {.onnx = "Acosh", .tf = "Acosh", .keras = "Arccosh", .torch = "aten.acosh.default"}}),
    UnaryOp({.name = "atanh",
             .summary = "The number whose hyperbolic tangent is x; NaN outside [-1, 1].",
             .eval = EvalFloat<[](double x) { return std::atanh(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d / OneMinusSquare(x); }>,
             .samples = Over<-0.875, 0.875>,
             .names = {.onnx = "Atanh", .tf = "Atanh", .keras = "Arctanh", .torch = "aten.atanh.default"}}),
};

}  // namespace
extern const std::span<const OpDef> trigonometric_ops;
constinit const std::span<const OpDef> trigonometric_ops{kOps};
}  // namespace tenon::ir::ops
