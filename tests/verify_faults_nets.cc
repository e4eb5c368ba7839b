// Small networks with what can go wrong in a conversion.
#include <cmath>
#include <map>
#include <stdexcept>

#include "formats/onnx/data_type.h"
#include "ir/numeric.h"
#include "verify_faults_plant.h"

namespace tenon::faults {
namespace {

using Ints = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

onnx::Attribute Named(std::string name, onnx::AttributeType type) {
  onnx::Attribute a;
  a.name = std::move(name);
  a.type = type;
  return a;
}
onnx::Attribute I(std::string name, std::int64_t v) {
  onnx::Attribute a = Named(std::move(name), onnx::AttributeType::kInt);
  a.ints = {v};
  return a;
}
onnx::Attribute Is(std::string name, Ints v) {
  onnx::Attribute a = Named(std::move(name), onnx::AttributeType::kInts);
  a.ints = std::move(v);
  return a;
}
onnx::Attribute F(std::string name, float v) {
  onnx::Attribute a = Named(std::move(name), onnx::AttributeType::kFloat);
  a.floats = {v};
  return a;
}
onnx::Attribute S(std::string name, std::string v) {
  onnx::Attribute a = Named(std::move(name), onnx::AttributeType::kString);
  a.strings = {std::move(v)};
  return a;
}

class Maker {
 public:
  explicit Maker(std::int64_t opset) {
    model.ir_version = 10;
    model.opset_imports = {{"", opset}};
    model.graph.emplace().name = "net";
  }
  onnx::Model model;

  void Input(const std::string& name, const Ints& dims) { Declare(model.graph->inputs, name, dims); }
  void Output(const std::string& name) {
    onnx::ValueInfo& v = model.graph->outputs.emplace_back();
    v.name = name;
    v.type.kind = onnx::TypeKind::kTensor;
    v.type.elem_type = onnx::FromDType(DType::kF32);
  }
  // Normal numbers with that mean and deviation.
  std::string Weight(const std::string& name, const Ints& dims, double deviation = 0.5, double mean = 0) {
    std::size_t n = 1;
    for (const std::int64_t d : dims) n *= static_cast<std::size_t>(d);
    std::vector<double> values(n);
    for (double& v : values) {
      const double u = Uniform(), w = Uniform();
      v = mean + deviation * std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * w);
    }
    return Value(name, ir::FromDoubles(DType::kF32, dims, values));
  }
  std::string Positive(const std::string& name, const Ints& dims) {
    Weight(name, dims, 0.3, 0);
    onnx::Tensor& t = model.graph->initializers.back();
    std::vector<double> values = ir::ToDoubles(*t.value);
    for (double& v : values) v = 0.5 + v * v * 4;
    t.value = ir::FromDoubles(DType::kF32, dims, values);
    return name;
  }
  std::string Scalars(const std::string& name, const Ints& values) {
    return Value(name, ir::FromInts(DType::kI64, {static_cast<std::int64_t>(values.size())}, values));
  }
  std::string Value(const std::string& name, Literal value) {
    onnx::Tensor& t = model.graph->initializers.emplace_back();
    t.name = name;
    t.value = std::move(value);
    return name;
  }
  std::string Node(const std::string& op, Names inputs, const std::string& output,
                   std::vector<onnx::Attribute> attributes = {}) {
    return Nodes(op, std::move(inputs), {output}, std::move(attributes));
  }
  std::string Nodes(const std::string& op, Names inputs, Names outputs, std::vector<onnx::Attribute> attributes = {}) {
    onnx::Node& n = model.graph->nodes.emplace_back();
    n.op_type = op;
    n.name = "node_" + outputs[0];
    n.inputs = std::move(inputs);
    n.outputs = std::move(outputs);
    n.attributes = std::move(attributes);
    return n.outputs[0];
  }

 private:
  static void Declare(std::vector<onnx::ValueInfo>& list, const std::string& name, const Ints& dims) {
    onnx::ValueInfo& v = list.emplace_back();
    v.name = name;
    v.type.kind = onnx::TypeKind::kTensor;
    v.type.elem_type = onnx::FromDType(DType::kF32);
    v.type.shape.emplace();
    for (const std::int64_t d : dims) v.type.shape->emplace_back().value = d;
  }
  double Uniform() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return (static_cast<double>(state_ >> 11) + 0.5) * 0x1p-53;
  }
  std::uint64_t state_ = 42;
};

onnx::Model Cnn() {
  Maker m(17);
  m.Input("x", {2, 3, 11, 11});
  m.Node("Conv", {"x", m.Weight("w1", {4, 3, 3, 3}), m.Weight("b1", {4})}, "c1", {Is("pads", {1, 1, 1, 1})});
  m.Node("BatchNormalization",
         {"c1", m.Weight("scale", {4}, 0.3, 1), m.Weight("shift", {4}), m.Weight("mean", {4}),
          m.Positive("variance", {4})},
         "bn", {F("epsilon", 1e-5F)});
  m.Node("Relu", {"bn"}, "relu");
  m.Node("MaxPool", {"relu"}, "pool", {Is("kernel_shape", {3, 3}), Is("strides", {2, 2}), Is("pads", {1, 1, 1, 1})});
  m.Node("Conv", {"pool", m.Weight("w2", {4, 4, 3, 3}), m.Weight("b2", {4})}, "c2",
         {Is("pads", {1, 1, 1, 1}), Is("strides", {1, 1}), Is("dilations", {1, 1})});
  m.Node("Clip", {"c2", m.Value("low", Literal::scalar(0.0F)), m.Value("high", Literal::scalar(6.0F))}, "relu6");
  m.Node("AveragePool", {"relu6"}, "mean_pool",
         {Is("kernel_shape", {3, 3}), Is("strides", {2, 2}), Is("pads", {1, 1, 1, 1}), I("count_include_pad", 0),
          I("ceil_mode", 0)});
  m.Node("Conv", {"mean_pool", m.Weight("w3", {4, 1, 3, 3})}, "depthwise", {I("group", 4), Is("pads", {1, 1, 1, 1})});
  m.Node("Add", {"depthwise", "mean_pool"}, "residual");
  m.Node("ConvTranspose", {"residual", m.Weight("w4", {4, 4, 2, 2})}, "up", {Is("strides", {2, 2})});
  m.Node("ReduceMean", {"up"}, "features", {Is("axes", {2, 3}), I("keepdims", 0)});
  m.Node("Gemm", {"features", m.Weight("w5", {4, 4}), m.Weight("b5", {4})}, "logits",
         {I("transB", 1), F("alpha", 1), F("beta", 1)});
  m.Node("Softmax", {"logits"}, "y", {I("axis", 1)});
  m.Output("y");
  return m.model;
}

onnx::Model Mlp() {
  Maker m(20);
  m.Input("x", {8, 8});
  m.Node("MatMul", {"x", m.Weight("w1", {8, 8})}, "h1");
  m.Node("Add", {"h1", m.Weight("b1", {8})}, "h2");
  m.Node("LeakyRelu", {"h2"}, "leaky", {F("alpha", 0.01F)});
  m.Node("LayerNormalization", {"leaky", m.Weight("gain", {8}, 0.3, 1), m.Weight("offset", {8})}, "norm",
         {I("axis", -1), F("epsilon", 1e-5F)});
  m.Node("Gelu", {"norm"}, "gelu", {S("approximate", "none")});
  m.Node("Sub", {"gelu", "x"}, "difference");
  m.Node("Sigmoid", {"difference"}, "gate");
  m.Node("Add", {"gate", m.Value("one", Literal::scalar(1.0F))}, "positive");
  m.Node("Div", {"difference", "positive"}, "quotient");
  m.Node("Elu", {"quotient"}, "elu", {F("alpha", 1)});
  m.Node("Gemm", {"elu", m.Weight("w2", {8, 8}), m.Weight("b2", {8})}, "gemm",
         {I("transB", 1), F("alpha", 0.5F), F("beta", 1)});
  m.Node("HardSigmoid", {"gemm"}, "hard", {F("alpha", 0.2F), F("beta", 0.5F)});
  m.Node("Mul", {"gemm", "hard"}, "product");
  m.Node("Tanh", {"product"}, "tanh");
  m.Node("Pow", {"tanh", m.Value("two", Literal::scalar(2.0F))}, "square");
  m.Node("MatMul", {"square", "gemm"}, "mixed");
  m.Node("LpNormalization", {"mixed"}, "unit", {I("axis", -1), I("p", 2)});
  m.Node("Neg", {"unit"}, "y");
  m.Output("y");
  return m.model;
}

onnx::Model Attention() {
  Maker m(17);
  m.Input("x", {2, 4, 8});
  for (const char* name : {"q", "k", "v"}) {
    const std::string n = name;
    m.Node("MatMul", {"x", m.Weight("w" + n, {8, 8})}, n + "_flat");
    m.Node("Reshape", {n + "_flat", m.Scalars("dims_" + n, {2, 4, 4, 2})}, n + "_heads", {I("allowzero", 0)});
    m.Node("Transpose", {n + "_heads"}, n, {Is("perm", {0, 2, 1, 3})});
  }
  m.Node("Transpose", {"k"}, "k_turned", {Is("perm", {0, 1, 3, 2})});
  m.Node("MatMul", {"q", "k_turned"}, "scores");
  m.Node("Mul", {"scores", m.Value("scale", Literal::scalar(0.70710678F))}, "scaled");
  m.Node("Softmax", {"scaled"}, "weights", {I("axis", -1)});
  m.Node("MatMul", {"weights", "v"}, "context");
  m.Node("Transpose", {"context"}, "together", {Is("perm", {0, 2, 1, 3})});
  m.Node("Reshape", {"together", m.Scalars("dims", {2, 4, 8})}, "merged", {I("allowzero", 0)});
  m.Node("MatMul", {"merged", m.Weight("wo", {8, 8})}, "projected");
  m.Node("Add", {"projected", "x"}, "y");
  m.Output("y");
  return m.model;
}

onnx::Model Recurrent() {
  Maker m(17);
  m.Input("x", {5, 2, 4});
  m.Nodes("LSTM", {"x", m.Weight("w", {1, 16, 4}), m.Weight("r", {1, 16, 4}), m.Weight("b", {1, 32})}, {"lstm"},
          {I("hidden_size", 4), S("direction", "forward")});
  m.Node("Squeeze", {"lstm", m.Scalars("one", {1})}, "steps");
  m.Nodes("GRU", {"steps", m.Weight("gw", {1, 12, 4}), m.Weight("gr", {1, 12, 4}), m.Weight("gb", {1, 24})}, {"gru"},
          {I("hidden_size", 4), I("linear_before_reset", 1)});
  m.Node("Squeeze", {"gru", "one"}, "y");
  m.Output("y");
  return m.model;
}

onnx::Model Shapes() {
  Maker m(18);
  m.Input("x", {2, 4, 6, 6});
  m.Node("Pad", {"x", m.Scalars("pads", {0, 0, 1, 1, 0, 0, 1, 1})}, "padded", {S("mode", "reflect")});
  m.Node("Slice", {"padded", m.Scalars("starts", {1, 0}), m.Scalars("ends", {7, 6}), m.Scalars("axes", {2, 3})},
         "part");
  m.Node("Transpose", {"part"}, "nhwc", {Is("perm", {0, 2, 3, 1})});
  m.Node("Mul", {"nhwc", m.Weight("channel_scale", {4})}, "scaled");
  m.Node("Transpose", {"scaled"}, "nchw", {Is("perm", {0, 3, 1, 2})});
  m.Node("Resize", {"nchw", "", "", m.Scalars("sizes", {2, 4, 8, 8})}, "resized",
         {S("mode", "linear"), S("coordinate_transformation_mode", "half_pixel")});
  m.Node("Gather", {"resized", m.Scalars("rows", {0, 2, 4, 5})}, "picked", {I("axis", 2)});
  m.Nodes("Split", {"picked", m.Scalars("halves", {2, 2})}, {"left", "right"}, {I("axis", 1)});
  m.Node("Concat", {"left", "right"}, "joined", {I("axis", 2)});
  m.Node("CumSum", {"joined", m.Value("axis", Literal::scalar(std::int64_t{2}))}, "sums", {I("exclusive", 0)});
  m.Node("ReduceMean", {"sums", m.Scalars("last", {3})}, "means", {I("keepdims", 1)});
  m.Node("Sub", {"sums", "means"}, "centred");
  m.Node("DepthToSpace", {"nchw"}, "shuffled", {I("blocksize", 2), S("mode", "DCR")});
  m.Node("ReduceMax", {"shuffled", m.Scalars("two_last", {2, 3})}, "largest", {I("keepdims", 1)});
  m.Node("Mul", {"centred", "largest"}, "weighted");
  m.Node("Transpose", {"weighted"}, "turned", {Is("perm", {0, 2, 1, 3})});
  m.Node("Where",
         {m.Value("mask", ir::FromInts(DType::kBool, {8}, {1, 0, 1, 1, 0, 0, 1, 0})), "turned", "picked_first"},
         "chosen");
  m.Node("Unsqueeze", {"means", m.Scalars("zero", {0})}, "unsqueezed");
  m.Node("ReduceSum", {"unsqueezed", m.Scalars("all", {0, 1, 2, 3, 4})}, "picked_first", {I("keepdims", 0)});
  m.Node("LogSoftmax", {"chosen"}, "y", {I("axis", -1)});
  m.Output("y");
  return m.model;
}

onnx::Model Quantized() {
  Maker m(17);
  m.Input("x", {4, 8});
  const auto scale = [&](const std::string& name, float v) { return m.Value(name, Literal::scalar(v)); };
  const auto zero = [&](const std::string& name, std::int64_t v) {
    return m.Value(name, ir::FromInts(DType::kU8, {}, {v}));
  };
  m.Node("QuantizeLinear", {"x", scale("sx", 0.05F), zero("zx", 128)}, "qx");
  m.Node("DequantizeLinear", {"qx", "sx", "zx"}, "dx");
  m.Node("MatMul", {"dx", m.Weight("w", {8, 8})}, "product");
  m.Node("QuantizeLinear", {"product", scale("sp", 0.11F), zero("zp", 117)}, "qp");
  m.Node("DequantizeLinear", {"qp", scale("sd", 0.11F), zero("zd", 117)}, "dp");
  m.Node("Relu", {"dp"}, "y");
  m.Output("y");
  return m.model;
}

const std::map<std::string, onnx::Model (*)()>& Nets() {
  static const std::map<std::string, onnx::Model (*)()> kNets = {{"net_cnn", Cnn},
                                                                 {"net_mlp", Mlp},
                                                                 {"net_attention", Attention},
                                                                 {"net_recurrent", Recurrent},
                                                                 {"net_shapes", Shapes},
                                                                 {"net_quantized", Quantized}};
  return kNets;
}

}  // namespace

onnx::Model Net(const std::string& name) {
  const auto it = Nets().find(name);
  if (it == Nets().end()) throw std::runtime_error("no net " + name);
  return it->second();
}

std::vector<std::string> NetNames() {
  std::vector<std::string> names;
  for (const auto& [name, make] : Nets()) names.push_back(name);
  return names;
}

}  // namespace tenon::faults
