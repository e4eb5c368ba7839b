// Faults in the networks that move, index and quantize.
#include <algorithm>

#include "verify_faults_edit.h"

namespace tenon::faults {

const std::vector<Fault>& ShapeFaults() {
  static const std::vector<Fault> kFaults = {
      TENON_FAULT("mode of a padding", "net_shapes",
                  {
                    p.SetString(p.Node("Pad"), "mode", "edge");
                    return "padded";
                  }),
      TENON_FAULT("slice off by one", "net_shapes",
                  {
                    p.Integers("starts", [](Ints& v) { ++v[1]; });
                    p.Integers("ends", [](Ints& v) { ++v[1]; });
                    return "part";
                  }),
      TENON_FAULT("axes of a slice", "net_shapes",
                  {
                    p.Integers("axes", [](Ints& v) { std::swap(v[0], v[1]); });
                    return "part";
                  }),
      TENON_FAULT("NHWC taken for NHCW", "net_shapes",
                  {
                    p.SetInts(p.Node("Transpose", 1), "perm", {0, 3, 2, 1});
                    return "nchw";
                  }),
      TENON_FAULT("align_corners", "net_shapes",
                  {
                    p.SetString(p.Node("Resize"), "coordinate_transformation_mode", "align_corners");
                    return "resized";
                  }),
      TENON_FAULT("nearest for linear", "net_shapes",
                  {
                    p.SetString(p.Node("Resize"), "mode", "nearest");
                    return "resized";
                  }),
      TENON_FAULT("indices of a gather", "net_shapes",
                  {
                    p.Integers("rows", [](Ints& v) { v[1] = 3; });
                    return "picked";
                  }),
      TENON_FAULT("axis of a gather", "net_shapes",
                  {
                    p.SetInt(p.Node("Gather"), "axis", 3);
                    p.Insert("left", 0, "Transpose", {Perm({0, 1, 3, 2})});
                    return "picked";
                  }),
      TENON_FAULT("halves in the other order", "net_shapes",
                  {
                    std::swap(p.Node("Concat").inputs[0], p.Node("Concat").inputs[1]);
                    return "joined";
                  }),
      TENON_FAULT("exclusive sum", "net_shapes",
                  {
                    p.SetInt(p.Node("CumSum"), "exclusive", 1);
                    return "sums";
                  }),
      TENON_FAULT("axis of a mean off by one", "net_shapes",
                  {
                    p.Integers("last", [](Ints& v) { v[0] = 2; });
                    return "means";
                  }),
      TENON_FAULT("a condition negated", "net_shapes",
                  {
                    std::swap(p.Node("Where").inputs[1], p.Node("Where").inputs[2]);
                    return "chosen";
                  }),
      TENON_FAULT("keepdims and a broadcast along the wrong axis", "net_shapes",
                  {
                    p.SetInt(p.Node("ReduceMean"), "keepdims", 0);
                    onnx::Node add;
                    add.op_type = "Unsqueeze";
                    add.inputs = {"means"};
                    add.inputs.push_back(p.AddInts("second", Ints(1, 2)));
                    add.outputs = {"planted"};
                    p.Node("Sub").inputs[1] = "planted";
                    p.Node("Unsqueeze").inputs[0] = "planted";
                    p.model().graph->nodes.push_back(add);
                    return "means";
                  }),
      TENON_FAULT("scale of a quantization", "net_quantized",
                  {
                    p.Weight("sp", [](Floats& v, Ints&) { v[0] = 0.12F; });
                    return "qp";
                  }),
      TENON_FAULT("zero point of a quantization", "net_quantized",
                  {
                    p.Integers("zp", [](Ints& v) { v[0] = 120; });
                    return "qp";
                  }),
      TENON_FAULT("scale of a dequantization", "net_quantized",
                  {
                    p.Weight("sd", [](Floats& v, Ints&) { v[0] = 0.1F; });
                    return "dp";
                  }),
      TENON_FAULT("zero point of a dequantization", "net_quantized",
                  {
                    p.Integers("zd", [](Ints& v) { v[0] = 128; });
                    return "dp";
                  }),
  };
  return kFaults;
}

}  // namespace tenon::faults
