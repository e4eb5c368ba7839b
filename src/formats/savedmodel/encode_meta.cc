// The reverse of parse_meta.cc and parse_objects.cc; the field numbers stand there.
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/tensor_proto.h"

namespace tenon::savedmodel {
namespace {

void EncodeInfo(Writer& writer, const TensorInfo& info) {
  writer.Text(1, info.name);
  if (info.dtype != TfType::kInvalid) writer.Varint(2, info.dtype);
  if (info.shape) WriteShape(writer, 3, *info.shape);
}

void EncodeSignature(Writer& writer, const SignatureDef& signature) {
  for (const auto& [name, info] : signature.inputs) writer.MapEntry(1, name, [&] { EncodeInfo(writer, info); });
  for (const auto& [name, info] : signature.outputs) writer.MapEntry(2, name, [&] { EncodeInfo(writer, info); });
  writer.Text(3, signature.method_name);
  for (const auto& [name, tensor] : signature.defaults)
    writer.Message(4, [&] {
      writer.Bytes(1, name);
      WriteTensor(writer, 2, tensor);
    });
}

void EncodeCollection(Writer& writer, const CollectionDef& collection) {
  if (!collection.nodes.empty())
    writer.Message(1, [&] {
      for (const std::string& node : collection.nodes) writer.Bytes(1, node);
    });
  if (!collection.bytes.empty())
    writer.Message(2, [&] {
      for (const std::string& bytes : collection.bytes) writer.Bytes(1, bytes);
    });
}

void EncodeSaver(Writer& writer, const SaverDef& saver) {
  writer.Text(1, saver.filename_tensor);
  writer.Text(2, saver.save_tensor);
  writer.Text(3, saver.restore_op);
  if (saver.max_to_keep != 0) writer.Varint(4, saver.max_to_keep);
  if (saver.sharded) writer.Varint(5, true);
  if (saver.version != 0) writer.Varint(7, saver.version);
}

void EncodeMeta(Writer& writer, const MetaGraph& graph) {
  writer.Message(1, [&] {
    for (const std::string& tag : graph.tags) writer.Bytes(4, tag);
    writer.Text(5, graph.version);
    writer.Text(6, graph.git_version);
  });
  writer.Message(2, [&] { EncodeGraph(writer, graph.graph); });
  if (graph.saver) writer.Message(3, [&] { EncodeSaver(writer, *graph.saver); });
  for (const auto& [name, collection] : graph.collections)
    writer.MapEntry(4, name, [&] { EncodeCollection(writer, collection); });
  for (const auto& [name, signature] : graph.signatures)
    writer.MapEntry(5, name, [&] { EncodeSignature(writer, signature); });
  for (const AssetFileDef& asset : graph.assets)
    writer.Message(6, [&] {
      writer.Message(1, [&] { writer.Text(1, asset.tensor_name); });
      writer.Text(2, asset.filename);
    });
  if (graph.objects) writer.Message(7, [&] { EncodeObjects(writer, *graph.objects); });
}

void EncodeBareFunction(Writer& writer, const SavedObject& object) {
  if (!object.functions.empty()) writer.Bytes(1, object.functions.front());
  for (const std::string& keyword : object.argument_keywords) writer.Bytes(2, keyword);
  if (object.allowed_positional != 0) writer.Varint(3, object.allowed_positional);
  writer.Text(4, object.function_spec);
}

void EncodeUserObject(Writer& writer, const SavedObject& object) {
  writer.Text(1, object.identifier);
  if (object.version_producer != 0 || object.version_min_consumer != 0)
    writer.Message(2, [&] {
      writer.Varint(1, object.version_producer);
      writer.Varint(2, object.version_min_consumer);
    });
  writer.Text(3, object.metadata);
}

void EncodeVariable(Writer& writer, const SavedObject& object) {
  writer.Varint(1, object.dtype);
  WriteShape(writer, 2, object.shape);
  if (object.trainable) writer.Varint(3, true);
  writer.Text(6, object.name);
}

void EncodeObject(Writer& writer, const SavedObject& object) {
  using Kind = SavedObject::Kind;
  for (const Child& child : object.children) EncodeChild(writer, 1, child);
  for (const SlotVariable& slot : object.slot_variables) EncodeSlot(writer, 3, slot);
  switch (object.kind) {
    case Kind::kNone:
      break;
    case Kind::kUserObject:
      writer.Message(4, [&] { EncodeUserObject(writer, object); });
      break;
    case Kind::kAsset:
      writer.Message(5, [&] {
        if (object.asset_index != 0) writer.Varint(1, object.asset_index);
      });
      break;
    case Kind::kFunction:
      writer.Message(6, [&] {
        for (const std::string& function : object.functions) writer.Bytes(1, function);
        writer.Text(2, object.function_spec);
      });
      break;
    case Kind::kVariable:
      writer.Message(7, [&] { EncodeVariable(writer, object); });
      break;
    case Kind::kBareFunction:
      writer.Message(8, [&] { EncodeBareFunction(writer, object); });
      break;
    case Kind::kConstant:
      writer.Message(9, [&] { writer.Text(1, object.constant); });
      break;
    case Kind::kResource:
      writer.Message(10, [] {});
      break;
    case Kind::kCaptured:
      writer.Message(12, [] {});
      break;
  }
}

}  // namespace

void EncodeChild(Writer& writer, std::uint32_t field, const Child& child) {
  writer.Message(field, [&] {
    if (child.node_id != 0) writer.Varint(1, child.node_id);
    writer.Text(2, child.name);
  });
}

void EncodeSlot(Writer& writer, std::uint32_t field, const SlotVariable& slot) {
  writer.Message(field, [&] {
    if (slot.original_id != 0) writer.Varint(1, slot.original_id);
    writer.Text(2, slot.slot_name);
    if (slot.slot_id != 0) writer.Varint(3, slot.slot_id);
  });
}

void EncodeObjects(Writer& writer, const SavedObjectGraph& objects) {
  for (const SavedObject& object : objects.nodes) writer.Message(1, [&] { EncodeObject(writer, object); });
  for (const auto& [name, function] : objects.functions)
    writer.MapEntry(2, name, [&] {
      writer.PackedVarint<std::int32_t>(2, function.bound_inputs);
      writer.Text(3, function.input_signature);
      writer.Text(4, function.output_signature);
    });
}

std::string EncodeSavedModel(const SavedModel& model) {
  Writer writer;
  if (model.schema_version != 0) writer.Varint(1, model.schema_version);
  for (const MetaGraph& graph : model.meta_graphs) writer.Message(2, [&] { EncodeMeta(writer, graph); });
  return std::move(writer).Take();
}

std::string EncodeTrackableGraph(const TrackableGraph& graph) {
  Writer writer;
  for (const TrackableObject& object : graph.nodes)
    writer.Message(1, [&] {
      for (const Child& child : object.children) EncodeChild(writer, 1, child);
      for (const TrackableObject::Attribute& attribute : object.attributes)
        writer.Message(2, [&] {
          writer.Text(1, attribute.name);
          writer.Text(2, attribute.full_name);
          writer.Text(3, attribute.key);
        });
      for (const SlotVariable& slot : object.slot_variables) EncodeSlot(writer, 3, slot);
    });
  return std::move(writer).Take();
}

}  // namespace tenon::savedmodel
