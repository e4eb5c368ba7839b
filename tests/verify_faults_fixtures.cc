// Faults in models of the fixtures, which other frameworks wrote.
#include <algorithm>
#include <stdexcept>

#include "verify_faults_edit.h"

namespace tenon::faults {

const std::vector<Fault>& FixtureFaults() {
  static const std::vector<Fault> kFaults = {
      TENON_FAULT("epsilon deep in an unfolded ResNet", "resnet_unfolded",
                  {
                    onnx::Node& n = p.Node("BatchNormalization", 7);
                    p.SetFloat(n, "epsilon", 1e-3F);
                    return Out(n);
                  }),
      TENON_FAULT("a kernel of a ResNet-18 transposed in space", "resnet_op18",
                  {
                    onnx::Node& n = p.Node("Conv", 9);
                    p.Weight(p.WeightOf(n, 1), TurnLastTwo);
                    return Out(n);
                  }),
      TENON_FAULT("a relu of a ResNet-18 left out", "resnet_op18",
                  {
                    onnx::Node& n = p.Node("Relu", 6);
                    n.op_type = "Identity";
                    return Out(n);
                  }),
      TENON_FAULT("a relu6 of a MobileNet left out", "mobilenet_v2_op18",
                  {
                    onnx::Node& n = p.Node("Clip", 4);
                    n.op_type = "Identity";
                    n.inputs.resize(1);
                    return Out(n);
                  }),
      TENON_FAULT("a bias of a MobileNet shifted by one", "mobilenet_v2_op18",
                  {
                    onnx::Node& n = p.Node("Conv", 5);
                    p.Weight(p.WeightOf(n, 2),
                             [](Floats& v, Ints&) { std::rotate(v.begin(), v.begin() + 1, v.end()); });
                    return Out(n);
                  }),
      TENON_FAULT("a projection of a transformer rounded to half precision", "encoder_postnorm",
                  {
                    onnx::Node& n = p.Node("MatMul", 3);
                    p.Weight(p.WeightOf(n, 1), [](Floats& v, Ints&) {
                      for (float& x : v) x = RoundToHalf(x);
                    });
                    return Out(n);
                  }),
      TENON_FAULT("epsilon of a transformer's normalization", "encoder_postnorm",
                  {
                    onnx::Node& n = p.Node("LayerNormalization", 2);
                    p.SetFloat(n, "epsilon", 1e-2F);
                    return Out(n);
                  }),
      TENON_FAULT("kept state of a GRU from PyTorch", "gru",
                  {
                    onnx::Node& n = p.Node("GRU");
                    p.SetInt(n, "linear_before_reset", 0);
                    return Out(n);
                  }),
      TENON_FAULT("exact for approximate in a convnext", "convnext",
                  {
                    onnx::Node& n = p.Node("Erf");
                    n.op_type = "Tanh";
                    return Out(n);
                  }),
      TENON_FAULT("transpose of a convnext", "convnext",
                  {
                    onnx::Node& n = p.Node("Transpose");
                    p.SetInts(n, "perm", {0, 3, 2, 1});
                    return Out(n);
                  }),
      TENON_FAULT("scale of a quantized CNN's activation", "q_cnn_qdq",
                  {
                    onnx::Node& n = p.Node("QuantizeLinear", 1);
                    const std::string name = p.WeightOf(n, 1);
                    onnx::Node& back = p.Node("DequantizeLinear", 7);
                    if (back.inputs[1] != name) throw std::runtime_error("not its partner");
                    p.Weight(name, [](Floats& v, Ints&) { v[0] *= 1.1F; });
                    return Out(n);
                  }),
  };
  return kFaults;
}

}  // namespace tenon::faults
