// Elementwise ops that ONNX spells differently.
#include <array>

#include "formats/onnx/data_type.h"
#include "formats/onnx/export/families.h"

namespace tenon::onnx {

std::span<const std::span<const ExportRow>> ExportFamilies() {
  static const std::array kAll = {kExportElementwise, kExportShape,   kExportIndex,  kExportReduce, kExportWindow,
                                  kExportNorm,        kExportControl, kExportVision, kExportData,   kExportAttention};
  return kAll;
}

namespace {

// Ops of one name, without attributes.
Status Same(OpWriter& w) {
  w.Finish(std::string(w.row.theirs), w.ins());
  return {};
}

Status Cast(OpWriter& w) {
  if (is_complex(w.dtype(0)) || is_complex(w.attrs().Dtype("dtype"))) return w.Unsupported("a cast of complex numbers");
  w.Finish("Cast", {w.in(0)}, {IntAttribute("to", FromDType(w.attrs().Dtype("dtype")))});
  return {};
}

// min and max must be scalars for Clip.
Status Clip(OpWriter& w) {
  const auto scalar = [&](int i) { return !w.has(i) || (w.ranked(i) && w.shape(i).rank() == 0); };
  if (scalar(1) && scalar(2)) {
    w.Finish("Clip", {w.in(0), w.in(1), w.in(2)});
    return {};
  }
  std::string x = w.in(0);
  if (w.has(1)) x = w.Emit("Max", {x, w.in(1)});
  if (w.has(2)) x = w.Emit("Min", {x, w.in(2)});
  w.Finish("Identity", {x});
  return {};
}

Status Relu6(OpWriter& w) {
  w.Finish("Clip", {w.in(0), w.Scalar(0, w.dtype(0)), w.Scalar(6, w.dtype(0))});
  return {};
}

Status LeakyRelu(OpWriter& w) {
  w.Finish("LeakyRelu", {w.in(0)}, {FloatAttribute("alpha", w.attrs().Float("negative_slope"))});
  return {};
}
Status Elu(OpWriter& w) {
  if (w.row.theirs == "Celu" && w.dtype(0) != DType::kF32) return w.Lower();  // its only type before opset 28
  w.Finish(std::string(w.row.theirs), {w.in(0)}, {FloatAttribute("alpha", w.attrs().Float("alpha"))});
  return {};
}
Status Gelu(OpWriter& w) {
  if (w.opset() < 20) return w.Lower();
  w.Finish("Gelu", {w.in(0)}, {StringAttribute("approximate", w.attrs().Bool("approximate") ? "tanh" : "none")});
  return {};
}
Status HardSigmoid(OpWriter& w) {
  w.Finish("HardSigmoid", {w.in(0)}, {FloatAttribute("alpha", 1.0 / 6), FloatAttribute("beta", 0.5)});
  return {};
}

// Narrow and unsigned integers go through int64, which wraps to the same bits.
Status Power(OpWriter& w) {
  const DType t = w.dtype(0);
  if (is_float(t) || t == DType::kI32 || t == DType::kI64) {
    w.Finish("Pow", {w.in(0), w.in(1)});
    return {};
  }
  const auto wide = [&](int i) { return w.Emit("Cast", {w.in(i)}, {IntAttribute("to", kInt64)}); };
  w.Finish("Cast", {w.Emit("Pow", {wide(0), wide(1)})}, {IntAttribute("to", FromDType(t))});
  return {};
}

Status Silu(OpWriter& w) {
  if (w.opset() >= 24) {
    w.Finish("Swish", {w.in(0)});
    return {};
  }
  const std::string x = w.in(0);
  w.Finish("Mul", {x, w.Emit("Sigmoid", {x})});
  return {};
}

Status Rsqrt(OpWriter& w) {
  w.Finish("Reciprocal", {w.Emit("Sqrt", {w.in(0)})});
  return {};
}
Status Square(OpWriter& w) {
  w.Finish("Mul", {w.in(0), w.in(0)});
  return {};
}
// Small arguments lose digits, since ONNX has neither of these two.
Status Expm1(OpWriter& w) {
  w.Finish("Sub", {w.Emit("Exp", {w.in(0)}), w.Scalar(1, w.dtype(0))});
  return {};
}
Status Log1p(OpWriter& w) {
  w.Finish("Log", {w.Emit("Add", {w.in(0), w.Scalar(1, w.dtype(0))})});
  return {};
}
Status Erfc(OpWriter& w) {
  w.Finish("Sub", {w.Scalar(1, w.dtype(0)), w.Emit("Erf", {w.in(0)})});
  return {};
}

Status IsFinite(OpWriter& w) {
  const std::string x = w.in(0);
  // x - x is 0 for finite numbers and NaN for the others.
  w.Finish("Not", {w.Emit("IsNaN", {w.Emit("Sub", {x, x})})});
  return {};
}

Status NotEqual(OpWriter& w) {
  w.Finish("Not", {w.Emit("Equal", {w.in(0), w.in(1)})});
  return {};
}

// Python's remainder: C's, moved to the divisor's sign.
std::string FloorMod(OpWriter& w, const std::string& x, const std::string& y) {
  const DType dtype = w.dtype(0);
  if (!is_float(dtype)) return w.Emit("Mod", {x, y});
  const std::string r = w.Emit("Mod", {x, y}, {IntAttribute("fmod", 1)}), zero = w.Scalar(0, dtype);
  const std::string differ = w.Emit("Less", {w.Emit("Mul", {w.Emit("Sign", {r}), w.Emit("Sign", {y})}), zero});
  return w.Emit("Where", {differ, w.Emit("Add", {r, y}), r});
}
Status Remainder(OpWriter& w) {
  w.Finish("Identity", {FloorMod(w, w.in(0), w.in(1))});
  return {};
}
Status FloorDivide(OpWriter& w) {
  const std::string x = w.in(0), y = w.in(1);
  w.Finish("Div", {w.Emit("Sub", {x, FloorMod(w, x, y)}), y});
  return {};
}

const ExportRow kRows[] = {
    {"identity", 13, Same, "Identity"},
    {"stop_gradient", 13, Same, "Identity"},
    {"cast", 13, Cast},
    {"maximum", 13, Same, "Max"},
    {"minimum", 13, Same, "Min"},
    {"not_equal", 13, NotEqual},
    {"remainder", 13, Remainder},
    {"floor_divide", 13, FloorDivide},
    {"clip", 13, Clip},
    {"is_inf", 13, Same, "IsInf"},
    {"is_finite", 13, IsFinite},
    {"rsqrt", 13, Rsqrt},
    {"square", 13, Square},
    {"expm1", 13, Expm1},
    {"log1p", 13, Log1p},
    {"erfc", 13, Erfc},
    {"relu6", 13, Relu6},
    {"leaky_relu", 13, LeakyRelu},
    {"elu", 13, Elu, "Elu"},
    {"celu", 13, Elu, "Celu"},
    {"selu", 13, Same, "Selu"},
    {"gelu", 13, Gelu},
    {"power", 13, Power},
    {"silu", 13, Silu},
    {"hard_sigmoid", 13, HardSigmoid},
    {"hard_swish", 14, Same, "HardSwish"},
};

}  // namespace
const std::span<const ExportRow> kExportElementwise = kRows;
}  // namespace tenon::onnx
