#include "backends/cpu/cpu.h"

#include "backends/cpu/emit/plan_builder.h"
#include "backends/cpu/loop/loop_ops.h"
#include "base/status_macros.h"
#include "compiler/pass.h"
#include "compiler/passes/passes.h"
#include "compiler/specialize.h"
#include "ir/eval.h"
#include "runtime/planned.h"
#include "runtime/ports.h"

namespace tenon::cpu {
namespace {

using runtime::CompileOptions;
using runtime::Port;

// Runs a graph that cannot be planned, node by node.
class GraphInterpreter : public runtime::Interpreter {
 public:
  explicit GraphInterpreter(ir::Graph graph) : graph_(std::move(graph)) {}
  Status Run(std::span<Literal> inputs, std::span<Literal> outputs) const override {
    std::vector<ir::Datum> args;
    args.reserve(inputs.size());
    for (const Literal& in : inputs) args.emplace_back(in);
    TENON_ASSIGN_OR_RETURN(std::vector<ir::Datum> results, ir::EvalGraph(graph_, std::move(args)));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!results[i].tensor) return Status(Code::kInternal, "cpu: output " + std::to_string(i) + " was not computed");
      outputs[i] = *std::move(results[i].tensor);
    }
    return {};
  }
  std::string Explain() const override {
    std::string out = "interpreted (shapes depend on data):\n";
    for (const ir::Node& n : graph_.nodes())
      if (n.op->name != "input" && n.op->name != "constant") out += "  ref:" + std::string(n.op->name) + "\n";
    return out;
  }

 private:
  ir::Graph graph_;
};

compiler::FusionKind FusionKindOf(const ir::Graph& graph, const ir::Node& node) {
  const std::optional<LoopOpInfo> info = FindLoopOp(graph, node);
  if (!info) return compiler::FusionKind::kNone;
  switch (info->kind) {
    case LoopClass::kReduce:
      return compiler::FusionKind::kReduce;
    case LoopClass::kAlias:
      if (node.op->name == "broadcast_to") return compiler::FusionKind::kBroadcast;
      return node.op->name == "reshape" ? compiler::FusionKind::kReshape : compiler::FusionKind::kNone;
    case LoopClass::kConstant:
      return compiler::FusionKind::kNone;
    default:
      return compiler::FusionKind::kElementwise;
  }
}

std::vector<compiler::Pass> Passes() {
  const auto keep = [](const ir::Graph& graph, const ir::Node& node) {
    return FindLoopOp(graph, node).has_value() || HasKernel(node.op->name);
  };
  compiler::FusionOptions fusion;
  fusion.kind = FusionKindOf;
  return {
      {"simplify", compiler::Simplify},
      {"lower", [keep](ir::Graph& g) { return compiler::LowerComposites(g, keep); }, true},
      {"simplify_lowered", compiler::Simplify},
      {"gemm", compiler::FormGemms, true},
      {"conv", compiler::FuseConvs},
      {"simplify_gemm", compiler::Simplify},
      {"fuse", [fusion](ir::Graph& g) { return compiler::FuseLoops(g, fusion); }},
  };
}

class CpuFunction : public runtime::PlannedFunction {
 public:
  CpuFunction(const ir::Graph& graph, const CompileOptions& options, std::vector<Port> ins, std::vector<Port> outs)
      : PlannedFunction(std::move(ins), std::move(outs), options), graph_(graph) {}

 protected:
  Result<std::shared_ptr<const runtime::Program>> MakeProgram(const runtime::InputDims& input_dims) const override {
    auto program = std::make_shared<runtime::Program>();
    program->dims = input_dims;
    TENON_ASSIGN_OR_RETURN(ir::Graph graph, compiler::Specialize(graph_, input_dims));
    if (!Plannable(graph)) {
      program->interpreter = std::make_shared<GraphInterpreter>(graph_);
      return std::shared_ptr<const runtime::Program>(std::move(program));
    }
    compiler::PassOptions pass_options;
    pass_options.off = options().passes_off;
    TENON_RETURN_IF_ERROR(compiler::RunPasses(graph, Passes(), pass_options));
    PlanBuilder builder(graph, options());
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<runtime::Plan> plan, builder.Build());
    program->plan = std::move(plan);
    return std::shared_ptr<const runtime::Program>(std::move(program));
  }

 private:
  static bool Plannable(const ir::Graph& graph) {
    for (const ir::Node& n : graph.nodes())
      for (const ir::Output& o : n.outputs)
        if (!o.type.is_static() || o.type.dtype() == DType::kString) return false;
    return true;
  }
  ir::Graph graph_;
};

Port PortOf(const ir::Output& output) {
  Port port;
  port.name = output.record.name;
  port.dtype = output.type.dtype();
  if (output.type.has_rank()) port.shape = output.type.shape();
  return port;
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
  }
  if (options.threads < 1)
    return Status(Code::kInvalidArgument,
                  "compile: got " + std::to_string(options.threads) + " threads, expected 1 or more");
  TENON_RETURN_IF_ERROR(runtime::CheckDonations(options.donations, ins.size(), outs.size()));
  return std::unique_ptr<runtime::CompiledFunction>(
      std::make_unique<CpuFunction>(graph, options, std::move(ins), std::move(outs)));
}

}  // namespace tenon::cpu
