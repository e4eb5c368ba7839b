#include "formats/savedmodel/scope.h"

#include <charconv>

namespace tenon::savedmodel {
namespace {

/// Ops with several output arguments; the arguments in order, each of one output unless it is the last.
struct OutputNames {
  std::string_view op;
  std::string_view names;
};
constexpr OutputNames kOutputs[] = {
    {"FusedBatchNorm", "y batch_mean batch_variance reserve_space_1 reserve_space_2"},
    {"FusedBatchNormV2", "y batch_mean batch_variance reserve_space_1 reserve_space_2"},
    {"FusedBatchNormV3", "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3"},
    {"FusedBatchNormGradV3", "x_backprop scale_backprop offset_backprop reserve_space_4 reserve_space_5"},
    {"TopKV2", "values indices"},
    {"TopK", "values indices"},
    {"Unique", "y idx"},
    {"UniqueV2", "y idx"},
    {"UniqueWithCounts", "y idx count"},
    {"UniqueWithCountsV2", "y idx count"},
    {"ListDiff", "out idx"},
    {"Switch", "output_false output_true"},
    {"RefSwitch", "output_false output_true"},
    {"Merge", "output value_index"},
    {"RefMerge", "output value_index"},
    {"BroadcastGradientArgs", "r0 r1"},
    {"SoftmaxCrossEntropyWithLogits", "loss backprop"},
    {"SparseSoftmaxCrossEntropyWithLogits", "loss backprop"},
    {"MaxPoolWithArgmax", "output argmax"},
    {"Moments", "mean variance"},
    {"Svd", "s u v"},
    {"Qr", "q r"},
    {"SelfAdjointEigV2", "e v"},
    {"LogMatrixDeterminant", "sign log_abs_determinant"},
    {"QuantizeV2", "output output_min output_max"},
    {"QuantizedMatMul", "out min_out max_out"},
    {"NonMaxSuppressionV4", "selected_indices valid_outputs"},
    {"NonMaxSuppressionV5", "selected_indices selected_scores valid_outputs"},
    {"CombinedNonMaxSuppression", "nmsed_boxes nmsed_scores nmsed_classes valid_detections"},
    {"LookupTableExportV2", "keys values"},
    {"StatelessRandomGetKeyCounter", "key counter"},
    {"StringSplitV2", "indices values shape"},
    {"StringSplit", "indices values shape"},
    {"UnicodeDecode", "row_splits char_values"},
    {"StringNGrams", "ngrams ngrams_splits"},
    {"UnicodeDecodeWithOffsets", "row_splits char_values char_to_byte_starts"},
    {"CudnnRNNV3", "output output_h output_c reserve_space host_reserved"},
    {"TensorListPopBack", "output_handle tensor"},
    {"TensorListSplit", "output_handle"},
    {"TensorListConcat", "tensor lengths"},
    {"TensorListConcatV2", "tensor lengths"},
    {"TensorArrayV3", "handle flow"},
    {"TensorArrayConcatV3", "value lengths"},
    {"RaggedGather", "output_nested_splits output_dense_values"},
    {"RaggedRange", "rt_nested_splits rt_dense_values"},
    {"RaggedTensorToSparse", "sparse_indices sparse_values sparse_dense_shape"},
    {"SparseFillEmptyRows", "output_indices output_values empty_row_indicator reverse_index_map"},
    {"SparseReshape", "output_indices output_shape"},
    {"SparseReorder", "output_indices output_values"},
    {"SparseSlice", "output_indices output_values output_shape"},
    {"SparseToDense", "dense"},
    {"DynamicPartition", "outputs"},
};

bool Starts(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

/// Ops that write state.
bool Writes(std::string_view op) {
  for (const std::string_view prefix :
       {"Assign", "ResourceScatter", "ResourceApply", "ResourceSparseApply", "Apply", "SparseApply",
        "ResourceStridedSliceAssign", "LookupTableImport", "LookupTableInsert", "LookupTableRemove", "InitializeTable"})
    if (Starts(op, prefix)) return true;
  for (const std::string_view name :
       {"ScatterUpdate", "ScatterAdd", "ScatterSub", "ScatterNdUpdate", "ScatterNdAdd", "ScatterNdSub", "CountUpTo"})
    if (op == name) return true;
  return false;
}

int ToInt(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

bool IsOp(const NodeDef& node, std::string_view op) {
  return node.op == op || (Starts(node.op, "Ref") && node.op.substr(3) == op);
}

bool BoolAttr(const NodeDef& node, std::string_view name) {
  const auto it = node.attrs.find(name);
  const bool* value = it == node.attrs.end() ? nullptr : it->second.get<bool>();
  return value != nullptr && *value;
}

std::string FrameName(const NodeDef& node) {
  const auto it = node.attrs.find("frame_name");
  const std::string* value = it == node.attrs.end() ? nullptr : it->second.get<std::string>();
  return value == nullptr ? "" : *value;
}

std::size_t TypesIn(const NodeDef& node, std::string_view attr) {
  const auto it = node.attrs.find(attr);
  const auto* list = it == node.attrs.end() ? nullptr : it->second.get<std::shared_ptr<const AttrList>>();
  return list == nullptr ? 0 : (*list)->type.size();
}

/// The outputs of ParseExample and its kin are lists, as long as the attributes say.
int FeatureOffset(const NodeDef& node, std::string_view argument) {
  const std::size_t sparse = TypesIn(node, "sparse_types"), dense = TypesIn(node, "Tdense");
  const std::pair<std::string_view, std::size_t> lists[] = {{"sparse_indices", sparse},
                                                            {"sparse_values", sparse},
                                                            {"sparse_shapes", sparse},
                                                            {"dense_values", dense},
                                                            {"ragged_values", TypesIn(node, "ragged_value_types")},
                                                            {"ragged_row_splits", 0}};
  std::size_t position = 0;
  for (const auto& [name, count] : lists) {
    if (name == argument) return position > 0xffff ? -1 : static_cast<int>(position);
    position += count;
  }
  return -1;
}

/// The loops of a body: each LoopCond with the Switches it steers, their Merges, and what enters and leaves.
void FindFrames(Body& body) {
  const std::vector<NodeDef>& nodes = *body.nodes;
  const auto at = [](int id) { return static_cast<std::size_t>(id); };
  std::unordered_map<int, std::size_t> by_condition, by_switch;
  std::unordered_map<std::string, std::vector<int>> constants;  // of each frame name
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (IsOp(nodes[i], "Enter") && BoolAttr(nodes[i], "is_constant"))
      constants[FrameName(nodes[i])].push_back(static_cast<int>(i));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!IsOp(nodes[i], "Switch")) continue;
    const std::vector<Ref>& in = body.inputs[i];
    if (in.size() < 2 || in[0].node < 0 || in[1].node < 0 || nodes[at(in[1].node)].op != "LoopCond") continue;
    const auto [found, fresh] = by_condition.emplace(in[1].node, body.frames.size());
    if (fresh) body.frames.emplace_back();
    Frame& frame = body.frames[found->second];
    const std::vector<Ref>& condition = body.inputs[at(in[1].node)];
    if (!condition.empty()) frame.condition = condition[0];
    Frame::Variable variable;
    variable.loop_switch = static_cast<int>(i);
    variable.merge = in[0].node;
    if (!IsOp(nodes[at(variable.merge)], "Merge")) frame.problem = "a loop variable without a Merge";
    for (const Ref& ref : body.inputs[at(variable.merge)]) {
      if (ref.node < 0 || ref.control) continue;
      const NodeDef& source = nodes[at(ref.node)];
      if (IsOp(source, "Enter")) variable.enter = ref.node;
      if (IsOp(source, "NextIteration") && !body.inputs[at(ref.node)].empty())
        variable.next = body.inputs[at(ref.node)][0];
    }
    if (variable.enter < 0 || variable.next.node < 0)
      frame.problem = "a loop variable without an Enter or a NextIteration";
    by_switch.emplace(variable.loop_switch, frame.variables.size());
    frame.variables.push_back(std::move(variable));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!IsOp(nodes[i], "Exit") || body.inputs[i].empty() || body.inputs[i][0].node < 0) continue;
    const int source = body.inputs[i][0].node;
    const auto position = by_switch.find(source);
    if (position == by_switch.end()) continue;
    const std::size_t frame = by_condition.at(body.inputs[at(source)][1].node);
    body.frames[frame].variables[position->second].exits.push_back(static_cast<int>(i));
    body.frame_of_exit.emplace(static_cast<int>(i), frame);
  }
  for (Frame& frame : body.frames) {
    if (!frame.problem.empty()) continue;
    frame.constants = constants[FrameName(nodes[at(frame.variables[0].enter)])];
    for (const Frame::Variable& variable : frame.variables)
      frame.outer.push_back(body.inputs[at(variable.enter)].empty() ? Ref() : body.inputs[at(variable.enter)][0]);
    for (const int enter : frame.constants)
      frame.outer.push_back(body.inputs[at(enter)].empty() ? Ref() : body.inputs[at(enter)][0]);
  }
}

}  // namespace

int OutputOffset(const NodeDef& node, std::string_view argument) {
  if (Starts(node.op, "ParseExample") || node.op == "ParseSingleExample") return FeatureOffset(node, argument);
  for (const OutputNames& row : kOutputs) {
    if (row.op != node.op) continue;
    int position = 0;
    std::string_view names = row.names;
    while (!names.empty()) {
      const std::size_t space = std::min(names.find(' '), names.size());
      if (names.substr(0, space) == argument) return position;
      names.remove_prefix(std::min(space + 1, names.size()));
      ++position;
    }
    return -1;
  }
  return 0;
}

Ref Body::Find(std::string_view input) const {
  Ref ref;
  if (!input.empty() && input.front() == '^') {
    ref.control = true;
    input.remove_prefix(1);
  }
  const std::size_t first = input.find(':');
  const std::string_view name = input.substr(0, first);
  if (function != nullptr && !ref.control && first == std::string_view::npos) {
    const auto arg = args.find(name);
    if (arg != args.end()) ref.arg = arg->second;
    return ref;
  }
  const auto node = index.find(name);
  if (node == index.end()) return ref;
  ref.node = node->second;
  if (first == std::string_view::npos) return ref;
  const std::string_view rest = input.substr(first + 1);
  if (function == nullptr) {
    ref.output = ToInt(rest);
  } else {
    const std::size_t second = rest.find(':');
    const int offset = OutputOffset((*nodes)[static_cast<std::size_t>(ref.node)], rest.substr(0, second));
    const int position = second == std::string_view::npos ? 0 : ToInt(rest.substr(second + 1));
    ref.output = offset < 0 || position < 0 ? -1 : offset + position;
  }
  if (ref.output < 0 || ref.output > 0xffff) ref.node = -1;
  return ref;
}

Library::Library(const GraphDef& graph) : graph_(graph) {
  for (const FunctionDef& function : graph.functions) functions_.emplace(function.name, &function);
}

const Body& Library::main() {
  if (main_ == nullptr) main_ = Index(graph_.nodes, nullptr);
  return *main_;
}

const Body* Library::Find(std::string_view function) {
  const auto known = bodies_.find(function);
  if (known != bodies_.end()) return known->second.get();
  const auto found = functions_.find(function);
  if (found == functions_.end()) return nullptr;
  bodies_.emplace(found->first, nullptr);  // a function that calls itself finds nothing while it is indexed
  std::unique_ptr<Body> body = Index(found->second->nodes, found->second);
  return (bodies_[found->first] = std::move(body)).get();
}

bool Library::NodeHasEffect(const NodeDef& node) {
  if (Writes(node.op)) return true;
  const auto called = [this](const NameAttrList& func) {
    // Nested deeper than any real model: call it an effect, translation will refuse the depth.
    if (depth_ > 100) return true;
    const Body* body = Find(func.name);
    return body != nullptr && body->has_effect;
  };
  for (const auto& [name, attr] : node.attrs) {
    if (const auto* func = attr.get<std::shared_ptr<const NameAttrList>>(); func != nullptr && called(**func))
      return true;
    if (const auto* list = attr.get<std::shared_ptr<const AttrList>>(); list != nullptr)
      for (const NameAttrList& func : (*list)->func)
        if (called(func)) return true;
  }
  return false;
}

std::unique_ptr<Body> Library::Index(const std::vector<NodeDef>& nodes, const FunctionDef* function) {
  auto body = std::make_unique<Body>();
  body->nodes = &nodes;
  body->function = function;
  if (function != nullptr)
    for (std::size_t i = 0; i < function->inputs.size(); ++i)
      body->args.emplace(function->inputs[i].name, static_cast<int>(i));
  for (std::size_t i = 0; i < nodes.size(); ++i) body->index.emplace(nodes[i].name, static_cast<int>(i));
  std::vector<std::vector<int>> users(nodes.size());
  std::vector<int> work;
  body->effect.resize(nodes.size());
  ++depth_;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    std::vector<Ref>& refs = body->inputs.emplace_back();
    for (const std::string& input : nodes[i].inputs) {
      refs.push_back(body->Find(input));
      if (refs.back().node >= 0) users[static_cast<std::size_t>(refs.back().node)].push_back(static_cast<int>(i));
    }
    if (!NodeHasEffect(nodes[i])) continue;
    body->effect[i] = 1;
    work.push_back(static_cast<int>(i));
  }
  --depth_;
  body->has_effect = !work.empty();
  FindFrames(*body);
  while (!work.empty()) {
    const auto at = static_cast<std::size_t>(work.back());
    work.pop_back();
    for (const int user : users[at]) {
      if (body->effect[static_cast<std::size_t>(user)] != 0) continue;
      body->effect[static_cast<std::size_t>(user)] = 1;
      work.push_back(user);
    }
  }
  return body;
}

}  // namespace tenon::savedmodel
