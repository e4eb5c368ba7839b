#include "backends/cpu/loop/loop_build.h"
#include "backends/cpu/loop/loop_ops.h"
#include "backends/cpu/steps/steps.h"
#include "base/status_macros.h"
#include "ir/builder.h"

namespace tenon::cpu {
namespace {

constexpr std::size_t kMaxPorts = 64;

class LoopStep : public runtime::Step {
 public:
  LoopStep(LoopProgram program, std::vector<BufferId> inputs, std::vector<BufferId> outputs, BufferId scratch)
      : program_(std::move(program)), inputs_(std::move(inputs)), outputs_(std::move(outputs)), scratch_(scratch) {
    reads = inputs_;
    writes = outputs_;
    writes.push_back(scratch);
    for (const auto& [in, out] : program_.overlay)
      may_overlay.emplace_back(inputs_[static_cast<std::size_t>(in)], outputs_[static_cast<std::size_t>(out)]);
  }
  Status Run(const runtime::StepContext& ctx) const override {
    const std::byte* in[kMaxPorts];
    std::byte* out[kMaxPorts];
    for (std::size_t i = 0; i < inputs_.size(); ++i) in[i] = ctx.get<std::byte>(inputs_[i]);
    for (std::size_t i = 0; i < outputs_.size(); ++i) out[i] = ctx.get<std::byte>(outputs_[i]);
    RunLoop(program_, in, out, ctx.get<std::byte>(scratch_), ctx.threads);
    return {};
  }
  std::string Describe() const override { return "loop " + program_.text; }

 private:
  LoopProgram program_;
  std::vector<BufferId> inputs_, outputs_;
  BufferId scratch_;
};

Result<std::string> Emit(PlanBuilder& b, const ir::Node& node, std::int32_t id, const ir::Graph& body,
                         const LoopSpace& space) {
  if (node.inputs.size() > kMaxPorts || node.outputs.size() > kMaxPorts)
    return std::string("more than 64 inputs or outputs");
  Result<LoopProgram> program = BuildLoop(body, space);
  if (!program.ok()) {
    if (program.status().code() == Code::kUnimplemented) return program.status().message();
    return program.status();
  }
  std::vector<BufferId> inputs, outputs;
  for (const Value v : node.inputs) inputs.push_back(b.In(v));
  for (std::size_t k = 0; k < node.outputs.size(); ++k) {
    const Value out{id, static_cast<std::int32_t>(k)};
    // An output that is to lie over a donated input must be allowed to lie over every operand in that memory.
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!b.OverlaysInput(out, node.inputs[i])) continue;
      bool allowed = false;
      for (const auto& [in, o] : program->overlay)
        allowed = allowed || (in == static_cast<int>(i) && o == static_cast<int>(k));
      for (std::size_t other = 0; other < node.inputs.size(); ++other)
        allowed = allowed && (other == i || b.In(node.inputs[other]) != inputs[i]);
      if (!allowed) b.KeepApart(out);
    }
    outputs.push_back(b.Out(out));
  }
  // The same memory read in two ways: writing over one of them would change the other.
  std::erase_if(program->overlay, [&](const std::pair<int, int>& p) {
    int readers = 0;
    for (const BufferId id2 : inputs) readers += id2 == inputs[static_cast<std::size_t>(p.first)] ? 1 : 0;
    return readers > 1;
  });
  const BufferId scratch = b.Scratch(static_cast<std::size_t>(program->scratch_bytes(b.threads())));
  b.Add(MakeLoopStep(*std::move(program), std::move(inputs), std::move(outputs), scratch));
  return std::string();
}

}  // namespace

std::unique_ptr<runtime::Step> MakeLoopStep(LoopProgram program, std::vector<BufferId> inputs,
                                            std::vector<BufferId> outputs, BufferId scratch) {
  return std::make_unique<LoopStep>(std::move(program), std::move(inputs), std::move(outputs), scratch);
}

Result<std::string> EmitLoop(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  LoopSpace space;
  space.dims = n.attrs.Ints("space");
  space.batch_rank = static_cast<int>(n.attrs.Int("batch_rank"));
  space.row_rank = static_cast<int>(n.attrs.Int("row_rank"));
  return Emit(b, n, id, n.attrs.Body("body"), space);
}

Result<std::string> EmitSingleLoop(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const std::optional<LoopOpInfo> info = FindLoopOp(b.graph(), n);
  if (!info) return std::string("no loop operation for these dtypes");
  ir::Graph body;
  ir::Builder builder(&body);
  std::vector<Value> inputs;
  for (const Value v : n.inputs) inputs.push_back(v.valid() ? builder.Input("", b.graph().type(v)) : Value());
  const Value out = builder.Add(n.op->name, inputs, n.attrs);
  TENON_RETURN_IF_ERROR(builder.status());
  body.set_outputs({out});
  LoopSpace space;
  space.dims = b.dims(info->kind == LoopClass::kReduce ? n.inputs[0] : Value{id, 0});
  if (info->kind == LoopClass::kReduce) {
    const auto rank = static_cast<std::int64_t>(space.dims.size());
    std::vector<bool> reduced(space.dims.size(), n.attrs.Ints("axes").empty());
    for (const std::int64_t a : n.attrs.Ints("axes")) reduced[static_cast<std::size_t>(a < 0 ? a + rank : a)] = true;
    int first = 0;
    while (first < rank && !reduced[static_cast<std::size_t>(first)]) ++first;
    int last = first;
    while (last < rank && reduced[static_cast<std::size_t>(last)]) ++last;
    for (int i = last; i < rank; ++i)
      if (reduced[static_cast<std::size_t>(i)]) return std::string("reduced axes that do not stand together");
    space.batch_rank = last == rank ? 0 : first;
    space.row_rank = last == rank ? first : last;
  }
  return Emit(b, n, id, body, space);
}

}  // namespace tenon::cpu
