// GraphDef: node 1, library 2, version 3 (old), versions 4 {producer 1, min_consumer 2}
// NodeDef: name 1, op 2, input 3, device 4, attr 5 (map)
// AttrValue: list 1, s 2, i 3, f 4, b 5, type 6, shape 7, tensor 8, placeholder 9, func 10; NameAttrList: name 1, attr
// 2 AttrValue.ListValue: s 2, i 3, f 4, b 5, type 6, shape 7, tensor 8, func 9 FunctionDefLibrary: function 1, gradient
// 2 {function_name 1, gradient_func 2} FunctionDef: signature 1, node_def 3, ret 4 (map), attr 5 (map), control_ret 6
// (map), arg_attr 7 (map: index -> attr 1) OpDef: name 1, input_arg 2, output_arg 3, is_stateful 17, control_output 20
// OpDef.ArgDef: name 1, type 3, type_attr 4, number_attr 5, type_list_attr 6
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/tensor_proto.h"

namespace tenon::savedmodel {
namespace {

Status ParseAttr(std::string_view bytes, const Place& place, AttrValue* attr);

Status ParseAttrEntry(std::string_view bytes, const Place& place, Attrs* attrs) {
  MapEntry entry;
  TENON_RETURN_IF_ERROR(ParseMapEntry(bytes, place, &entry));
  AttrValue value;
  TENON_RETURN_IF_ERROR(ParseAttr(entry.value, Place(place, entry.key), &value));
  (*attrs)[std::move(entry.key)] = std::move(value);
  return {};
}

Status ParseFunc(std::string_view bytes, const Place& place, NameAttrList* func) {
  TENON_RETURN_IF_ERROR(place.CheckDepth());
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&func->name);
    if (reader.number() == 2) TENON_RETURN_IF_ERROR(ParseAttrEntry(reader.bytes(), Place(place, "attr"), &func->attrs));
  }
  return reader.status();
}

Status ParseList(std::string_view bytes, const Place& place, AttrList* list) {
  TENON_RETURN_IF_ERROR(place.CheckDepth());
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 2:
        reader.Append(&list->s);
        break;
      case 3:
        reader.Append(&list->i);
        break;
      case 4:
        reader.Append(&list->f);
        break;
      case 5: {
        std::vector<std::uint8_t> bools;
        reader.Append(&bools);
        for (const std::uint8_t b : bools) list->b.push_back(b != 0);
        break;
      }
      case 6: {
        std::vector<std::int32_t> types;
        reader.Append(&types);
        for (const std::int32_t type : types) list->type.push_back(static_cast<TfType>(type));
        break;
      }
      case 7:
        TENON_RETURN_IF_ERROR(ParseShape(reader.bytes(), Place(place, "shape"), &list->shape.emplace_back()));
        break;
      case 8:
        TENON_RETURN_IF_ERROR(ParseTensor(reader.bytes(), Place(place, "tensor"), &list->tensor.emplace_back()));
        break;
      case 9:
        TENON_RETURN_IF_ERROR(ParseFunc(reader.bytes(), Place(place, "func"), &list->func.emplace_back()));
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseAttr(std::string_view bytes, const Place& place, AttrValue* attr) {
  TENON_RETURN_IF_ERROR(place.CheckDepth());
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1: {
        auto list = std::make_shared<AttrList>();
        TENON_RETURN_IF_ERROR(ParseList(reader.bytes(), Place(place, "list"), list.get()));
        attr->value = std::shared_ptr<const AttrList>(std::move(list));
        break;
      }
      case 2:
        attr->value = std::string(reader.bytes());
        break;
      case 3:
        reader.Get(&attr->value.emplace<std::int64_t>());
        break;
      case 4:
        reader.Get(&attr->value.emplace<float>());
        break;
      case 5:
        reader.Get(&attr->value.emplace<bool>());
        break;
      case 6:
        reader.Get(&attr->value.emplace<TfType>());
        break;
      case 7:
        TENON_RETURN_IF_ERROR(ParseShape(reader.bytes(), Place(place, "shape"), &attr->value.emplace<TfShape>()));
        break;
      case 8: {
        auto tensor = std::make_shared<TensorProto>();
        TENON_RETURN_IF_ERROR(ParseTensor(reader.bytes(), Place(place, "tensor"), tensor.get()));
        attr->value = std::shared_ptr<const TensorProto>(std::move(tensor));
        break;
      }
      case 9:
        reader.Get(&attr->value.emplace<AttrValue::Placeholder>().name);
        break;
      case 10: {
        auto func = std::make_shared<NameAttrList>();
        TENON_RETURN_IF_ERROR(ParseFunc(reader.bytes(), Place(place, "func"), func.get()));
        attr->value = std::shared_ptr<const NameAttrList>(std::move(func));
        break;
      }
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseNode(std::string_view bytes, const Place& place, NodeDef* node) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&node->name);
        break;
      case 2:
        reader.Get(&node->op);
        break;
      case 3:
        reader.Append(&node->inputs);
        break;
      case 4:
        reader.Get(&node->device);
        break;
      case 5:
        TENON_RETURN_IF_ERROR(ParseAttrEntry(reader.bytes(), Place(place, "attr"), &node->attrs));
        break;
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (node->name.empty() || node->op.empty()) return place.Error("a node without a name or an op");
  return {};
}

Status ParseArg(std::string_view bytes, const Place& place, ArgDef* arg) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&arg->name);
        break;
      case 3:
        reader.Get(&arg->type);
        break;
      case 4:
        reader.Get(&arg->type_attr);
        break;
      case 5:
        reader.Get(&arg->number_attr);
        break;
      case 6:
        reader.Get(&arg->type_list_attr);
        break;
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (arg->name.empty()) return place.Error("an argument without a name");
  return {};
}

Status ParseSignature(std::string_view bytes, const Place& place, FunctionDef* function) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&function->name);
        break;
      case 2:
        TENON_RETURN_IF_ERROR(ParseArg(reader.bytes(), Place(place, "input_arg"), &function->inputs.emplace_back()));
        break;
      case 3:
        TENON_RETURN_IF_ERROR(ParseArg(reader.bytes(), Place(place, "output_arg"), &function->outputs.emplace_back()));
        break;
      case 17:
        reader.Get(&function->is_stateful);
        break;
      case 20:
        reader.Append(&function->control_outputs);
        break;
      default:
        break;
    }
  }
  return reader.status();
}

/// map<string, string>
Status ParseText(std::string_view bytes, const Place& place, std::map<std::string, std::string>* map) {
  MapEntry entry;
  TENON_RETURN_IF_ERROR(ParseMapEntry(bytes, place, &entry));
  (*map)[std::move(entry.key)] = std::string(entry.value);
  return {};
}

Status ParseArgAttrs(std::string_view bytes, const Place& place, std::map<std::uint32_t, Attrs>* map) {
  std::uint32_t index = 0;
  Attrs attrs;
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&index);
    if (reader.number() != 2) continue;
    Reader value(reader.bytes(), place);
    while (value.Next())
      if (value.number() == 1) TENON_RETURN_IF_ERROR(ParseAttrEntry(value.bytes(), Place(place, "attr"), &attrs));
    TENON_RETURN_IF_ERROR(value.status());
  }
  TENON_RETURN_IF_ERROR(reader.status());
  (*map)[index] = std::move(attrs);
  return {};
}

Status ParseFunction(std::string_view bytes, const Place& place, FunctionDef* function) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        TENON_RETURN_IF_ERROR(ParseSignature(reader.bytes(), Place(place, "signature"), function));
        break;
      case 3: {
        const auto index = static_cast<std::int64_t>(function->nodes.size());
        TENON_RETURN_IF_ERROR(
            ParseNode(reader.bytes(), Place(place, "node_def", index), &function->nodes.emplace_back()));
        break;
      }
      case 4:
        TENON_RETURN_IF_ERROR(ParseText(reader.bytes(), Place(place, "ret"), &function->ret));
        break;
      case 5:
        TENON_RETURN_IF_ERROR(ParseAttrEntry(reader.bytes(), Place(place, "attr"), &function->attrs));
        break;
      case 6:
        TENON_RETURN_IF_ERROR(ParseText(reader.bytes(), Place(place, "control_ret"), &function->control_ret));
        break;
      case 7:
        TENON_RETURN_IF_ERROR(ParseArgAttrs(reader.bytes(), Place(place, "arg_attr"), &function->arg_attrs));
        break;
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (function->name.empty()) return place.Error("a function without a name");
  return {};
}

Status ParseLibrary(std::string_view bytes, const Place& place, GraphDef* graph) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) {
      const auto index = static_cast<std::int64_t>(graph->functions.size());
      TENON_RETURN_IF_ERROR(
          ParseFunction(reader.bytes(), Place(place, "function", index), &graph->functions.emplace_back()));
    }
    if (reader.number() == 2)
      TENON_RETURN_IF_ERROR(ParseText(reader.bytes(), Place(place, "gradient"), &graph->gradients));
  }
  return reader.status();
}

}  // namespace

Status ParseGraph(std::string_view bytes, const Place& place, GraphDef* graph) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1: {
        const auto index = static_cast<std::int64_t>(graph->nodes.size());
        TENON_RETURN_IF_ERROR(ParseNode(reader.bytes(), Place(place, "node", index), &graph->nodes.emplace_back()));
        break;
      }
      case 2:
        TENON_RETURN_IF_ERROR(ParseLibrary(reader.bytes(), Place(place, "library"), graph));
        break;
      case 3:
        reader.Get(&graph->producer);
        break;
      case 4: {
        Reader versions(reader.bytes(), place);
        while (versions.Next()) {
          if (versions.number() == 1) versions.Get(&graph->producer);
          if (versions.number() == 2) versions.Get(&graph->min_consumer);
        }
        TENON_RETURN_IF_ERROR(versions.status());
        break;
      }
      default:
        break;
    }
  }
  return reader.status();
}

Result<GraphDef> ParseGraphDef(std::string_view bytes, const std::string& name) {
  GraphDef graph;
  TENON_RETURN_IF_ERROR(ParseGraph(bytes, Place(name, bytes), &graph));
  return graph;
}

Result<GraphDefFile> ReadGraphDef(const std::string& path) {
  GraphDefFile out;
  TENON_ASSIGN_OR_RETURN(out.file, base::MappedFile::Open(path));
  TENON_ASSIGN_OR_RETURN(out.graph, ParseGraphDef(out.file->text(), path));
  return out;
}

}  // namespace tenon::savedmodel
