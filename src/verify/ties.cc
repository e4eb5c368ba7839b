#include "verify/ties.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "ir/eval.h"
#include "ir/numeric.h"
#include "ir/op_def.h"
#include "ir/op_table.h"

namespace tenon::verify {
namespace {

// What rounding explains of input `i` of the node that makes `v`.
double Slack(const Observed& side, ir::Value v, std::size_t i) {
  const ir::Node& node = side.function.graph.node(v);
  if (i >= node.inputs.size() || !node.inputs[i].valid()) return 0;
  const Literal *narrow = side.narrow.Find(node.inputs[i]), *wide = side.wide.Find(node.inputs[i]);
  return narrow == nullptr || wide == nullptr || narrow->dims() != wide->dims() ? 0 : RoundingBudget(*narrow, *wide);
}

Literal Shifted(const Literal& x, double by) {
  std::vector<double> v = ir::ToDoubles(x);
  for (double& e : v) e += by;
  return ir::FromDoubles(DType::kF64, x.dims(), v);
}

// Positions along an axis (argmax, argmin, indices of top_k): theirs holds when its element is as good as mine.
std::vector<bool> RankingTies(const Literal& x, std::int64_t axis, double slack, const std::vector<double>& mine,
                              const std::vector<double>& theirs) {
  const std::vector<std::int64_t>& dims = x.dims();
  if (axis < 0) axis += static_cast<std::int64_t>(dims.size());
  std::size_t outer = 1, inner = 1;
  for (std::size_t i = 0; i < dims.size(); ++i)
    (static_cast<std::int64_t>(i) < axis ? outer : inner) *=
        static_cast<std::int64_t>(i) == axis ? 1 : static_cast<std::size_t>(dims[i]);
  const auto length = static_cast<std::size_t>(dims[static_cast<std::size_t>(axis)]);
  const std::size_t places = outer * inner == 0 ? 0 : mine.size() / (outer * inner);  // k of top_k, else 1
  const std::vector<double> v = ir::ToDoubles(x);
  std::vector<bool> ties(mine.size(), false);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const std::size_t o = i / inner / places, column = i % inner;
    const auto at = [&](double index) { return v[(o * length + static_cast<std::size_t>(index)) * inner + column]; };
    if (theirs[i] < 0 || theirs[i] >= static_cast<double>(length)) continue;
    ties[i] = std::fabs(at(mine[i]) - at(theirs[i])) <= slack;
  }
  return ties;
}

// Monotone functions of each element: theirs holds when some input within the slack gives it.
std::optional<std::vector<bool>> ElementTies(const ir::Node& node, const std::vector<const Literal*>& inputs,
                                             const std::vector<double>& slack, const std::vector<double>& theirs) {
  const bool equality = node.op->name == "equal" || node.op->name == "not_equal";
  std::vector<double> low = theirs, high = theirs;
  bool first = true;
  for (int signs = 0; signs < 9; ++signs) {  // -, 0, + for each of the first two inputs
    std::vector<Literal> shifted;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const int sign = i == 0 ? signs % 3 - 1 : i == 1 ? signs / 3 - 1 : 0;
      shifted.push_back(is_float(inputs[i]->dtype()) ? Shifted(*inputs[i], sign * slack[i]) : *inputs[i]);
    }
    std::vector<ir::Datum> data(shifted.begin(), shifted.end());
    std::vector<const ir::Datum*> pointers;
    for (const ir::Datum& datum : data) pointers.push_back(&datum);
    const Result<std::vector<ir::Datum>> out = ir::EvalOp(*node.op, pointers, node.attrs);
    if (!out.ok() || !(*out)[0].tensor) return std::nullopt;
    const std::vector<double> now = ir::ToDoubles((*out)[0].literal());
    if (now.size() != theirs.size()) return std::nullopt;
    for (std::size_t i = 0; i < now.size(); ++i) {
      low[i] = first ? now[i] : std::min(low[i], now[i]);
      high[i] = first ? now[i] : std::max(high[i], now[i]);
    }
    first = false;
  }
  std::vector<bool> ties(theirs.size());
  for (std::size_t i = 0; i < ties.size(); ++i) ties[i] = theirs[i] >= low[i] && theirs[i] <= high[i];
  if (!equality) return ties;
  // Two numbers are equal to rounding when one is below the other after a shift and above it after the opposite one.
  ir::Node less = node;
  less.op = &ir::GetOp("less");
  std::vector<double> one(theirs.size(), 1), none(theirs.size(), 0);
  const auto may_be_less = ElementTies(less, inputs, slack, one), may_be_not = ElementTies(less, inputs, slack, none);
  if (!may_be_less || !may_be_not) return std::nullopt;
  for (std::size_t i = 0; i < ties.size(); ++i) ties[i] = (*may_be_less)[i] && (*may_be_not)[i];
  return ties;
}

// Whether the op takes decisions on floats that JudgeDecisions understands.
enum class Kind : std::uint8_t { kNone, kPosition, kElement };
Kind KindOf(const ir::Graph& graph, ir::Value v) {
  const ir::Node& node = graph.node(v);
  if (!node.op->Is(ir::kDiscrete) || node.op->Is(ir::kControl)) return Kind::kNone;
  bool floats = false;
  for (const ir::Value in : node.inputs)
    floats = floats || (in.valid() && graph.type(in).is_tensor() && is_float(graph.type(in).dtype()));
  if (!floats) return Kind::kNone;
  const std::string_view op = node.op->name;
  if (op == "argmax" || op == "argmin") return Kind::kPosition;
  if (op == "top_k") return v.index == 1 ? Kind::kPosition : Kind::kNone;
  if (!node.op->Is(ir::kElementwise) || op == "remainder" || op == "fmod") return Kind::kNone;
  return op.starts_with("cast") && is_float(graph.type(v).dtype()) ? Kind::kNone : Kind::kElement;
}

// Whether what `v` is decided on follows from another decision: then a difference may be that one's.
bool FollowsADecision(const ir::Graph& graph, ir::Value v) {
  std::vector<bool> seen(static_cast<std::size_t>(graph.size()), false);
  std::vector<std::int32_t> open = {v.node};
  while (!open.empty()) {
    const std::int32_t id = open.back();
    open.pop_back();
    for (const ir::Value in : graph.node(id).inputs) {
      if (!in.valid() || seen[static_cast<std::size_t>(in.node)]) continue;
      seen[static_cast<std::size_t>(in.node)] = true;
      if (graph.node(in).op->Is(ir::kControl) || KindOf(graph, in) != Kind::kNone) return true;
      open.push_back(in.node);
    }
  }
  return false;
}

}  // namespace

void JudgeDecisions(OutputDifference& d, const Observed& expected, ir::Value v, const Literal& mine,
                    const Observed& got, ir::Value other, const Literal& theirs) {
  const ir::Node& node = expected.function.graph.node(v);
  const Kind kind = KindOf(expected.function.graph, v);
  if (d.verdict == Verdict::kIdentical || kind == Kind::kNone || FollowsADecision(expected.function.graph, v)) return;
  if (mine.dims() != theirs.dims() || mine.dtype() == DType::kString || theirs.dtype() == DType::kString) return;
  std::vector<const Literal*> inputs;
  std::vector<double> slack;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Literal* in = node.inputs[i].valid() ? expected.wide.Find(node.inputs[i]) : nullptr;
    if (in == nullptr || in->dtype() == DType::kString) return;
    inputs.push_back(in);
    slack.push_back(std::max(Slack(expected, v, i), Slack(got, other, i)));
  }
  const std::vector<double> m = ir::ToDoubles(mine), t = ir::ToDoubles(theirs);
  std::optional<std::vector<bool>> ties;
  if (kind == Kind::kPosition)
    ties = RankingTies(*inputs[0], node.attrs.Int("axis"), 2 * slack[0], m, t);
  else
    ties = ElementTies(node, inputs, slack, t);
  if (!ties) return;
  d.ties = 0;
  bool bug = false;
  for (std::size_t i = 0; i < m.size(); ++i) {
    if (m[i] == t[i] || (std::isnan(m[i]) && std::isnan(t[i]))) continue;
    if ((*ties)[i])
      ++d.ties;
    else
      bug = true;
  }
  d.verdict = bug ? Verdict::kBug : Verdict::kRounding;
}

}  // namespace tenon::verify
