#include "backends/cpu/cpu.h"

#include "backends/cpu/emit/compile_plan.h"
#include "backends/cpu/emit/packing.h"
#include "backends/cpu/emit/plan_builder.h"
#include "backends/cpu/emit/segments.h"
#include "base/status_macros.h"
#include "ir/op_def.h"
#include "runtime/planned.h"
#include "runtime/ports.h"

namespace tenon::cpu {
namespace {

using runtime::CompileOptions;
using runtime::Port;

class CpuFunction : public runtime::PlannedFunction {
 public:
  CpuFunction(ir::Graph graph, const CompileOptions& options, std::vector<Port> ins, std::vector<Port> outs,
              std::shared_ptr<Packing> packing)
      : PlannedFunction(std::move(ins), std::move(outs), options),
        graph_(std::move(graph)),
        packing_(std::move(packing)) {}

 protected:
  Result<std::shared_ptr<const runtime::Program>> MakeProgram(const runtime::InputDims& input_dims) const override {
    auto program = std::make_shared<runtime::Program>();
    program->dims = input_dims;
    {
      const std::lock_guard lock(packing_->mutex);
      TENON_ASSIGN_OR_RETURN(program->plan, CompilePlan(graph_, input_dims, options(), &packing_->constants));
    }
    if (program->plan == nullptr) {
      if (interpreter_ == nullptr) interpreter_ = std::make_shared<SegmentInterpreter>(graph_, options(), packing_);
      program->interpreter = interpreter_;
    }
    return std::shared_ptr<const runtime::Program>(std::move(program));
  }

 private:
  ir::Graph graph_;
  std::shared_ptr<Packing> packing_;
  mutable std::shared_ptr<const SegmentInterpreter> interpreter_;  // one for all dims, under MakeProgram's lock
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
  return CompilePiece(graph, options, std::make_shared<Packing>());
}

Result<std::unique_ptr<runtime::CompiledFunction>> CompilePiece(const ir::Graph& graph, const CompileOptions& options,
                                                                std::shared_ptr<Packing> packing) {
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
  ir::Graph folded = graph;
  TENON_RETURN_IF_ERROR(FoldOnce(folded));
  return std::unique_ptr<runtime::CompiledFunction>(
      std::make_unique<CpuFunction>(std::move(folded), options, std::move(ins), std::move(outs), std::move(packing)));
}

}  // namespace tenon::cpu
