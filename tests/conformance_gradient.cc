// Check 4: gradients against central finite differences in float64, and the gradient of the lowering against them.
#include <algorithm>
#include <cmath>

#include "autograd/gradients.h"
#include "base/status_macros.h"
#include "conformance.h"
#include "ir/numeric.h"

namespace tenon::conformance {
namespace {

bool Continuous(DType t) { return (ir::kFloatSet & ir::Only(t)) != 0; }

// A graph, and the graph of its gradients.
struct Problem {
  ir::Graph forward;
  std::vector<ir::Datum> data;       // of forward's inputs
  std::vector<std::size_t> sources;  // of data: float inputs that are differentiable
  std::vector<std::size_t> targets;  // indices of the float outputs
  std::vector<Literal> cotangents;   // of the targets
  ir::Graph backward;                // inputs: those of forward, the cotangents; outputs: the gradients of the sources
  std::vector<bool> absent;          // sources without a gradient: zero
};

Result<std::vector<ir::Datum>> Run(const ir::Graph& graph, std::vector<ir::Datum> data) {
  ir::EvalOptions options;
  options.float64 = true;
  return ir::EvalGraph(graph, std::move(data), options);
}

std::vector<ir::Datum> BackwardData(const Problem& p) {
  std::vector<ir::Datum> data = p.data;
  for (const Literal& l : p.cotangents) data.emplace_back(l);
  return data;
}

Status AddGradients(Problem& p) {
  p.backward = p.forward;
  ir::Builder b(&p.backward);
  const std::vector<ir::Value> inputs = p.backward.inputs(), outputs = p.backward.outputs();
  std::vector<ir::Value> targets, cotangents, sources, gradients;
  for (const std::size_t k : p.targets) {
    targets.push_back(outputs[k]);
    cotangents.push_back(b.Input("cotangent" + std::to_string(inputs.size() + k), b.type(outputs[k])));
  }
  TENON_RETURN_IF_ERROR(b.status());
  for (const std::size_t i : p.sources) sources.push_back(inputs[i]);
  TENON_ASSIGN_OR_RETURN(const std::vector<ir::Value> found, autograd::Gradients(b, targets, cotangents, sources));
  p.absent.clear();
  for (const ir::Value g : found) {
    p.absent.push_back(!g.valid());
    if (g.valid()) gradients.push_back(g);
  }
  p.backward.set_outputs(std::move(gradients));
  return {};
}

// Nothing to differentiate: no problem.
Result<std::optional<Problem>> MakeProblem(ir::Graph forward, std::vector<ir::Datum> data,
                                           std::vector<std::size_t> sources) {
  if (sources.empty()) return std::optional<Problem>();
  Problem p;
  p.forward = std::move(forward);
  p.data = std::move(data);
  p.sources = std::move(sources);
  TENON_ASSIGN_OR_RETURN(const std::vector<ir::Datum> out, Run(p.forward, p.data));
  for (std::size_t k = 0; k < out.size(); ++k) {
    if (!out[k].tensor || !Continuous(out[k].literal().dtype())) continue;
    p.targets.push_back(k);
    p.cotangents.push_back(Noise(out[k].literal().dims(), static_cast<int>(k) + 77));
  }
  if (p.targets.empty()) return std::optional<Problem>();
  TENON_RETURN_IF_ERROR(AddGradients(p));
  return std::optional<Problem>(std::move(p));
}
Result<std::optional<Problem>> MakeProblem(const Case& c, bool lowered) {
  std::vector<std::size_t> sources;
  std::size_t at = 0;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i]) continue;
    const ir::Port& port = c.op->inputs[std::min(i, c.op->inputs.size() - 1)];
    if (Continuous(c.inputs[i]->dtype()) && (port.flags & ir::kNotDifferentiable) == 0) sources.push_back(at);
    ++at;
  }
  TENON_ASSIGN_OR_RETURN(Wired wired, Wire(c, {.lowered = lowered}));
  return MakeProblem(std::move(wired.graph), std::move(wired.data), std::move(sources));
}

// One literal a source, zeros for those that get none.
Result<std::vector<Literal>> Gradients(const Problem& p) {
  TENON_ASSIGN_OR_RETURN(const std::vector<ir::Datum> found, Run(p.backward, BackwardData(p)));
  std::vector<Literal> out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < p.sources.size(); ++i)
    out.push_back(p.absent[i] ? Literal(DType::kF64, p.data[p.sources[i]].literal().dims()) : found[at++].literal());
  return out;
}

// sum_k <cotangent_k, output_k> with input `source` replaced.
Result<double> Objective(const Problem& p, std::size_t source, const std::vector<double>& values) {
  std::vector<ir::Datum> data = p.data;
  data[source] = ir::Datum(ir::FromDoubles(DType::kF64, data[source].literal().dims(), values));
  TENON_ASSIGN_OR_RETURN(const std::vector<ir::Datum> out, Run(p.forward, std::move(data)));
  double sum = 0;
  for (std::size_t k = 0; k < p.targets.size(); ++k) {
    const std::vector<double> y = ir::ToDoubles(out[p.targets[k]].literal()), d = ir::ToDoubles(p.cotangents[k]);
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * d[i];
  }
  return sum;
}

// The derivative along `direction`, by the five-point formula: its error is of the fourth order in the step.
Result<double> Difference(const Problem& p, std::size_t source, const std::vector<double>& direction, double step) {
  const std::vector<double> x = ir::ToDoubles(p.data[source].literal());
  double sum = 0;
  for (const auto& [times, weight] : {std::pair(-2.0, 1.0), {-1.0, -8.0}, {1.0, 8.0}, {2.0, -1.0}}) {
    std::vector<double> moved = x;
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += times * step * direction[i];
    TENON_ASSIGN_OR_RETURN(const double f, Objective(p, source, moved));
    sum += weight * f;
  }
  return sum / (12 * step);
}

void ExpectNear(double difference, double gradient, std::string_view what) {
  const double limit = 2e-6 * (1 + std::fabs(difference) + std::fabs(gradient));
  EXPECT_TRUE(std::fabs(difference - gradient) <= limit)
      << what << ": gradient " << gradient << ", finite difference " << difference;
}

constexpr std::size_t kMaxElements = 12;  // of each input; beyond them one random direction stands for the rest

void CompareWithDifferences(const Problem& p, const std::vector<Literal>& gradients) {
  for (std::size_t s = 0; s < p.sources.size(); ++s) {
    const std::size_t source = p.sources[s];
    const std::vector<double> x = ir::ToDoubles(p.data[source].literal()), g = ir::ToDoubles(gradients[s]);
    ASSERT_EQ(gradients[s].dims(), p.data[source].literal().dims())
        << "the gradient of input " << source << " has other dims";
    if (x.empty()) continue;
    const std::size_t stride = std::max<std::size_t>(1, x.size() / kMaxElements);
    for (std::size_t i = 0; i < x.size(); i += stride) {
      std::vector<double> direction(x.size(), 0);
      direction[i] = 1;
      const auto difference = Difference(p, source, direction, 1e-4 * std::max(1.0, std::fabs(x[i])));
      ASSERT_TRUE(difference.ok()) << difference.status().message();
      ExpectNear(*difference, g[i],
                 "input " + std::to_string(source) + ", element " + std::to_string(i) + " at " + std::to_string(x[i]));
    }
    std::vector<double> direction = ir::ToDoubles(Noise({static_cast<std::int64_t>(x.size())}, 5));
    double along = 0;
    for (std::size_t i = 0; i < x.size(); ++i) along += direction[i] * g[i];
    const auto difference = Difference(p, source, direction, 1e-4);
    ASSERT_TRUE(difference.ok()) << difference.status().message();
    ExpectNear(*difference, along, "input " + std::to_string(source) + ", along a random direction");
  }
}

// Differentiable samples, in f64 where there is such a case.
std::vector<const Case*> Differentiable(const Op& op) {
  std::vector<const Case*> out;
  for (const Case& c : op.cases) {
    if (!c.sample->gradient) continue;
    const auto wide = std::find_if(op.cases.begin(), op.cases.end(), [&](const Case& other) {
      return other.sample == c.sample && std::any_of(other.inputs.begin(), other.inputs.end(),
                                                     [](const auto& in) { return in && in->dtype() == DType::kF64; });
    });
    const Case* chosen = wide == op.cases.end() ? &c : &*wide;
    if (c.own) out.push_back(chosen);
  }
  return out;
}

}  // namespace

void CheckGradient(const Op& op) {
  for (const Case* c : Differentiable(op)) {
    SCOPED_TRACE(c->name());
    const auto problem = MakeProblem(*c, false);
    ASSERT_TRUE(problem.ok()) << problem.status().message();
    if (!*problem) continue;
    const auto gradients = Gradients(**problem);
    ASSERT_TRUE(gradients.ok()) << gradients.status().message();
    CompareWithDifferences(**problem, *gradients);
  }
}

// The gradient's own gradient, where the ops of the gradient have one.
void CheckSecondGradient(const Op& op) {
  for (const Case* c : Differentiable(op)) {
    SCOPED_TRACE(c->name());
    const auto first = MakeProblem(*c, false);
    ASSERT_TRUE(first.ok()) << first.status().message();
    if (!*first) continue;
    std::vector<std::size_t> sources = (*first)->sources;
    const std::vector<ir::Datum> data = BackwardData(**first);
    for (std::size_t k = (*first)->data.size(); k < data.size(); ++k) sources.push_back(k);  // linear in the cotangents
    const auto second = MakeProblem((*first)->backward, data, std::move(sources));
    if (second.status().message().find("is not differentiable") != std::string::npos)
      GTEST_SKIP() << second.status().message();
    ASSERT_TRUE(second.ok()) << second.status().message();
    if (!*second) continue;
    const auto gradients = Gradients(**second);
    ASSERT_TRUE(gradients.ok()) << gradients.status().message();
    CompareWithDifferences(**second, *gradients);
  }
}

void CheckGradientOfLowering(const Op& op) {
  if (op.def->grad == nullptr || op.def->lower == nullptr) return;
  for (const Case* c : Differentiable(op)) {
    SCOPED_TRACE(c->name());
    const auto own = MakeProblem(*c, false), lowered = MakeProblem(*c, true);
    ASSERT_TRUE(own.ok()) << own.status().message();
    ASSERT_TRUE(lowered.ok()) << lowered.status().message();
    if (!*own || !*lowered) continue;
    const auto want = Gradients(**own), got = Gradients(**lowered);
    ASSERT_TRUE(want.ok()) << want.status().message();
    ASSERT_TRUE(got.ok()) << got.status().message();
    for (std::size_t i = 0; i < want->size(); ++i) {
      const std::string text = conformance::Difference((*got)[i], (*want)[i], {.relative = 1e-9, .absolute = 1e-11});
      EXPECT_TRUE(text.empty()) << "gradient of the lowering, source " << i << ": " << text;
    }
  }
}

}  // namespace tenon::conformance
