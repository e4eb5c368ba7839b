// cond, while_loop, scan: run the C++ functions directly on eager values, trace them into closed sub-graphs on symbols.
#include <algorithm>

#include "eager/dispatch.h"
#include "eager/trace.h"
#include "tenon/function.h"

namespace tenon {
namespace {

using eager::Trace;
using eager::TypeOf;

template <class T>
T Checked(Result<T> result) {
  if (!result.ok()) fail(result.status());
  return *std::move(result);
}

// Runs f in a scope of its own and keeps what it gave.
struct Body {
  Trace trace;
  std::vector<Tensor> outputs;
  ir::GraphPtr Finish(std::vector<Tensor>& captures) { return Checked(trace.FinishBody(outputs, &captures)); }
};

std::vector<Tensor> Slice(const std::vector<Tensor>& xs, std::int64_t i) {
  std::vector<Tensor> out;
  for (const Tensor& x : xs)
    out.push_back(
        eager::ApplyOne("gather", {x, Tensor(Literal::scalar<std::int64_t>(i))}, {{"axis", std::int64_t{0}}}));
  return out;
}

Tensor Stack(const std::vector<Tensor>& items) {
  std::vector<Tensor> rows;
  for (const Tensor& t : items)
    rows.push_back(eager::ApplyOne("expand_dims", {t}, {{"axes", std::vector<std::int64_t>{0}}}));
  return eager::Apply(ir::GetOp("concat"), rows, {{"axis", std::int64_t{0}}})[0];
}

void CheckCarries(const char* what, const std::vector<Tensor>& got, const std::vector<Tensor>& expected) {
  if (got.size() != expected.size())
    fail(Code::kInvalidArgument, std::string(what) + ": the body gave " + std::to_string(got.size()) +
                                     " carries, expected " + std::to_string(expected.size()));
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!TypeOf(expected[i]).Accepts(TypeOf(got[i])))
      fail(Code::kInvalidArgument, std::string(what) + ": carry " + std::to_string(i) + " became " +
                                       TypeOf(got[i]).to_string() + ", expected " + TypeOf(expected[i]).to_string());
}

bool AnySymbolic(const std::vector<Tensor>& tensors) {
  for (const Tensor& t : tensors)
    if (t.symbolic()) return true;
  return false;
}

}  // namespace

std::vector<Tensor> cond(const Tensor& predicate, const std::function<std::vector<Tensor>()>& then_branch,
                         const std::function<std::vector<Tensor>()>& else_branch) {
  if (!predicate.symbolic()) return predicate ? then_branch() : else_branch();
  std::vector<Tensor> captures;
  Body yes;
  yes.outputs = then_branch();
  yes.trace.Close();
  yes.Finish(captures);
  Body no;
  no.outputs = else_branch();
  no.trace.Close();
  const ir::GraphPtr else_graph = no.Finish(captures);
  const ir::GraphPtr then_graph = yes.Finish(captures);  // now with the captures of both
  if (yes.outputs.size() != no.outputs.size())
    fail(Code::kInvalidArgument, "cond: the branches give " + std::to_string(yes.outputs.size()) + " and " +
                                     std::to_string(no.outputs.size()) + " Tensors, expected as many");
  std::vector<Tensor> inputs = {predicate};
  inputs.insert(inputs.end(), captures.begin(), captures.end());
  return eager::Apply(ir::GetOp("cond"), inputs, {{"then_branch", then_graph}, {"else_branch", else_graph}});
}

std::vector<Tensor> while_loop(const std::function<Tensor(const std::vector<Tensor>&)>& condition,
                               const std::function<std::vector<Tensor>(const std::vector<Tensor>&)>& body,
                               const std::vector<Tensor>& carries) {
  if (!AnySymbolic(carries)) {
    Tensor go = condition(carries);
    if (!go.symbolic()) {
      std::vector<Tensor> now = carries;
      while (go) {
        std::vector<Tensor> next = body(now);
        CheckCarries("while_loop", next, now);
        now = std::move(next);
        go = condition(now);
      }
      return now;
    }
  }
  std::vector<Tensor> captures;
  const auto inputs_of = [&](Trace& trace) {
    std::vector<Tensor> symbols;
    for (const Tensor& t : carries) symbols.push_back(trace.Input(TypeOf(t), ""));
    return symbols;
  };
  Body test;
  test.outputs = {condition(inputs_of(test.trace))};
  test.trace.Close();
  ir::GraphPtr condition_graph = test.Finish(captures);
  Body step;
  step.outputs = body(inputs_of(step.trace));
  step.trace.Close();
  CheckCarries("while_loop", step.outputs, carries);
  const ir::GraphPtr body_graph = step.Finish(captures);
  condition_graph = test.Finish(captures);  // now with the captures of both
  std::vector<Tensor> inputs = carries;
  inputs.insert(inputs.end(), captures.begin(), captures.end());
  std::vector<Tensor> out = eager::Apply(
      ir::GetOp("while_loop"), inputs,
      {{"condition", condition_graph}, {"body", body_graph}, {"carries", static_cast<std::int64_t>(carries.size())}});
  out.resize(carries.size());  // the trip count stays behind
  return out;
}

ScanResult scan(const std::function<ScanResult(const std::vector<Tensor>&, const std::vector<Tensor>&)>& body,
                const std::vector<Tensor>& carries, const std::vector<Tensor>& xs, bool reverse) {
  if (xs.empty()) fail(Code::kInvalidArgument, "scan: got no xs, expected at least one Tensor to walk along");
  const Dim length = xs[0].dim(0);
  for (const Tensor& x : xs)
    if (Dim::equal(x.dim(0), length) == Truth::kNo)
      fail(Code::kInvalidArgument,
           "scan: got xs of lengths " + length.to_string() + " and " + x.dim(0).to_string() + ", expected the same");
  const bool traced = AnySymbolic(carries) || AnySymbolic(xs) || length.is_symbolic();
  if (!traced && length.value() > 0) {
    const std::int64_t n = length.value();
    ScanResult now{carries, {}};
    std::vector<std::vector<Tensor>> rows;
    for (std::int64_t k = 0; k < n; ++k) {
      ScanResult next = body(now.carries, Slice(xs, reverse ? n - 1 - k : k));
      CheckCarries("scan", next.carries, now.carries);
      rows.resize(next.ys.size());
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i].push_back(next.ys[i]);
      now.carries = std::move(next.carries);
    }
    for (std::vector<Tensor>& row : rows) {
      if (reverse) std::reverse(row.begin(), row.end());
      now.ys.push_back(Stack(row));
    }
    return now;
  }
  Body step;
  std::vector<Tensor> in_carries, in_xs;
  for (const Tensor& t : carries) in_carries.push_back(step.trace.Input(TypeOf(t), ""));
  for (const Tensor& t : xs) {
    std::vector<Dim> dims = t.shape().dims();
    dims.erase(dims.begin());
    in_xs.push_back(step.trace.Input(ir::Type::Tensor(t.dtype(), Shape(std::move(dims))), ""));
  }
  const ScanResult result = body(in_carries, in_xs);
  step.trace.Close();
  CheckCarries("scan", result.carries, carries);
  step.outputs = result.carries;
  step.outputs.insert(step.outputs.end(), result.ys.begin(), result.ys.end());
  std::vector<Tensor> captures;
  const ir::GraphPtr graph = step.Finish(captures);
  std::vector<Tensor> inputs = carries;
  inputs.insert(inputs.end(), xs.begin(), xs.end());
  inputs.insert(inputs.end(), captures.begin(), captures.end());
  const std::vector<Tensor> out = eager::Apply(ir::GetOp("scan"), inputs,
                                               {{"body", graph},
                                                {"carries", static_cast<std::int64_t>(carries.size())},
                                                {"scanned", static_cast<std::int64_t>(xs.size())},
                                                {"length", Shape({length})},
                                                {"reverse", reverse}});
  ScanResult split;
  for (std::size_t i = 0; i < out.size(); ++i) (i < carries.size() ? split.carries : split.ys).push_back(out[i]);
  return split;
}

}  // namespace tenon
