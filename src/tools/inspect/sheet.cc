#include "tools/inspect/sheet.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>
#include <sstream>

#include "base/status_macros.h"
#include "compiler/specialize.h"
#include "formats/onnx/data_type.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/tensor.h"
#include "ir/module.h"
#include "ir/numeric.h"
#include "ir/op_def.h"
#include "tenon/formats.h"
#include "tools/inspect/cost.h"
#include "verify/explain.h"

namespace tenon::tools {
namespace {

WeightStats Stats(const std::string& name, const Literal& value) {
  WeightStats s;
  s.name = name;
  s.type = std::string(dtype_name(value.dtype())) + value.shape().to_string();
  s.elements = value.size();
  s.bytes = static_cast<std::int64_t>(value.nbytes());
  if (value.dtype() == DType::kString || value.size() == 0) return s;
  const std::vector<double> values = ir::ToDoubles(value);
  s.min = s.max = values[0];
  double sum = 0, square = 0;
  for (const double v : values) {
    s.min = std::min(s.min, v);
    s.max = std::max(s.max, v);
    s.zeros += v == 0 ? 1 : 0;
    sum += v;
  }
  const auto n = static_cast<double>(values.size());
  s.mean = sum / n;
  s.zeros /= n;
  for (const double v : values) {
    square += (v - s.mean) * (v - s.mean);
    const double at = s.max > s.min ? (v - s.min) / (s.max - s.min) * 24 : 0;
    if (std::isfinite(at)) ++s.bins[static_cast<std::size_t>(std::clamp(at, 0.0, 23.0))];
  }
  s.deviation = std::sqrt(square / n);
  return s;
}

bool IsWeight(const Literal& value) { return is_float(value.dtype()) ? value.size() > 1 : value.size() > 64; }

// What an ONNX file says without being translated.
void ReadSource(const onnx::Model& model, Sheet* sheet, std::map<std::string, std::string>* op_of) {
  for (const onnx::OperatorSetId& id : model.opset_imports)
    sheet->opsets[id.domain.empty() ? "ai.onnx" : id.domain] = id.version;
  sheet->metadata["ir_version"] = std::to_string(model.ir_version);
  if (!model.producer_name.empty()) sheet->metadata["producer"] = model.producer_name + " " + model.producer_version;
  const std::function<void(const std::vector<onnx::Node>&)> count = [&](const std::vector<onnx::Node>& nodes) {
    for (const onnx::Node& n : nodes) {
      const std::string op = n.domain.empty() || n.domain == "ai.onnx" ? n.op_type : n.domain + "::" + n.op_type;
      ++sheet->source_ops[op];
      for (const std::string& output : n.outputs) op_of->emplace(output, op);
      for (const onnx::Attribute& a : n.attributes)
        for (const onnx::Graph& g : a.graphs) count(g.nodes);
    }
  };
  if (model.graph) count(model.graph->nodes);
  for (const onnx::Function& f : model.functions) count(f.nodes);
}

std::string TypeText(const onnx::TypeProto& type) {
  if (type.kind != onnx::TypeKind::kTensor) return "";
  std::string text = onnx::DataTypeName(type.elem_type);
  if (!type.shape) return text + "[*]";
  text += "[";
  for (std::size_t i = 0; i < type.shape->size(); ++i) {
    const onnx::Dimension& d = (*type.shape)[i];
    text += (i == 0 ? "" : ", ") + (d.value ? std::to_string(*d.value) : d.param.empty() ? std::string("?") : d.param);
  }
  return text + "]";
}

// Rows by the file's own nodes, where no Module could be made.
SignatureSheet FromSource(const onnx::Model& model, Sheet* sheet) {
  SignatureSheet s;
  s.name = "graph";
  s.note = "the model could not be translated: shapes are the file's own, costs are not known";
  const onnx::Graph& graph = *model.graph;
  onnx::TensorReader reader(model);
  std::map<std::string, Literal> weights;
  for (const onnx::Tensor& t : graph.initializers) {
    const Result<Literal> value = reader.Read(t);
    if (!value.ok()) {
      sheet->unsupported.push_back(value.status().message());
      continue;
    }
    sheet->weight_bytes += static_cast<std::int64_t>(value->nbytes());
    if (IsWeight(*value)) sheet->parameters += value->size();
    weights.emplace(t.name, *value);
  }
  std::map<std::string, std::string> types;
  for (const auto* list : {&graph.value_infos, &graph.inputs, &graph.outputs})
    for (const onnx::ValueInfo& v : *list) types[v.name] = TypeText(v.type);
  for (const onnx::ValueInfo& v : graph.inputs)
    if (!weights.contains(v.name)) s.inputs.emplace_back(v.name, TypeText(v.type));
  for (const onnx::ValueInfo& v : graph.outputs) s.outputs.emplace_back(v.name, TypeText(v.type));
  std::map<std::string, std::size_t> made;
  for (const auto& [name, type] : s.inputs) {
    made[name] = s.rows.size();
    Row& row = s.rows.emplace_back();
    row.name = name;
    row.op = "input";
    row.type = type;
  }
  for (const onnx::Node& n : graph.nodes) {
    Row row;
    row.name = n.outputs.empty() ? n.name : n.outputs[0];
    row.node = n.name;
    row.op = n.op_type;
    row.type = types[row.name];
    row.nodes = 1;
    for (const std::string& input : n.inputs) {
      if (const auto it = made.find(input); it != made.end()) row.from.push_back(it->second);
      if (const auto it = weights.find(input); it != weights.end() && IsWeight(it->second)) {
        row.weights.push_back(Stats(input, it->second));
        row.parameters += it->second.size();
      }
    }
    for (const std::string& output : n.outputs) made[output] = s.rows.size();
    s.rows.push_back(std::move(row));
  }
  return s;
}

void CountOps(const ir::Graph& graph, std::map<std::string, int>& counts) {
  for (const ir::Node& n : graph.nodes()) {
    if (n.op->name != "input" && n.op->name != "constant") ++counts[std::string(n.op->name)];
    for (const auto& [name, value] : n.attrs)
      if (const ir::GraphPtr* body = std::get_if<ir::GraphPtr>(&value)) CountOps(**body, counts);
  }
}

// What every free dim of the inputs becomes: `batch` when it stands first, else `other`.
std::vector<std::vector<std::int64_t>> DimsFor(const ir::Function& f, int batch, int other) {
  std::set<std::string> first;
  for (const ir::Value v : f.graph.inputs())
    if (const ir::Type& type = f.graph.type(v); type.rank() > 0) first.emplace(type.shape()[0].symbol_name());
  std::vector<std::vector<std::int64_t>> dims;
  for (const ir::Value v : f.graph.inputs()) {
    dims.emplace_back();
    const std::vector<Dim>& shape = f.graph.type(v).shape().dims();
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const Result<std::int64_t> n = shape[i].evaluate([&](std::string_view name) {
        return std::optional<std::int64_t>(first.contains(std::string(name)) ? batch : other);
      });
      dims.back().push_back(n.ok() ? *n : i == 0 ? batch : other);
    }
  }
  return dims;
}

// The graph for the given batch, or as it is where its dims stay open. Where the other free dims cannot be that small,
// the first size of a few that fits.
ir::Graph ForBatch(const ir::Function& f, int batch, std::string* note) {
  for (const ir::Value v : f.graph.inputs())
    if (const ir::Type& type = f.graph.type(v); !type.is_tensor() || !type.has_rank()) {
      *note = "an input of unknown rank: costs are not known";
      return f.graph;
    }
  std::string reason;
  for (const int other : {batch, 4, 8, 16, 32, 64, 128, 224, 256, 512}) {
    if (other < batch) continue;
    Result<ir::Graph> graph = compiler::Specialize(f.graph, DimsFor(f, batch, other));
    if (graph.ok()) {
      if (!reason.empty()) *note = "free dims behind the first are " + std::to_string(other) + "; " + reason;
      return *std::move(graph);
    }
    if (reason.empty()) reason = "with every free dim " + std::to_string(batch) + ": " + graph.status().message();
  }
  *note = std::move(reason);
  return f.graph;
}

// The weights in the bodies of a control op, those of its branches and loops too.
void WeightsInside(const ir::Node& node, const std::function<void(const ir::Graph&, ir::Value)>& found) {
  for (const auto& [name, value] : node.attrs)
    if (const ir::GraphPtr* body = std::get_if<ir::GraphPtr>(&value))
      for (std::int32_t id = 0; id < (*body)->size(); ++id) {
        const ir::Node& inner = (*body)->node(id);
        if (inner.op->name == "constant" && IsWeight(inner.attrs.Lit("value"))) found(**body, {id, 0});
        WeightsInside(inner, found);
      }
}

// A layer's own result is its last node: ordered by that, layers come after what they read.
void InOrder(std::vector<Row>& rows, const std::vector<std::int32_t>& last) {
  std::vector<std::size_t> order(rows.size()), place(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return last[a] < last[b]; });
  for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  std::vector<Row> sorted;
  for (const std::size_t i : order) {
    for (std::size_t& k : rows[i].from) k = place[k];
    sorted.push_back(std::move(rows[i]));
  }
  rows = std::move(sorted);
}

SignatureSheet FromFunction(const ir::Module& module, const ir::Function& f, const std::string& name, Sheet* sheet,
                            const std::map<std::string, std::string>& op_of, std::set<const std::byte*>* counted) {
  SignatureSheet s;
  s.name = name;
  for (std::size_t i = 0; i < f.num_inputs(); ++i) s.inputs.emplace_back(f.input_names[i], f.input_type(i).to_string());
  for (std::size_t i = 0; i < f.num_outputs(); ++i)
    s.outputs.emplace_back(f.output_names[i], f.output_type(i).to_string());
  CountOps(f.graph, s.ops);
  ir::Function shaped = f;
  shaped.graph = ForBatch(f, sheet->batch, &s.note);
  const ir::Graph& graph = shaped.graph;
  s.peak_activations = PeakActivations(graph);
  const verify::Layers layers(shaped);
  std::map<std::string, std::size_t> row_of_name;
  std::map<std::int32_t, std::size_t> row_of_node;
  std::vector<std::int32_t> last;
  std::map<std::int32_t, std::string> variable;  // graph input -> path
  for (std::size_t i = 0; i < f.reads.size(); ++i) variable[shaped.read_input(i).node] = f.reads[i];
  const auto add_weight = [&](Row& row, const std::string& name_of, const Literal& value, bool constant) {
    row.weights.push_back(Stats(name_of, value));
    row.parameters += value.size();
    if (!constant || !counted->insert(value.raw().data()).second) return;
    sheet->parameters += value.size();
    sheet->weight_bytes += static_cast<std::int64_t>(value.nbytes());
  };
  for (std::int32_t id = 0; id < graph.size(); ++id) {
    const ir::Node& node = graph.node(id);
    if (node.op->name == "constant" || variable.contains(id) || node.outputs.empty()) continue;
    const verify::Layer& layer = layers({id, 0});
    const auto [at, fresh] = row_of_name.emplace(layer.value, s.rows.size());
    if (fresh) s.rows.emplace_back().name = layer.value;
    row_of_node[id] = at->second;
    last.resize(s.rows.size());
    last[at->second] = id;
    Row& row = s.rows[at->second];
    ++row.nodes;
    row.flops += Flops(graph, node);
    const bool named = verify::NameOf(node.outputs[0].record) == layer.value;
    if (named || row.op.empty()) {
      const auto theirs = op_of.find(layer.value);
      row.op = theirs != op_of.end() ? theirs->second : std::string(node.op->name);
      row.node = layer.node;
      row.type = node.outputs[0].type.to_string();
      row.bytes = Bytes(node.outputs[0].type);
    }
    for (const ir::Value v : node.inputs) {
      if (!v.valid()) continue;
      const ir::Node& source = graph.node(v);
      if (const auto it = row_of_node.find(v.node); it != row_of_node.end()) {
        if (it->second != at->second && std::find(row.from.begin(), row.from.end(), it->second) == row.from.end())
          row.from.push_back(it->second);
        continue;
      }
      const auto cell = variable.find(v.node);
      const ir::VariablePtr found = cell == variable.end() ? nullptr : module.FindVariable(cell->second);
      if (found == nullptr && source.op->name != "constant") continue;
      const Literal value = found != nullptr ? found->Read() : source.attrs.Lit("value");
      if (!IsWeight(value) && found == nullptr) continue;
      add_weight(row, found != nullptr ? cell->second : layers(v).value, value, found == nullptr);
    }
    WeightsInside(node, [&](const ir::Graph& body, ir::Value v) {
      add_weight(row, verify::NameOf(body.output(v).record), body.node(v).attrs.Lit("value"), true);
    });
  }
  InOrder(s.rows, last);
  for (const Row& row : s.rows) s.flops += row.flops;
  return s;
}

}  // namespace

Result<Sheet> Inspected(const std::string& path, int batch) {
  Sheet sheet;
  sheet.path = path;
  sheet.batch = batch;
  TENON_ASSIGN_OR_RETURN(const Format format, detect_format(path));
  sheet.format = format_name(format);
  std::map<std::string, std::string> op_of;
  std::optional<onnx::Model> source;
  if (format == Format::kOnnx) {
    TENON_ASSIGN_OR_RETURN(source, onnx::ParseFile(path));
    ReadSource(*source, &sheet, &op_of);
  }
  const Result<Module> module = load(path);
  if (!module.ok()) {
    if (!source || !source->graph) return module.status();
    std::istringstream lines(module.status().message());
    for (std::string line; std::getline(lines, line);)
      if (const std::size_t at = line.find_first_not_of(' '); at != std::string::npos)
        sheet.unsupported.push_back(line.substr(at));
    sheet.signatures.push_back(FromSource(*source, &sheet));
    return sheet;
  }
  for (const auto& [key, value] : module->metadata()) sheet.metadata.emplace(key, value);
  sheet.variables = static_cast<std::int64_t>(module->variables().size());
  for (const VariableSpec& v : module->variables()) {
    const std::int64_t n = v.shape.size().value();
    sheet.parameters += n;
    sheet.trainable += v.trainable ? n : 0;
    sheet.weight_bytes += n * dtype_bits(v.dtype) / 8;
  }
  std::set<const std::byte*> counted;
  for (const std::string& name : module->signatures())
    sheet.signatures.push_back(
        FromFunction(*module->impl(), *module->impl()->FindFunction(name), name, &sheet, op_of, &counted));
  return sheet;
}

}  // namespace tenon::tools
