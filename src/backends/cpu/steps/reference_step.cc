#include <cstring>
#include <mutex>
#include <set>

#include "backends/cpu/emit/bodies.h"
#include "backends/cpu/emit/packing.h"
#include "backends/cpu/steps/steps.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "ir/eval.h"

namespace tenon::cpu {
namespace {

class ReferenceStep : public runtime::Step {
 public:
  struct Port {
    BufferId buffer = -1;
    DType dtype = DType::kF32;
    std::vector<std::int64_t> dims;
    bool shape_only = false;
  };
  ReferenceStep(const ir::OpDef& op, ir::Attrs attrs, std::vector<Port> inputs, std::vector<Port> outputs,
                const runtime::CompileOptions& options)
      : op_(op), attrs_(std::move(attrs)), inputs_(std::move(inputs)), outputs_(std::move(outputs)) {
    if (op_.Is(ir::kControl)) bodies_ = std::make_unique<const Bodies>(options, std::make_shared<Packing>());
    for (const Port& p : inputs_)
      if (p.buffer >= 0) reads.push_back(p.buffer);
    for (const Port& p : outputs_) writes.push_back(p.buffer);
  }
  Status Run(const runtime::StepContext& ctx) const override {
    static const auto* const kNobody = new std::shared_ptr<const void>(std::make_shared<int>(0));
    std::vector<ir::Datum> values(inputs_.size());
    std::vector<const ir::Datum*> args(inputs_.size(), nullptr);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const Port& p = inputs_[i];
      if (p.shape_only) {
        values[i] = ir::Datum(Literal(p.dtype, p.dims));
        args[i] = &values[i];
      }
      if (p.buffer < 0) continue;
      TENON_ASSIGN_OR_RETURN(const std::size_t bytes, checked_bytes(p.dtype, p.dims));
      TENON_ASSIGN_OR_RETURN(
          Literal view,
          Literal::from_buffer(p.dtype, p.dims, Buffer::view(ctx.get<std::byte>(p.buffer), bytes, *kNobody)));
      values[i] = ir::Datum(std::move(view));
      args[i] = &values[i];
    }
    TENON_ASSIGN_OR_RETURN(const std::vector<ir::Datum> results,
                           bodies_ != nullptr ? bodies_->Eval(op_, args, attrs_) : ir::EvalOp(op_, args, attrs_));
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const Literal& l = results[i].literal();
      if (l.dims() != outputs_[i].dims || l.dtype() != outputs_[i].dtype)
        return Status(Code::kInternal, std::string(op_.name) + ": computed " + ir::Type::Of(l).to_string() +
                                           ", planned " + Shape(std::span(outputs_[i].dims)).to_string());
      std::memcpy(ctx.get<std::byte>(outputs_[i].buffer), l.raw().data(), l.nbytes());
    }
    return {};
  }
  std::string Describe() const override {
    return (bodies_ != nullptr ? "in segments:" : "ref:") + std::string(op_.name);
  }

 private:
  const ir::OpDef& op_;
  ir::Attrs attrs_;
  std::vector<Port> inputs_, outputs_;
  std::unique_ptr<const Bodies> bodies_;  // of a control op
};

// A reference on the hot path is never silent: once for each op.
void Warn(PlanBuilder& b, const ir::Node& n) {
  static std::mutex mutex;
  static auto* const kWarned = new std::set<std::string>();
  std::string what(n.op->name);
  for (const Value v : n.inputs)
    if (v.valid()) what += " " + b.graph().type(v).to_string();
  const std::lock_guard lock(mutex);
  if (kWarned->insert(std::string(n.op->name)).second)
    base::Log(base::LogLevel::kWarning, "cpu: no kernel for " + what + ", the reference runs instead (slow)");
}

}  // namespace

Status EmitReference(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  std::int64_t elements = 0;
  for (const Value v : n.inputs)
    if (v.valid()) elements = std::max(elements, b.elements(v));
  for (std::size_t k = 0; k < n.outputs.size(); ++k)
    elements = std::max(elements, b.elements({id, static_cast<std::int32_t>(k)}));
  if (elements > 256 && !n.op->Is(ir::kControl)) Warn(b, n);
  std::vector<ReferenceStep::Port> inputs, outputs;
  for (std::size_t i = 0; i < n.inputs.size(); ++i) {
    const Value v = n.inputs[i];
    const bool shape_only = v.valid() && ShapeOnly(n, i);
    if (v.valid())
      inputs.push_back({shape_only ? -1 : b.In(v), b.dtype(v), b.dims(v), shape_only});
    else
      inputs.emplace_back();
  }
  for (std::size_t k = 0; k < n.outputs.size(); ++k) {
    const Value v{id, static_cast<std::int32_t>(k)};
    b.KeepApart(v);
    outputs.push_back({b.Out(v), b.dtype(v), b.dims(v), false});
  }
  b.Add(std::make_unique<ReferenceStep>(*n.op, n.attrs, std::move(inputs), std::move(outputs), b.options()));
  return {};
}

}  // namespace tenon::cpu
