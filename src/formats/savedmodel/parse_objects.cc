// SavedObjectGraph: nodes 1, concrete_functions 2 (map)
// SavedObject: children 1, slot_variables 3, user_object 4 {identifier 1, version 2 {producer 1, min_consumer 2},
//   metadata 3}, asset 5 {asset_file_def_index 1}, function 6 {concrete_functions 1, function_spec 2}, variable 7,
//   bare_concrete_function 8, constant 9 {operation 1}, resource 10, captured_tensor 12
// SavedVariable: dtype 1, shape 2, trainable 3, name 6
// SavedBareConcreteFunction: concrete_function_name 1, argument_keywords 2, allowed_positional_arguments 3,
//   function_spec 4
// SavedConcreteFunction: bound_inputs 2, canonicalized_input_signature 3, output_signature 4
// TrackableObjectGraph: nodes 1 {children 1, attributes 2 {name 1, full_name 2, checkpoint_key 3}, slot_variables 3}
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/tensor_proto.h"

namespace tenon::savedmodel {
namespace {

Status ParseUserObject(std::string_view bytes, const Place& place, SavedObject* object) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&object->identifier);
    if (reader.number() == 3) reader.Get(&object->metadata);
    if (reader.number() != 2) continue;
    Reader version(reader.bytes(), place);
    while (version.Next()) {
      if (version.number() == 1) version.Get(&object->version_producer);
      if (version.number() == 2) version.Get(&object->version_min_consumer);
    }
    TENON_RETURN_IF_ERROR(version.status());
  }
  return reader.status();
}

Status ParseVariable(std::string_view bytes, const Place& place, SavedObject* object) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&object->dtype);
        break;
      case 2:
        TENON_RETURN_IF_ERROR(ParseShape(reader.bytes(), Place(place, "shape"), &object->shape));
        break;
      case 3:
        reader.Get(&object->trainable);
        break;
      case 6:
        reader.Get(&object->name);
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseFunctionObject(std::string_view bytes, const Place& place, bool bare, SavedObject* object) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Append(&object->functions);
    if (reader.number() == 2 && bare) reader.Append(&object->argument_keywords);
    if (reader.number() == 3 && bare) reader.Get(&object->allowed_positional);
    if (reader.number() == (bare ? 4u : 2u)) object->function_spec = std::string(reader.bytes());
  }
  return reader.status();
}

Status ParseObject(std::string_view bytes, const Place& place, SavedObject* object) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        TENON_RETURN_IF_ERROR(ParseChild(reader.bytes(), Place(place, "children"), &object->children));
        break;
      case 3:
        TENON_RETURN_IF_ERROR(ParseSlot(reader.bytes(), Place(place, "slot_variables"), &object->slot_variables));
        break;
      case 4:
        object->kind = SavedObject::Kind::kUserObject;
        TENON_RETURN_IF_ERROR(ParseUserObject(reader.bytes(), Place(place, "user_object"), object));
        break;
      case 5: {
        object->kind = SavedObject::Kind::kAsset;
        Reader asset(reader.bytes(), place);
        while (asset.Next())
          if (asset.number() == 1) asset.Get(&object->asset_index);
        TENON_RETURN_IF_ERROR(asset.status());
        break;
      }
      case 6:
        object->kind = SavedObject::Kind::kFunction;
        TENON_RETURN_IF_ERROR(ParseFunctionObject(reader.bytes(), Place(place, "function"), false, object));
        break;
      case 7:
        object->kind = SavedObject::Kind::kVariable;
        TENON_RETURN_IF_ERROR(ParseVariable(reader.bytes(), Place(place, "variable"), object));
        break;
      case 8:
        object->kind = SavedObject::Kind::kBareFunction;
        TENON_RETURN_IF_ERROR(
            ParseFunctionObject(reader.bytes(), Place(place, "bare_concrete_function"), true, object));
        break;
      case 9: {
        object->kind = SavedObject::Kind::kConstant;
        Reader constant(reader.bytes(), place);
        while (constant.Next())
          if (constant.number() == 1) constant.Get(&object->constant);
        TENON_RETURN_IF_ERROR(constant.status());
        break;
      }
      case 10:
        object->kind = SavedObject::Kind::kResource;
        break;
      case 12:
        object->kind = SavedObject::Kind::kCaptured;
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseTrackable(std::string_view bytes, const Place& place, TrackableObject* object) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1)
      TENON_RETURN_IF_ERROR(ParseChild(reader.bytes(), Place(place, "children"), &object->children));
    if (reader.number() == 3)
      TENON_RETURN_IF_ERROR(ParseSlot(reader.bytes(), Place(place, "slot_variables"), &object->slot_variables));
    if (reader.number() != 2) continue;
    TrackableObject::Attribute attribute;
    Reader fields(reader.bytes(), place);
    while (fields.Next()) {
      if (fields.number() == 1) fields.Get(&attribute.name);
      if (fields.number() == 2) fields.Get(&attribute.full_name);
      if (fields.number() == 3) fields.Get(&attribute.key);
    }
    TENON_RETURN_IF_ERROR(fields.status());
    object->attributes.push_back(std::move(attribute));
  }
  return reader.status();
}

}  // namespace

Status ParseChild(std::string_view bytes, const Place& place, std::vector<Child>* children) {
  Child child;
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&child.node_id);
    if (reader.number() == 2) reader.Get(&child.name);
  }
  children->push_back(std::move(child));
  return reader.status();
}

Status ParseSlot(std::string_view bytes, const Place& place, std::vector<SlotVariable>* slots) {
  SlotVariable slot;
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&slot.original_id);
    if (reader.number() == 2) reader.Get(&slot.slot_name);
    if (reader.number() == 3) reader.Get(&slot.slot_id);
  }
  slots->push_back(std::move(slot));
  return reader.status();
}

Status ParseObjects(std::string_view bytes, const Place& place, SavedObjectGraph* objects) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) {
      const auto index = static_cast<std::int64_t>(objects->nodes.size());
      // An object is larger in memory than in the file; a file full of empty ones is refused.
      if (index > (1 << 17) && static_cast<std::size_t>(index) > bytes.size() / 8)
        return place.Error("too many empty objects");
      TENON_RETURN_IF_ERROR(ParseObject(reader.bytes(), Place(place, "nodes", index), &objects->nodes.emplace_back()));
    }
    if (reader.number() != 2) continue;
    MapEntry entry;
    TENON_RETURN_IF_ERROR(ParseMapEntry(reader.bytes(), place, &entry));
    ConcreteFunction& function = objects->functions[entry.key];
    Reader fields(entry.value, place);
    while (fields.Next()) {
      if (fields.number() == 2) fields.Append(&function.bound_inputs);
      if (fields.number() == 3) function.input_signature = std::string(fields.bytes());
      if (fields.number() == 4) function.output_signature = std::string(fields.bytes());
    }
    TENON_RETURN_IF_ERROR(fields.status());
  }
  return reader.status();
}

Result<TrackableGraph> ParseTrackableGraph(std::string_view bytes, const std::string& name) {
  TrackableGraph graph;
  const Place place(name, bytes);
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() != 1) continue;
    const auto index = static_cast<std::int64_t>(graph.nodes.size());
    TENON_RETURN_IF_ERROR(ParseTrackable(reader.bytes(), Place(place, "nodes", index), &graph.nodes.emplace_back()));
  }
  TENON_RETURN_IF_ERROR(reader.status());
  return graph;
}

}  // namespace tenon::savedmodel
