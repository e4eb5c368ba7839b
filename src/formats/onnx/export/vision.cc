// Sampling, regions, columns and bits. What ONNX lacks at an opset is written by its lowering, or refused.
#include "formats/onnx/data_type.h"
#include "formats/onnx/export/families.h"

namespace tenon::onnx {
namespace {

Status GridSample(OpWriter& w) {
  if (!w.ranked(0) || w.opset() < 16 || (w.opset() < 20 && w.shape(0).rank() != 4) || w.dtype(1) != w.dtype(0))
    return w.Lower();
  std::string mode = w.attrs().String("mode");
  if (mode == "cubic" && w.attrs().String("padding_mode") != "zeros") return w.Lower();  // others pad the place itself
  if (w.opset() < 20 && mode != "nearest") mode = "bi" + mode;
  w.Finish("GridSample", {w.in(0), w.in(1)},
           {StringAttribute("mode", mode), StringAttribute("padding_mode", w.attrs().String("padding_mode")),
            IntAttribute("align_corners", w.attrs().Bool("align_corners") ? 1 : 0)});
  return {};
}

Status RoiAlign(OpWriter& w) {
  const bool aligned = w.attrs().Bool("aligned");
  if (w.opset() < 16 && aligned) return w.Unsupported("aligned regions before opset 16");
  std::vector<Attribute> attributes = {StringAttribute("mode", w.attrs().String("mode") == "average" ? "avg" : "max"),
                                       IntAttribute("output_height", w.attrs().Int("output_height")),
                                       IntAttribute("output_width", w.attrs().Int("output_width")),
                                       IntAttribute("sampling_ratio", w.attrs().Int("sampling_ratio")),
                                       FloatAttribute("spatial_scale", w.attrs().Float("spatial_scale"))};
  if (w.opset() >= 16)
    attributes.push_back(
        StringAttribute("coordinate_transformation_mode", aligned ? "half_pixel" : "output_half_pixel"));
  std::string index = w.in(2);
  if (w.dtype(2) != DType::kI64) index = w.Emit("Cast", {index}, {IntAttribute("to", FromDType(DType::kI64))});
  w.Finish("RoiAlign", {w.in(0), w.in(1), index}, std::move(attributes));
  return {};
}

Status NonMaxSuppression(OpWriter& w) {
  if (w.dtype(0) != DType::kF32) return w.Unsupported("boxes of another dtype than f32");
  Names inputs = {w.in(0), w.in(1)};
  const std::string one = w.Ints1({1});
  for (int i = 2; i < w.num_inputs(); ++i) {
    std::string v = w.in(i);
    if (!v.empty() && i == 2 && w.dtype(2) != DType::kI64)
      v = w.Emit("Cast", {v}, {IntAttribute("to", FromDType(DType::kI64))});
    inputs.push_back(v.empty() ? v : w.Emit("Reshape", {v, one}));
  }
  w.Finish("NonMaxSuppression", std::move(inputs),
           {IntAttribute("center_point_box", w.attrs().Bool("center_point_box") ? 1 : 0)});
  return {};
}

Status Col2Im(OpWriter& w) {
  const Shape &image = std::get<Shape>(*w.attrs().Find("image_shape")),
              &block = std::get<Shape>(*w.attrs().Find("block_shape"));
  TENON_ASSIGN_OR_RETURN(const std::string image_dims, w.x.DimVector(image));
  TENON_ASSIGN_OR_RETURN(const std::string block_dims, w.x.DimVector(block));
  const std::size_t axes = block.dims().size();
  const Ints& padding = w.attrs().Ints("padding");
  Ints pads(2 * axes, 0);
  for (std::size_t i = 0; i < padding.size() / 2; ++i) {
    pads[i] = padding[2 * i];
    pads[axes + i] = padding[2 * i + 1];
  }
  const auto list = [&](const char* name) {
    const Ints& given = w.attrs().Ints(name);
    return given.empty() ? Ints(axes, 1) : given;
  };
  w.Finish("Col2Im", {w.in(0), image_dims, block_dims},
           {IntsAttribute("pads", pads), IntsAttribute("strides", list("strides")),
            IntsAttribute("dilations", list("dilations"))});
  return {};
}

Status BitCast(OpWriter& w) {
  w.Finish("BitCast", {w.in(0)}, {IntAttribute("to", FromDType(w.attrs().Dtype("dtype")))});
  return {};
}

Status CastNarrow(OpWriter& w) {
  const DType to = w.attrs().Dtype("dtype");
  if (w.opset() < (to == DType::kF8E8M0 ? 24 : to == DType::kF4E2M1 ? 23 : 19)) return w.Unsupported("this dtype");
  std::vector<Attribute> attributes = {IntAttribute("to", FromDType(to))};
  if (to != DType::kF4E2M1) attributes.push_back(IntAttribute("saturate", w.attrs().Bool("saturate") ? 1 : 0));
  if (to == DType::kF8E8M0) attributes.push_back(StringAttribute("round_mode", w.attrs().String("rounding")));
  w.Finish("Cast", {w.in(0)}, std::move(attributes));
  return {};
}

const ExportRow kRows[] = {
    {"grid_sample", 13, GridSample}, {"roi_align", 13, RoiAlign}, {"non_max_suppression", 13, NonMaxSuppression},
    {"col2im", 18, Col2Im},          {"bitcast", 26, BitCast},    {"cast_narrow", 19, CastNarrow},
};

}  // namespace
const std::span<const ExportRow> kExportVision = kRows;
}  // namespace tenon::onnx
