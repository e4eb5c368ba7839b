// Variables: from handles to the tensors of the checkpoint, and their values while a function is built.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <deque>

#include "base/status_macros.h"
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/translator.h"

namespace tenon::savedmodel {
namespace {

std::string StringAttr(const NodeDef& node, std::string_view name) {
  const auto it = node.attrs.find(name);
  const std::string* value = it == node.attrs.end() ? nullptr : it->second.get<std::string>();
  return value == nullptr ? "" : *value;
}

/// The names ("v", without ":0") of a collection of VariableDefs.
std::set<std::string> NamesIn(const MetaGraph& meta, const std::string& collection) {
  std::set<std::string> names;
  const auto it = meta.collections.find(collection);
  if (it == meta.collections.end()) return names;
  for (const std::string& bytes : it->second.bytes) {
    std::string name;
    const Place place(collection, bytes);
    Reader reader(bytes, place);
    while (reader.Next())
      if (reader.number() == 1) reader.Get(&name);
    names.insert(name.substr(0, name.find(':')));
  }
  return names;
}

bool TakeNumber(std::string_view& text, std::int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

int Translator::CellOf(const NodeDef& node, Cell::Kind kind) {
  std::string name = StringAttr(node, "shared_name");
  if (name.empty()) name = node.name;
  const auto known = cell_by_name_.find(name);
  if (known != cell_by_name_.end()) return known->second;
  Cell made;
  made.kind = kind;
  made.name = name;
  made.node = &node;
  if (const auto attr = node.attrs.find("dtype"); attr != node.attrs.end())
    if (const TfType* type = attr->second.get<TfType>(); type != nullptr) made.dtype = *type;
  made.shape.unknown_rank = true;
  if (const auto attr = node.attrs.find("shape"); attr != node.attrs.end())
    if (const TfShape* shape = attr->second.get<TfShape>(); shape != nullptr) made.shape = *shape;
  const int id = static_cast<int>(cells_.size());
  cells_.push_back(std::move(made));
  cell_by_name_.emplace(std::move(name), id);
  return id;
}

int Translator::RandomCell() {
  if (random_cell_ >= 0) return random_cell_;
  Cell made;
  made.name = "random/state";
  while (!paths_.insert(made.name).second) made.name += "_";
  made.variable = std::make_shared<ir::VariableCell>(made.name, Literal(DType::kU64, {2}), /*trainable=*/false);
  random_cell_ = static_cast<int>(cells_.size());
  cells_.push_back(std::move(made));
  return random_cell_;
}

Result<ir::Value> Translator::Read(int id) {
  Building* here = building_;
  const auto known = here->current.find(id);
  if (known != here->current.end()) return known->second;
  ir::Type type;
  std::string path;
  if (here->parent != nullptr) {
    building_ = here->parent;
    const Result<ir::Value> outer = Read(id);
    building_ = here;
    if (!outer.ok()) return outer.status();
    type = here->parent->graph->type(*outer);
    path = cell(id).name;
  } else {
    TENON_ASSIGN_OR_RETURN(const ir::VariablePtr variable, Variable(id));
    type = variable->type();
    path = variable->path();
  }
  ir::Builder builder(here->graph);
  const ir::Value value = builder.Input(path, std::move(type));
  TENON_RETURN_IF_ERROR(builder.status());
  here->current[id] = value;
  here->reads.push_back(id);
  return value;
}

void Translator::Write(int id, ir::Value value) {
  building_->current[id] = value;
  if (std::ranges::count(building_->writes, id) == 0) building_->writes.push_back(id);
}

Result<ir::VariablePtr> Translator::Variable(int id) {
  Cell& each = cell(id);
  if (each.variable != nullptr) return each.variable;
  TENON_ASSIGN_OR_RETURN(Literal value, InitialValue(each));
  const SavedObject* object =
      each.object >= 0 && meta_.objects ? &meta_.objects->nodes[static_cast<std::size_t>(each.object)] : nullptr;
  const bool trainable =
      object != nullptr ? object->trainable : NamesIn(meta_, "trainable_variables").contains(each.name);
  std::string path = object != nullptr && !object->name.empty() ? object->name : each.name;
  if (paths_.contains(path)) path = each.name;
  while (!paths_.insert(path).second) path += "_";
  each.variable = std::make_shared<ir::VariableCell>(path, std::move(value), trainable && is_float(value.dtype()));
  return each.variable;
}

Result<Literal> Translator::InitialValue(const Cell& each) {
  const std::string what = fmt::format("{}: variable {:?}", name_, each.name);
  const std::string& key = each.key.empty() ? each.name : each.key;
  if (bundle_ == nullptr || bundle_->Find(key) == nullptr)
    return Status(Code::kNotFound, fmt::format("{}: the checkpoint holds no value for it{}", what,
                                               bundle_ == nullptr ? " (variables/variables.index is missing)" : ""));
  TENON_ASSIGN_OR_RETURN(Literal value, bundle_->Read(key));
  if (!each.spec.empty()) {
    TENON_ASSIGN_OR_RETURN(value, CutSlice(value, each.spec, what));
  }
  const std::optional<DType> dtype = DTypeOfTf(each.dtype);
  bool same = !dtype || *dtype == value.dtype();
  if (!each.shape.unknown_rank) {
    same = same && each.shape.dims.size() == value.dims().size();
    for (std::size_t d = 0; same && d < each.shape.dims.size(); ++d)
      same = each.shape.dims[d] < 0 || each.shape.dims[d] == value.dims()[d];
  }
  if (!same)
    return Status(Code::kDataLoss, fmt::format("{}: the checkpoint holds {}, the graph wants {} [{}]", what,
                                               ir::Type::Of(value).to_string(), TfTypeName(each.dtype),
                                               fmt::join(each.shape.dims, ", ")));
  return value;
}

Status Translator::FindRestored() {
  if (!meta_.saver || meta_.saver->restore_op.empty()) return {};
  const Body& main = library_.main();
  const Ref restore = main.Find(meta_.saver->restore_op);
  if (restore.node < 0) return {};
  ir::Graph graph;
  std::unordered_map<std::int64_t, Slot> fed;
  if (const Ref file = main.Find(meta_.saver->filename_tensor); file.node >= 0) {
    Slot& prefix = fed[(std::int64_t{file.node} << 16) | file.output];
    prefix.kind = Slot::Kind::kTensor;
    prefix.value = ir::Builder(&graph).Constant(Literal::scalar(std::string("prefix")));
  }
  return Record(graph, restore.node, std::move(fed));
}

Status Translator::Record(ir::Graph& graph, int node, std::unordered_map<std::int64_t, Slot> fed) {
  Building building;
  building.graph = &graph;
  building.restoring = true;
  building_ = &building;
  Scope scope;
  scope.body = &library_.main();
  scope.fed = std::move(fed);
  const Status status = Evaluate(scope, {node});
  building_ = nullptr;
  // What could not be followed shows when a variable has no value.
  problems_.clear();
  reported_.clear();
  return status;
}

std::optional<Literal> Translator::Restored(const std::string& key) const {
  if (bundle_ == nullptr || bundle_->Find(key) == nullptr) return std::nullopt;
  Result<Literal> value = bundle_->Read(key);
  return value.ok() ? std::optional<Literal>(*std::move(value)) : std::nullopt;
}

Status Translator::FindTables() {
  const Body& main = library_.main();
  std::set<std::string> initialisers;
  if (const auto it = meta_.signatures.find("__saved_model_init_op"); it != meta_.signatures.end())
    for (const auto& [port, info] : it->second.outputs) initialisers.insert(info.name);
  for (const char* collection : {"saved_model_main_op", "legacy_init_op"})
    if (const auto it = meta_.collections.find(collection); it != meta_.collections.end())
      initialisers.insert(it->second.nodes.begin(), it->second.nodes.end());
  for (const std::string& name : initialisers) {
    const Ref init = main.Find(name);
    if (init.node < 0) continue;
    ir::Graph graph;
    std::unordered_map<std::int64_t, Slot> fed;
    for (const AssetFileDef& asset : meta_.assets) {
      const Ref tensor = main.Find(asset.tensor_name);
      // A file beside the model, never one elsewhere.
      if (tensor.node < 0 || asset.filename.starts_with('/') || asset.filename.find("..") != std::string::npos)
        continue;
      Slot& slot = fed[(std::int64_t{tensor.node} << 16) | tensor.output];
      slot.kind = Slot::Kind::kTensor;
      slot.value = ir::Builder(&graph).Constant(Literal::scalar(name_ + "/assets/" + asset.filename));
    }
    TENON_RETURN_IF_ERROR(Record(graph, init.node, std::move(fed)));
  }
  return {};
}

void Translator::FindObjects() {
  if (!meta_.objects) return;
  const Body& main = library_.main();
  for (std::size_t i = 0; i < main.nodes->size(); ++i) {
    const NodeDef& node = (*main.nodes)[i];
    const auto attr = node.attrs.find("f");
    const auto* func = attr == node.attrs.end() ? nullptr : attr->second.get<std::shared_ptr<const NameAttrList>>();
    if (func == nullptr) continue;
    const auto concrete = meta_.objects->functions.find((*func)->name);
    if (concrete == meta_.objects->functions.end()) continue;
    std::vector<Ref> data;
    for (const Ref& ref : main.inputs[i])
      if (!ref.control) data.push_back(ref);
    const std::vector<std::int32_t>& bound = concrete->second.bound_inputs;
    if (bound.size() > data.size()) continue;
    for (std::size_t k = 0; k < bound.size(); ++k) {
      const Ref& ref = data[data.size() - bound.size() + k];
      const auto object = static_cast<std::size_t>(bound[k]);
      if (ref.node < 0 || bound[k] < 0 || object >= meta_.objects->nodes.size()) continue;
      const NodeDef& handle = (*main.nodes)[static_cast<std::size_t>(ref.node)];
      if (handle.op != "VarHandleOp" || meta_.objects->nodes[object].kind != SavedObject::Kind::kVariable) continue;
      cell(CellOf(handle, Cell::Kind::kVariable)).object = bound[k];
    }
  }
}

Status Translator::FindKeys() {
  const bool missing = std::ranges::any_of(cells_, [](const Cell& c) { return c.key.empty() && c.object >= 0; });
  if (!missing || bundle_ == nullptr || bundle_->Find("_CHECKPOINTABLE_OBJECT_GRAPH") == nullptr) return {};
  TENON_ASSIGN_OR_RETURN(const Literal encoded, bundle_->Read("_CHECKPOINTABLE_OBJECT_GRAPH"));
  if (encoded.dtype() != DType::kString || encoded.size() != 1) return {};
  TENON_ASSIGN_OR_RETURN(const TrackableGraph graph, ParseTrackableGraph(encoded.strings()[0], name_));
  // The two graphs share their root and the names of children; ids may differ.
  const std::vector<SavedObject>& saved = meta_.objects->nodes;
  std::map<std::int32_t, std::string> keys;
  std::set<std::int32_t> seen;
  std::deque<std::pair<std::int32_t, std::int32_t>> work;
  if (!saved.empty() && !graph.nodes.empty()) work.emplace_back(0, 0);
  while (!work.empty()) {
    const auto [object, tracked] = work.front();
    work.pop_front();
    if (!seen.insert(object).second) continue;
    const SavedObject& left = saved[static_cast<std::size_t>(object)];
    const TrackableObject& right = graph.nodes[static_cast<std::size_t>(tracked)];
    if (left.kind == SavedObject::Kind::kVariable && !right.attributes.empty()) keys[object] = right.attributes[0].key;
    std::map<std::string_view, std::int32_t> children;
    for (const Child& child : right.children) children.emplace(child.name, child.node_id);
    for (const Child& child : left.children) {
      const auto other = children.find(child.name);
      if (other == children.end() || child.node_id < 0 || other->second < 0) continue;
      if (static_cast<std::size_t>(child.node_id) >= saved.size()) continue;
      if (static_cast<std::size_t>(other->second) >= graph.nodes.size()) continue;
      work.emplace_back(child.node_id, other->second);
    }
  }
  for (Cell& each : cells_)
    if (each.key.empty() && keys.contains(each.object)) each.key = keys[each.object];
  return {};
}

Result<Literal> CutSlice(const Literal& whole, std::string_view spec, const std::string& what) {
  const Status malformed(Code::kInvalidArgument,
                         fmt::format("{}: {:?} is no slice of {}", what, spec, ir::Type::Of(whole).to_string()));
  const auto rank = static_cast<std::size_t>(whole.rank());
  std::string_view left = spec;
  for (std::size_t d = 0; d < rank; ++d) {
    std::int64_t size = 0;
    if (!TakeNumber(left, size) || size != whole.dims()[d] || left.empty() || left[0] != ' ') return malformed;
    left.remove_prefix(1);
  }
  std::vector<std::int64_t> starts, lengths;
  for (std::size_t d = 0; d < rank; ++d) {
    std::int64_t start = 0, length = whole.dims()[d];
    if (!left.empty() && left[0] == '-') {
      left.remove_prefix(1);
    } else {
      if (!TakeNumber(left, start) || left.empty() || left[0] != ',') return malformed;
      left.remove_prefix(1);
      if (!TakeNumber(left, length)) return malformed;
    }
    if (start < 0 || length < 0 || start > whole.dims()[d] || length > whole.dims()[d] - start) return malformed;
    starts.push_back(start);
    lengths.push_back(length);
    if (d + 1 < rank) {
      if (left.empty() || left[0] != ':') return malformed;
      left.remove_prefix(1);
    }
  }
  if (!left.empty() || dtype_bits(whole.dtype()) < 8) return malformed;
  Literal part = Literal::uninitialized(whole.dtype(), lengths);
  if (part.size() == 0 || rank == 0) return rank == 0 ? whole : part;
  const std::size_t width = static_cast<std::size_t>(dtype_bits(whole.dtype())) / 8;
  const std::size_t row = static_cast<std::size_t>(lengths[rank - 1]) * width;
  std::vector<std::int64_t> at(rank, 0);  // the last dim's stays 0
  std::byte* out = part.mutable_raw().data();
  for (std::size_t done = 0; done < part.nbytes(); done += row) {
    std::int64_t flat = 0;
    for (std::size_t d = 0; d < rank; ++d) flat = flat * whole.dims()[d] + starts[d] + at[d];
    std::memcpy(out + done, whole.raw().data() + static_cast<std::size_t>(flat) * width, row);
    for (std::size_t d = rank - 1; d-- > 0;) {
      if (++at[d] < lengths[d]) break;
      at[d] = 0;
    }
  }
  return part;
}

}  // namespace tenon::savedmodel
