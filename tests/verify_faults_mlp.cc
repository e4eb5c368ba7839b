// Faults in the dense network: products, activations, norms.
#include <algorithm>

#include "verify_faults_edit.h"

namespace tenon::faults {

const std::vector<Fault>& MlpFaults() {
  static const std::vector<Fault> kFaults = {
      TENON_FAULT("dense kernel transposed", "net_mlp",
                  {
                    p.Weight("w1", TurnLastTwo);
                    return "h1";
                  }),
      TENON_FAULT("operands of a matrix product exchanged", "net_mlp",
                  {
                    std::swap(p.Node("MatMul", 1).inputs[0], p.Node("MatMul", 1).inputs[1]);
                    return "mixed";
                  }),
      TENON_FAULT("slope of a leaky relu", "net_mlp",
                  {
                    p.SetFloat(p.Node("LeakyRelu"), "alpha", 0.2F);
                    return "leaky";
                  }),
      TENON_FAULT("epsilon of a layer normalization", "net_mlp",
                  {
                    p.SetFloat(p.Node("LayerNormalization"), "epsilon", 1e-2F);
                    return "norm";
                  }),
      TENON_FAULT("axis of a layer normalization", "net_mlp",
                  {
                    p.Erase(p.Node("LayerNormalization"), "axis");
                    p.SetInt(p.Node("LayerNormalization"), "axis", 0);
                    p.Weight("gain", [](Floats& v, Ints& dims) {
                      v.resize(64);
                      for (std::size_t i = 8; i < 64; ++i) v[i] = v[i % 8];
                      dims = {8, 8};
                    });
                    p.Weight("offset", [](Floats& v, Ints& dims) {
                      v.resize(64);
                      for (std::size_t i = 8; i < 64; ++i) v[i] = v[i % 8];
                      dims = {8, 8};
                    });
                    return "norm";
                  }),
      TENON_FAULT("gain of a layer normalization left at one", "net_mlp",
                  {
                    p.Weight("gain", [](Floats& v, Ints&) { std::fill(v.begin(), v.end(), 1.0F); });
                    return "norm";
                  }),
      TENON_FAULT("approximate gelu", "net_mlp",
                  {
                    p.SetString(p.Node("Gelu"), "approximate", "tanh");
                    return "gelu";
                  }),
      TENON_FAULT("operands of a subtraction exchanged", "net_mlp",
                  {
                    std::swap(p.Node("Sub").inputs[0], p.Node("Sub").inputs[1]);
                    return "difference";
                  }),
      TENON_FAULT("operands of a division exchanged", "net_mlp",
                  {
                    std::swap(p.Node("Div").inputs[0], p.Node("Div").inputs[1]);
                    return "quotient";
                  }),
      TENON_FAULT("alpha of an elu", "net_mlp",
                  {
                    p.SetFloat(p.Node("Elu"), "alpha", 1.5F);
                    return "elu";
                  }),
      TENON_FAULT("alpha of a gemm", "net_mlp",
                  {
                    p.SetFloat(p.Node("Gemm"), "alpha", 1);
                    return "gemm";
                  }),
      TENON_FAULT("beta of a gemm", "net_mlp",
                  {
                    p.SetFloat(p.Node("Gemm"), "beta", 0.5F);
                    return "gemm";
                  }),
      TENON_FAULT("slope of a hard sigmoid", "net_mlp",
                  {
                    p.SetFloat(p.Node("HardSigmoid"), "alpha", 1.0F / 6);
                    return "hard";
                  }),
      TENON_FAULT("sign", "net_mlp",
                  {
                    p.Node("Neg").op_type = "Identity";
                    return "y";
                  }),
      TENON_FAULT("sigmoid for tanh", "net_mlp",
                  {
                    p.Node("Tanh").op_type = "Sigmoid";
                    return "tanh";
                  }),
      TENON_FAULT("order of bias and activation", "net_mlp",
                  {
                    // leaky(h1) + b1 for leaky(h1 + b1)
                    p.Node("LeakyRelu").inputs[0] = "h1";
                    p.Node("Add").inputs[0] = "leaky";
                    p.Node("LayerNormalization").inputs[0] = "h2";
                    return "h2";
                  }),
      TENON_FAULT("norm of the wrong kind", "net_mlp",
                  {
                    p.SetInt(p.Node("LpNormalization"), "p", 1);
                    return "unit";
                  }),
  };
  return kFaults;
}

}  // namespace tenon::faults
