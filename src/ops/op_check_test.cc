#include "ops/op_check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradients.h"
#include "base/status_macros.h"
#include "ir/builder.h"
#include "ir/infer.h"
#include "ir/numeric.h"
#include "ir/op_table.h"

namespace tenon::ir::ops {

namespace {

// The inputs of a sample as evaluation takes them.
struct Args {
  explicit Args(const std::vector<std::optional<Literal>>& inputs) {
    values.resize(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i]) values[i].tensor = *inputs[i];
    for (std::size_t i = 0; i < inputs.size(); ++i) pointers.push_back(inputs[i] ? &values[i] : nullptr);
  }
  std::vector<Datum> values;
  std::vector<const Datum*> pointers;
};

}  // namespace

std::vector<Literal> Eval(std::string_view op, const std::vector<std::optional<Literal>>& inputs, Attrs attrs) {
  const Args args(inputs);
  std::vector<Literal> out;
  for (Datum& d : EvalOp(GetOp(op), args.pointers, std::move(attrs)).value()) out.push_back(d.literal());
  return out;
}

namespace {

void ExpectNear(const Literal& got, const Literal& want, double tolerance, const std::string& where) {
  ASSERT_EQ(got.dtype(), want.dtype()) << where;
  ASSERT_EQ(got.dims(), want.dims()) << where;
  if (got.dtype() == DType::kString) {
    EXPECT_EQ(got.strings(), want.strings()) << where;
    return;
  }
  for (std::int64_t i = 0; i < got.size(); ++i) {
    const double g = got.at(i), w = want.at(i);
    if (g == w || (std::isnan(g) && std::isnan(w))) continue;
    ASSERT_LE(std::fabs(g - w), tolerance * std::max(1.0, std::fabs(w)))
        << where << " element " << i << ": got " << g << ", expected " << w;
  }
}

/// Types with dims as symbols, then with unknown rank: what inference says must agree with the result.
void CheckInference(const OpDef& op, const Sample& s, const std::vector<Datum>& results, bool unknown_rank,
                    const std::string& where) {
  std::vector<Output> types(s.inputs.size());
  std::vector<const Output*> pointers;
  SymbolBinding symbols;
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    pointers.push_back(s.inputs[i] ? &types[i] : nullptr);
    if (!s.inputs[i]) continue;
    std::vector<Dim> dims;
    for (const std::int64_t d : s.inputs[i]->dims()) {
      std::string name = "s" + std::to_string(i) + "_" + std::to_string(dims.size());
      symbols.Set(name, d);
      dims.push_back(Dim::symbol(std::move(name)));
    }
    const DType t = s.inputs[i]->dtype();
    types[i].type = unknown_rank ? Type::TensorOfUnknownRank(t) : Type::Tensor(t, Shape(std::move(dims)));
  }
  Attrs attrs = s.attrs;
  const Result<std::vector<Output>> found = Infer(op, pointers, attrs);
  ASSERT_TRUE(found.ok()) << where << ": " << found.status().message();
  ASSERT_EQ(found->size(), results.size()) << where;
  for (std::size_t k = 0; k < results.size(); ++k) {
    const Type& t = (*found)[k].type;
    if (!t.is_tensor()) continue;
    const Literal& r = results[k].literal();
    EXPECT_EQ(t.dtype(), r.dtype()) << where;
    if (!t.has_rank()) continue;
    ASSERT_EQ(t.rank(), r.rank()) << where << " " << t.to_string();
    for (int i = 0; i < t.rank(); ++i) {
      const Result<std::int64_t> d = t.shape()[i].evaluate([&](std::string_view name) { return symbols.Find(name); });
      if (d.ok()) {
        EXPECT_EQ(*d, r.dims()[static_cast<std::size_t>(i)])
            << where << " output " << k << " axis " << i << ": " << t.to_string();
      }
    }
    if ((*found)[k].symbolic) {
      ASSERT_EQ(static_cast<std::int64_t>((*found)[k].symbolic->size()), r.size()) << where;
      for (std::int64_t i = 0; i < r.size(); ++i) {
        const Result<std::int64_t> d = (*(*found)[k].symbolic)[static_cast<std::size_t>(i)].evaluate(
            [&](std::string_view name) { return symbols.Find(name); });
        if (d.ok()) {
          EXPECT_EQ(static_cast<double>(*d), r.at(i)) << where << " symbolic value " << i;
        }
      }
    }
  }
}

Value SumAll(Builder& b, Value x) { return b.ReduceSum(x, {}, false); }
// sum_k <outputs[k], weights[k]> over the float outputs, the weights fixed pseudo-random numbers
Value Weighted(Builder& b, const std::vector<Value>& outputs, int seed) {
  Value total;
  for (const Value v : outputs) {
    if (!v.valid() || !b.type(v).is_tensor() || b.dtype(v) != DType::kF64) continue;
    Value term;
    if (b.ranked(v) && b.shape(v).is_static()) {
      const Value w = b.Constant(Convert(Random(b.shape(v).values(), seed++, 0.5, 2), DType::kF64).value());
      term = SumAll(b, b(v) * b(w));
    } else {
      term = SumAll(b, b(v) * b(v));  // dims known only at run time
    }
    total = total.valid() ? Value(b(total) + b(term)) : term;
  }
  return total;
}

}  // namespace

/// d loss / d input against central differences, then the same for a weighted sum of those gradients.
void CheckGradient(const OpDef& op, const Sample& s, const std::string& where, int orders) {
  Graph g;
  Builder b(&g);
  std::vector<Value> inputs, sources;
  std::vector<Datum> at;
  std::vector<std::size_t> moving;
  for (const auto& l : s.inputs) {
    if (!l) {
      inputs.emplace_back();
      continue;
    }
    const Literal wide = is_float(l->dtype()) ? Convert(*l, DType::kF64).value() : *l;
    if (!is_float(l->dtype())) {
      inputs.push_back(b.Constant(wide));
      continue;
    }
    inputs.push_back(b.Input("x" + std::to_string(inputs.size()), Type::Of(wide)));
    sources.push_back(inputs.back());
    moving.push_back(at.size());
    at.emplace_back(wide);
  }
  if (sources.empty()) return;
  Value loss = Weighted(b, b.AddAll(op, inputs, s.attrs), 100);
  ASSERT_TRUE(b.ok()) << where << ": " << b.status().message();
  for (int order = 1; order <= orders && loss.valid(); ++order) {
    const Result<std::vector<Value>> gradients = autograd::Gradients(b, std::span(&loss, 1), {}, sources);
    ASSERT_TRUE(gradients.ok()) << where << " order " << order << ": " << gradients.status().message();
    for (std::size_t i = 0; i < sources.size(); ++i)
      if ((*gradients)[i].valid()) {
        EXPECT_EQ(b.type((*gradients)[i]).dtype(), DType::kF64) << where;
      }
    Graph run = g;
    std::vector<Value> outputs = {loss};
    outputs.insert(outputs.end(), gradients->begin(), gradients->end());
    run.set_outputs(outputs);
    const Result<std::vector<Datum>> base = EvalGraph(run, at);
    ASSERT_TRUE(base.ok()) << where << " order " << order << ": " << base.status().message();
    Graph forward = g;
    forward.set_outputs({loss});
    forward.Compact();
    const auto loss_at = [&](std::size_t input, std::int64_t element, double step) {
      std::vector<Datum> moved = at;
      Literal x = moved[input].literal();
      x.mutable_data<double>()[static_cast<std::size_t>(element)] += step;
      moved[input] = Datum(std::move(x));
      return EvalGraph(forward, std::move(moved)).value()[0].literal().at(0);
    };
    for (const std::size_t i : moving) {
      const Literal& x = at[i].literal();
      if (!(*gradients)[i].valid()) {
        for (std::int64_t e = 0; e < x.size(); ++e) {
          const double h = 1e-4 * std::max(1.0, std::fabs(x.at(e)));
          ASSERT_NEAR(loss_at(i, e, h), loss_at(i, e, -h), 1e-9)
              << where << " order " << order << " input " << i << ": no gradient, yet the result moves";
        }
        continue;
      }
      const Literal& d = (*base)[1 + i].literal();
      ASSERT_EQ(d.dims(), x.dims()) << where << " order " << order << " input " << i;
      for (std::int64_t e = 0; e < x.size(); ++e) {
        const double h = 1e-4 * std::max(1.0, std::fabs(x.at(e)));
        const double slope = (loss_at(i, e, h) - loss_at(i, e, -h)) / (2 * h);
        ASSERT_NEAR(d.at(e), slope, 2e-5 * std::max(1.0, std::fabs(slope)))
            << where << " order " << order << " input " << i << " element " << e;
      }
    }
    loss = Weighted(b, *gradients, 200);
    ASSERT_TRUE(b.ok()) << where << ": " << b.status().message();
  }
}

namespace {

enum class Dims { kNumbers, kSymbols, kUnknownRank };

// The gradients of the sum of squares of the float outputs, built for inputs of which so much is known.
Result<std::vector<Datum>> GradientsOf(const OpDef& op, const Sample& s, Dims known) {
  Graph g;
  Builder b(&g);
  std::vector<Value> inputs, sources;
  std::vector<Datum> at;
  for (const auto& l : s.inputs) {
    inputs.emplace_back();
    if (!l) continue;
    const Literal wide = is_float(l->dtype()) ? Convert(*l, DType::kF64).value() : *l;
    std::vector<Dim> dims;
    for (const std::int64_t d : wide.dims())
      dims.push_back(known == Dims::kNumbers
                         ? Dim(d)
                         : Dim::symbol("s" + std::to_string(inputs.size()) + "_" + std::to_string(dims.size())));
    const Type type =
        known == Dims::kUnknownRank ? Type::TensorOfUnknownRank(wide.dtype()) : Type::Tensor(wide.dtype(), Shape(dims));
    inputs.back() = b.Input("x" + std::to_string(inputs.size()), type);
    if (is_float(wide.dtype())) sources.push_back(inputs.back());
    at.emplace_back(wide);
  }
  Value loss;
  for (const Value v : b.AddAll(op, inputs, s.attrs)) {
    if (!b.type(v).is_tensor() || b.dtype(v) != DType::kF64) continue;
    const Value term = SumAll(b, b(v) * b(v));
    loss = loss.valid() ? Value(b(loss) + b(term)) : term;
  }
  TENON_RETURN_IF_ERROR(b.status());
  if (!loss.valid()) return std::vector<Datum>();
  TENON_ASSIGN_OR_RETURN(const std::vector<Value> gradients, autograd::Gradients(b, std::span(&loss, 1), {}, sources));
  g.set_outputs(gradients);
  g.Compact();
  return EvalGraph(g, at);
}
// Gradients built for symbolic dims are those built for numbers; so are those for unknown ranks, where there are any.
void CheckSymbolicGradient(const OpDef& op, const Sample& s, const std::string& where) {
  const auto want = GradientsOf(op, s, Dims::kNumbers);
  ASSERT_TRUE(want.ok()) << where << ": " << want.status().message();
  for (const Dims known : {Dims::kSymbols, Dims::kUnknownRank}) {
    const std::string form = where + (known == Dims::kSymbols ? " (gradient, symbolic)" : " (gradient, unknown rank)");
    const auto got = GradientsOf(op, s, known);
    if (known == Dims::kUnknownRank && got.status().code() == Code::kFailedPrecondition)
      continue;  // says that it needs the rank
    ASSERT_TRUE(got.ok()) << form << ": " << got.status().message();
    ASSERT_EQ(got->size(), want->size()) << form;
    for (std::size_t i = 0; i < want->size(); ++i)
      if ((*want)[i].tensor) ExpectNear((*got)[i].literal(), (*want)[i].literal(), 1e-12, form);
  }
}

}  // namespace

void CheckSample(const OpDef& op, const Sample& s) {
  const std::string where = std::string(op.name) + "/" + s.name;
  const Args args(s.inputs);
  const Result<std::vector<Datum>> results = EvalOp(op, args.pointers, s.attrs);
  if (!s.error.empty()) {
    ASSERT_FALSE(results.ok()) << where << ": expected " << s.error;
    EXPECT_EQ(results.status().code(), Code::kInvalidArgument) << where;
    EXPECT_EQ(results.status().message().rfind(std::string(op.name) + "_" + s.error + ":", 0), 0U)
        << where << ": " << results.status().message();
    return;
  }
  ASSERT_TRUE(results.ok()) << where << ": " << results.status().message();
  CheckInference(op, s, *results, false, where + " (symbolic)");
  CheckInference(op, s, *results, true, where + " (unknown rank)");
  if (op.lower != nullptr && op.eval != nullptr) {
    OpDef lowered = op;
    lowered.eval = nullptr;
    const Result<std::vector<Datum>> other = EvalOp(lowered, args.pointers, s.attrs);
    ASSERT_TRUE(other.ok()) << where << " (lowered): " << other.status().message();
    for (std::size_t k = 0; k < results->size(); ++k)
      ExpectNear((*other)[k].literal(), (*results)[k].literal(), 2e-6, where + " (lowered)");
  }
  if (!s.gradient || (op.grad == nullptr && op.lower == nullptr)) return;
  CheckGradient(op, s, where, 2);
  CheckSymbolicGradient(op, s, where);
}

void CheckOp(std::string_view name) {
  const OpDef& op = GetOp(name);
  ASSERT_NE(op.samples, nullptr) << name;
  for (const Sample& s : op.samples()) CheckSample(op, s);
}
void CheckFamily(std::string_view family) {
  bool found = false;
  for (const OpFamily& f : OpFamilies()) {
    if (f.name != family) continue;
    found = true;
    for (const OpDef& op : f.ops) CheckOp(op.name);
  }
  EXPECT_TRUE(found) << family;
}

}  // namespace tenon::ir::ops
