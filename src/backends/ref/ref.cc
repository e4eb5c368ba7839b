#include "backends/ref/ref.h"

#include "base/status_macros.h"
#include "ir/eval.h"
#include "runtime/ports.h"

namespace tenon::ref {
namespace {

using runtime::CompileOptions;
using runtime::Port;

Port PortOf(const ir::Output& output) {
  Port port;
  port.name = output.record.name;
  port.dtype = output.type.dtype();
  if (output.type.has_rank()) port.shape = output.type.shape();
  return port;
}

class RefFunction;

class RefContext : public runtime::Context {
 public:
  explicit RefContext(const RefFunction& function) : function_(function) {}
  Status Run(std::span<Literal> inputs, std::span<Literal> outputs) override;

 private:
  const RefFunction& function_;
};

class RefFunction : public runtime::CompiledFunction {
 public:
  RefFunction(const ir::Graph& graph, CompileOptions options, std::vector<Port> ins, std::vector<Port> outs)
      : CompiledFunction(std::move(ins), std::move(outs)), graph_(graph), options_(std::move(options)) {}
  std::unique_ptr<runtime::Context> NewContext() const override { return std::make_unique<RefContext>(*this); }
  Status Prepare(const std::vector<std::vector<std::int64_t>>&) const override { return {}; }
  std::string Explain() const override {
    std::string out;
    for (const ir::Node& n : graph_.nodes())
      if (n.op->name != "input") out += "ref:" + std::string(n.op->name) + "\n";
    return out;
  }
  const ir::Graph& graph() const { return graph_; }
  const CompileOptions& options() const { return options_; }

 private:
  ir::Graph graph_;
  CompileOptions options_;
};

Status RefContext::Run(std::span<Literal> inputs, std::span<Literal> outputs) {
  std::vector<ir::Datum> args;
  args.reserve(inputs.size());
  for (const Literal& in : inputs) args.emplace_back(in);
  ir::EvalOptions options;
  options.float64 = function_.options().float64;
  TENON_ASSIGN_OR_RETURN(std::vector<ir::Datum> results, ir::EvalGraph(function_.graph(), std::move(args), options));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!results[i].tensor) return Status(Code::kInternal, "ref: output " + std::to_string(i) + " was not computed");
    outputs[i] = *std::move(results[i].tensor);
  }
  for (const runtime::Donation& d : function_.options().donations)
    inputs[static_cast<std::size_t>(d.input)] =
        runtime::EmptyLiteral();  // as on every backend: the caller gave it away
  return {};
}

}  // namespace

Result<std::unique_ptr<runtime::CompiledFunction>> Compile(const ir::Graph& graph, const CompileOptions& options) {
  std::vector<Port> ins, outs;
  for (const ir::Value v : graph.inputs()) {
    if (!graph.type(v).is_tensor())
      return Status(Code::kUnimplemented, "compile: input \"" + graph.output(v).record.name + "\" is a " +
                                              graph.type(v).to_string() + ", inputs of functions are tensors");
    ins.push_back(PortOf(graph.output(v)));
  }
  for (const ir::Value v : graph.outputs()) {
    if (!v.valid() || !graph.type(v).is_tensor())
      return Status(Code::kUnimplemented, "compile: output " + std::to_string(outs.size()) + " is no tensor");
    outs.push_back(PortOf(graph.output(v)));
    if (options.float64 && is_float(outs.back().dtype)) outs.back().dtype = DType::kF64;
  }
  TENON_RETURN_IF_ERROR(runtime::CheckDonations(options.donations, ins.size(), outs.size()));
  return std::unique_ptr<runtime::CompiledFunction>(
      std::make_unique<RefFunction>(graph, options, std::move(ins), std::move(outs)));
}

}  // namespace tenon::ref
