#include "formats/savedmodel/fold.h"

#include <map>

#include "ir/builder.h"
#include "ir/eval.h"

namespace tenon::savedmodel {
namespace {

bool Small(const ir::Type& type) {
  if (!type.is_static()) return false;
  const std::optional<std::int64_t> size = type.shape().size().try_value();
  return size && *size <= (is_float(type.dtype()) || is_complex(type.dtype()) ? 64 : 4096);
}

}  // namespace

std::optional<Literal> KnownLiteral(const ir::Graph& graph, ir::Value v) {
  const ir::Node& node = graph.node(v);
  if (node.op->name == "constant") return node.attrs.Lit("value");
  const ir::Output& output = graph.output(v);
  if (!output.symbolic || !output.type.is_static() || !is_integer(output.type.dtype())) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const Dim& dim : *output.symbolic) {
    if (dim.is_symbolic()) return std::nullopt;
    numbers.push_back(dim.value());
  }
  const std::vector<std::int64_t> dims = output.type.shape().values();
  if (output.type.dtype() == DType::kI64) return Literal::from<std::int64_t>(dims, numbers);
  if (output.type.dtype() != DType::kI32) return std::nullopt;
  const std::vector<std::int32_t> narrow(numbers.begin(), numbers.end());
  return Literal::from<std::int32_t>(dims, narrow);
}

void Fold(ir::Graph& graph, std::int32_t first, std::vector<Slot>& results) {
  std::map<ir::Value, Literal> folded;
  const std::int32_t end = graph.size();
  for (std::int32_t id = first; id < end; ++id) {
    const ir::Node& node = graph.node(id);
    if (node.op->name == "constant" || node.op->name == "input") continue;
    if (node.op->Is(ir::kRandom) || node.op->Is(ir::kControl)) continue;
    bool known = !node.outputs.empty();
    for (const ir::Output& output : node.outputs) known = known && Small(output.type);
    std::vector<ir::Datum> data;
    for (const ir::Value input : node.inputs) {
      if (!known || !input.valid()) {
        data.emplace_back();
        continue;
      }
      const auto it = folded.find(input);
      std::optional<Literal> value = it != folded.end() ? it->second : KnownLiteral(graph, input);
      known = value.has_value();
      data.emplace_back(known ? *std::move(value) : Literal());
    }
    if (!known) continue;
    std::vector<const ir::Datum*> pointers;
    for (std::size_t i = 0; i < data.size(); ++i) pointers.push_back(node.inputs[i].valid() ? &data[i] : nullptr);
    const Result<std::vector<ir::Datum>> values = ir::EvalOp(*node.op, pointers, node.attrs);
    if (!values.ok()) continue;  // it will fail when it runs
    for (std::size_t k = 0; k < values->size(); ++k)
      if ((*values)[k].tensor) folded.emplace(ir::Value{id, static_cast<std::int32_t>(k)}, *(*values)[k].tensor);
  }
  ir::Builder builder(&graph);
  for (Slot& slot : results) {
    const auto it = slot.kind == Slot::Kind::kTensor ? folded.find(slot.value) : folded.end();
    if (it != folded.end()) slot.value = builder.Constant(it->second);
  }
}

}  // namespace tenon::savedmodel
