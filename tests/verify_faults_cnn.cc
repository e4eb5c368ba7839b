// Faults in the convolutional network.
#include <algorithm>
#include <cmath>

#include "verify_faults_edit.h"

namespace tenon::faults {

const std::vector<Fault>& CnnFaults() {
  static const std::vector<Fault> kFaults = {
      TENON_FAULT("kernel transposed in space", "net_cnn",
                  {
                    p.Weight("w1", TurnLastTwo);
                    return "c1";
                  }),
      TENON_FAULT("kernel with input and output channels exchanged", "net_cnn",
                  {
                    p.Weight("w2", TurnFirstTwo);
                    return "c2";
                  }),
      TENON_FAULT("kernel flipped (convolution for correlation)", "net_cnn",
                  {
                    p.Weight("w2", [](Floats& v, Ints&) {
                      for (std::size_t at = 0; at < v.size(); at += 9)
                        std::reverse(v.begin() + static_cast<std::ptrdiff_t>(at),
                                     v.begin() + static_cast<std::ptrdiff_t>(at + 9));
                    });
                    return "c2";
                  }),
      TENON_FAULT("epsilon 1e-3 for 1e-5 in a batch normalization", "net_cnn",
                  {
                    p.SetFloat(p.Node("BatchNormalization"), "epsilon", 1e-3F);
                    return "bn";
                  }),
      TENON_FAULT("mean and variance exchanged", "net_cnn",
                  {
                    p.Weight("mean", [](Floats& v, Ints&) {
                      for (float& x : v) x = std::fabs(x);
                    });
                    std::swap(p.Node("BatchNormalization").inputs[3], p.Node("BatchNormalization").inputs[4]);
                    return "bn";
                  }),
      TENON_FAULT("scale and shift exchanged", "net_cnn",
                  {
                    std::swap(p.Node("BatchNormalization").inputs[1], p.Node("BatchNormalization").inputs[2]);
                    return "bn";
                  }),
      TENON_FAULT("standard deviation where the variance belongs", "net_cnn",
                  {
                    p.Weight("variance", [](Floats& v, Ints&) {
                      for (float& x : v) x = std::sqrt(x);
                    });
                    return "bn";
                  }),
      TENON_FAULT("batch normalization left out", "net_cnn",
                  {
                    p.Remove("bn", "c1");
                    return "bn|relu";
                  }),
      TENON_FAULT("padding on the wrong side", "net_cnn",
                  {
                    p.SetInts(p.Node("Conv", 0), "pads", {0, 0, 2, 2});
                    return "c1";
                  }),
      TENON_FAULT("padding missing", "net_cnn",
                  {
                    p.SetInts(p.Node("Conv", 1), "pads", {0, 0, 0, 0});
                    return "c2";
                  }),
      TENON_FAULT("relu for relu6", "net_cnn",
                  {
                    p.Node("Clip").op_type = "Relu";
                    p.Node("Relu", 1).inputs.resize(1);
                    return "relu6";
                  }),
      TENON_FAULT("relu6 for relu", "net_cnn",
                  {
                    onnx::Node& n = p.Node("Relu");
                    n.op_type = "Clip";
                    n.inputs.insert(n.inputs.end(), {"low", "high"});
                    return "relu";
                  }),
      TENON_FAULT("leaky relu for relu", "net_cnn",
                  {
                    p.Node("Relu").op_type = "LeakyRelu";
                    return "relu";
                  }),
      TENON_FAULT("stride of a pooling", "net_cnn",
                  {
                    p.SetInts(p.Node("MaxPool"), "strides", {1, 1});
                    return "pool";
                  }),
      TENON_FAULT("average for maximum pooling", "net_cnn",
                  {
                    p.Node("MaxPool").op_type = "AveragePool";
                    return "pool";
                  }),
      TENON_FAULT("dilation of a convolution", "net_cnn",
                  {
                    p.SetInts(p.Node("Conv", 1), "dilations", {2, 2});
                    p.SetInts(p.Node("Conv", 1), "pads", {2, 2, 2, 2});
                    return "c2";
                  }),
      TENON_FAULT("stride of a convolution", "net_cnn",
                  {
                    p.SetInts(p.Node("Conv", 1), "strides", {2, 2});
                    return "c2";
                  }),
      TENON_FAULT("count_include_pad", "net_cnn",
                  {
                    p.SetInt(p.Node("AveragePool"), "count_include_pad", 1);
                    return "mean_pool";
                  }),
      TENON_FAULT("ceil_mode", "net_cnn",
                  {
                    p.SetInts(p.Node("AveragePool"), "pads", {0, 0, 1, 1});
                    return "mean_pool";
                  }),
      TENON_FAULT("bias left out", "net_cnn",
                  {
                    p.Node("Conv", 1).inputs.resize(2);
                    return "c2";
                  }),
      TENON_FAULT("bias of another layer", "net_cnn",
                  {
                    p.Node("Conv", 0).inputs[2] = "b2";
                    return "c1";
                  }),
      TENON_FAULT("depthwise kernel with permuted channels", "net_cnn",
                  {
                    p.Weight("w3", [](Floats& v, Ints&) { PermuteBlocks(v, {1, 0, 2, 3}); });
                    return "depthwise";
                  }),
      TENON_FAULT("residual subtracted", "net_cnn",
                  {
                    p.Node("Add").op_type = "Sub";
                    return "residual";
                  }),
      TENON_FAULT("residual taken from the wrong place", "net_cnn",
                  {
                    p.Node("Add").inputs[1] = "depthwise";
                    return "residual";
                  }),
      TENON_FAULT("kernel of a transposed convolution with exchanged channels", "net_cnn",
                  {
                    p.Weight("w4", TurnFirstTwo);
                    return "up";
                  }),
      TENON_FAULT("global maximum for global average", "net_cnn",
                  {
                    p.Node("ReduceMean").op_type = "ReduceMax";
                    return "features";
                  }),
      TENON_FAULT("dense weight not transposed", "net_cnn",
                  {
                    p.SetInt(p.Node("Gemm"), "transB", 0);
                    return "logits";
                  }),
      TENON_FAULT("softmax over the batch", "net_cnn",
                  {
                    p.SetInt(p.Node("Softmax"), "axis", 0);
                    return "y";
                  }),
      TENON_FAULT("one weight rounded to half precision", "net_cnn",
                  {
                    p.Weight("w1", [](Floats& v, Ints&) {
                      for (float& x : v) x = RoundToHalf(x);
                    });
                    return "c1";
                  }),
      TENON_FAULT("one element of one weight 0.1 % off", "net_cnn",
                  {
                    p.Weight("w2", [](Floats& v, Ints&) { v[17] *= 1.001F; });
                    return "c2";
                  }),
  };
  return kFaults;
}

}  // namespace tenon::faults
