// ai.onnx.preview.training: steps of optimizers, and gradients of what the graph around computes.
#include <fmt/format.h>

#include <unordered_map>

#include "autograd/gradients.h"
#include "formats/onnx/ops/families.h"
#include "formats/onnx/translator.h"

namespace tenon::onnx {
namespace {

constexpr std::string_view kTraining = "ai.onnx.preview.training";

// Inputs: learning rate, number of the step, then `groups` lists of equal length; output list k stands behind list
// k - 1. Calls f(rate, step, one of each list) for its new values.
template <class F>
Status Step(NodeContext& n, int groups, int results, F f) {
  const int count = (n.num_inputs() - 2) / groups;
  if (count < 1 || n.num_inputs() != 2 + count * groups || n.num_outputs() > count * results)
    return n.Fail(fmt::format("{} inputs and {} outputs, expected 2 + {} and {} for each tensor", n.num_inputs(),
                              n.num_outputs(), groups, results));
  for (int i = 0; i < n.num_inputs(); ++i)
    if (!n.has(i)) return n.Fail(fmt::format("input {} is left out", i));
  for (int k = 0; k < count; ++k) {
    std::vector<Ex> args;
    for (int g = 0; g < groups; ++g) args.push_back(n.x(2 + g * count + k));
    const DType dtype = args[0].dtype();
    const Ex rate = n.ex(n.b.Cast(n.Reshape(n.in(0), {}), dtype)), step = n.ex(n.b.Cast(n.Reshape(n.in(1), {}), dtype));
    const std::vector<Ex> out = f(rate, step, args);
    for (int r = 0; r < results; ++r) n.Out(r * count + k, out[static_cast<std::size_t>(r)]);
  }
  return {};
}

// `first` before the first step, `later` from then on.
Ex ByStep(NodeContext& n, Ex step, Ex first, Ex later) {
  return Select(Op("greater", step, n.Scalar(0, step.dtype())), later, first);
}

Status Adagrad(NodeContext& n) {
  const double decay = n.Float("decay_factor", 0), epsilon = n.Float("epsilon", 0),
               norm = n.Float("norm_coefficient", 0);
  return Step(n, 3, 2, [&](Ex rate, Ex step, const std::vector<Ex>& in) {
    const Ex g = in[0] * norm + in[1], h = in[2] + g * g;
    return std::vector<Ex>{in[0] - rate / (step * decay + 1.0) * g / (Op("sqrt", h) + epsilon), h};
  });
}

Status Adam(NodeContext& n) {
  const double alpha = n.Float("alpha", 0.9), beta = n.Float("beta", 0.999), epsilon = n.Float("epsilon", 0);
  const double norm = n.Float("norm_coefficient", 0), after = n.Float("norm_coefficient_post", 0);
  return Step(n, 4, 3, [&](Ex rate, Ex step, const std::vector<Ex>& in) {
    const DType dtype = in[0].dtype();
    const Ex g = in[0] * norm + in[1];
    const Ex v = in[2] * alpha + g * (1 - alpha), h = in[3] * beta + g * g * (1 - beta);
    const auto power = [&](double base) { return Op("power", n.Scalar(base, dtype), step); };
    const Ex corrected = rate * Op("sqrt", 1.0 - power(beta)) / (1.0 - power(alpha));
    const Ex x = in[0] - ByStep(n, step, rate, corrected) * (v / (Op("sqrt", h) + epsilon));
    return std::vector<Ex>{x * (1 - after), v, h};
  });
}

Status Momentum(NodeContext& n) {
  const double alpha = n.Float("alpha", 0), beta = n.Float("beta", 0), norm = n.Float("norm_coefficient", 0);
  const std::string mode = n.String("mode", "");
  if (mode != "standard" && mode != "nesterov")
    return n.Fail(fmt::format("mode is \"{}\", expected standard or nesterov", mode));
  return Step(n, 3, 2, [&](Ex rate, Ex step, const std::vector<Ex>& in) {
    const DType dtype = in[0].dtype();
    const Ex g = in[0] * norm + in[1];
    const Ex v = in[2] * alpha + ByStep(n, step, n.Scalar(1, dtype), n.Scalar(beta, dtype)) * g;
    const Ex move = mode == "standard" ? v : g + v * alpha;
    return std::vector<Ex>{in[0] - rate * move, v};
  });
}

// y computed again with other values in place of some.
Value WithValues(NodeContext& n, Value y, const std::unordered_map<Value, Value, ir::ValueHash>& replaced) {
  std::unordered_map<Value, Value, ir::ValueHash> moved = replaced;
  const std::int32_t size = n.b.graph().size();
  for (std::int32_t id = 0; id < size && id <= y.node; ++id) {
    const ir::Node node = n.b.graph().node(id);
    std::vector<Value> inputs = node.inputs;
    bool changed = false;
    for (Value& v : inputs)
      if (const auto found = moved.find(v); v.valid() && found != moved.end()) {
        v = found->second;
        changed = true;
      }
    if (!changed || replaced.contains({id, 0})) continue;
    const std::vector<Value> outputs = n.b.AddAll(*node.op, std::move(inputs), node.attrs);
    for (std::size_t k = 0; k < outputs.size(); ++k) moved.insert({{id, static_cast<std::int32_t>(k)}, outputs[k]});
  }
  const auto found = moved.find(y);
  return found == moved.end() ? y : found->second;
}

// The gradients of the value named y with respect to those named xs, those named zs held fixed, all of them having the
// values of the inputs.
Status Gradient(NodeContext& n) {
  std::vector<std::string> names = n.StringList("xs");
  const std::size_t wanted = names.size();
  for (const std::string& name : n.StringList("zs")) names.push_back(name);
  if (static_cast<int>(names.size()) != n.num_inputs())
    return n.Fail(fmt::format("{} names for {} inputs", names.size(), n.num_inputs()));
  if (n.num_outputs() > static_cast<int>(wanted))
    return n.Fail(fmt::format("{} outputs for {} names", n.num_outputs(), wanted));
  const auto find = [&](const std::string& name) {
    const auto found = n.scope().values.find(name);
    return found == n.scope().values.end() ? Value() : found->second;
  };
  Value y = find(n.String("y", ""));
  if (!y.valid()) return n.Fail(fmt::format("no value is called \"{}\"", n.String("y", "")));
  std::vector<Value> sources;
  std::unordered_map<Value, Value, ir::ValueHash> replaced;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Value named = find(names[i]), given = n.in(static_cast<int>(i));
    if (!named.valid() || !given.valid()) return n.Fail(fmt::format("no value is called \"{}\"", names[i]));
    if (named != given) replaced.insert({named, given});
    sources.push_back(given);
  }
  if (!replaced.empty()) y = WithValues(n, y, replaced);
  TENON_RETURN_IF_ERROR(n.b.status());
  autograd::GradientOptions options;
  options.stop_at_sources = true;
  const Value targets[] = {y}, ones[] = {Value()};
  TENON_ASSIGN_OR_RETURN(const std::vector<Value> out, autograd::Gradients(n.b, targets, ones, sources, options));
  for (std::size_t i = 0; i < wanted; ++i)
    n.Out(static_cast<int>(i), out[i].valid() ? out[i] : n.b.ZerosLike(sources[i]));
  return {};
}

const OpRow kRows[] = {
    {"Adagrad", 5, -1, -1, "decay_factor:f epsilon:f norm_coefficient:f", Adagrad, {}, kTraining},
    {"Adam", 6, -1, -1, "alpha:f beta:f epsilon:f norm_coefficient:f norm_coefficient_post:f", Adam, {}, kTraining},
    {"Momentum", 5, -1, -1, "alpha:f beta:f mode:s norm_coefficient:f", Momentum, {}, kTraining},
    {"Gradient", 1, -1, -1, "xs:ss y:s zs:ss", Gradient, {}, kTraining},
};

}  // namespace
const std::span<const OpRow> kTrainingRows = kRows;
}  // namespace tenon::onnx
