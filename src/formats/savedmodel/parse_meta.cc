// SavedModel: schema_version 1, meta_graphs 2
// MetaGraphDef: meta_info_def 1 {tags 4, tensorflow_version 5, tensorflow_git_version 6}, graph_def 2, saver_def 3,
//   collection_def 4 (map), signature_def 5 (map), asset_file_def 6, object_graph_def 7
// SaverDef: filename_tensor_name 1, save_tensor_name 2, restore_op_name 3, max_to_keep 4, sharded 5, version 7
// CollectionDef: node_list 1 {value 1}, bytes_list 2 {value 1}, any_list 5 {value 1 {type_url 1, value 2}}
// SignatureDef: inputs 1 (map), outputs 2 (map), method_name 3, defaults 4 (map)
// TensorInfo: name 1, dtype 2, tensor_shape 3, coo_sparse 4, composite_tensor 5
// AssetFileDef: tensor_info 1, filename 2
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/tensor_proto.h"

namespace tenon::savedmodel {
namespace {

Status ParseMetaInfo(std::string_view bytes, const Place& place, MetaGraph* graph) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 4) reader.Append(&graph->tags);
    if (reader.number() == 5) reader.Get(&graph->version);
    if (reader.number() == 6) reader.Get(&graph->git_version);
  }
  return reader.status();
}

Status ParseSaver(std::string_view bytes, const Place& place, SaverDef* saver) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&saver->filename_tensor);
        break;
      case 2:
        reader.Get(&saver->save_tensor);
        break;
      case 3:
        reader.Get(&saver->restore_op);
        break;
      case 4:
        reader.Get(&saver->max_to_keep);
        break;
      case 5:
        reader.Get(&saver->sharded);
        break;
      case 7:
        reader.Get(&saver->version);
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseCollection(std::string_view bytes, const Place& place, CollectionDef* collection) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() != 1 && reader.number() != 2 && reader.number() != 5) continue;
    Reader list(reader.bytes(), place);
    while (list.Next()) {
      if (list.number() != 1) continue;
      if (reader.number() != 5) {
        list.Append(reader.number() == 1 ? &collection->nodes : &collection->bytes);
        continue;
      }
      Reader any(list.bytes(), place);
      while (any.Next())
        if (any.number() == 2) any.Append(&collection->bytes);
      TENON_RETURN_IF_ERROR(any.status());
    }
    TENON_RETURN_IF_ERROR(list.status());
  }
  return reader.status();
}

Status ParseInfo(std::string_view bytes, const Place& place, TensorInfo* info) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&info->name);
        break;
      case 2:
        reader.Get(&info->dtype);
        break;
      case 3:
        TENON_RETURN_IF_ERROR(ParseShape(reader.bytes(), Place(place, "tensor_shape"), &info->shape.emplace()));
        break;
      case 4:
      case 5:
        info->dense = false;
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseSignatureDef(std::string_view bytes, const Place& place, SignatureDef* signature) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    MapEntry entry;
    switch (reader.number()) {
      case 1:
      case 2: {
        TENON_RETURN_IF_ERROR(ParseMapEntry(reader.bytes(), place, &entry));
        auto& map = reader.number() == 1 ? signature->inputs : signature->outputs;
        const Place inner(place, entry.key);
        TENON_RETURN_IF_ERROR(ParseInfo(entry.value, inner, &map[entry.key]));
        break;
      }
      case 3:
        reader.Get(&signature->method_name);
        break;
      case 4: {
        TENON_RETURN_IF_ERROR(ParseMapEntry(reader.bytes(), place, &entry));
        const Place inner(place, entry.key);
        TENON_RETURN_IF_ERROR(ParseTensor(entry.value, inner, &signature->defaults[entry.key]));
        break;
      }
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseAsset(std::string_view bytes, const Place& place, AssetFileDef* asset) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 2) reader.Get(&asset->filename);
    if (reader.number() != 1) continue;
    TensorInfo info;
    TENON_RETURN_IF_ERROR(ParseInfo(reader.bytes(), Place(place, "tensor_info"), &info));
    asset->tensor_name = info.name;
  }
  return reader.status();
}

Status ParseMeta(std::string_view bytes, const Place& place, MetaGraph* graph) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        TENON_RETURN_IF_ERROR(ParseMetaInfo(reader.bytes(), Place(place, "meta_info_def"), graph));
        break;
      case 2:
        TENON_RETURN_IF_ERROR(ParseGraph(reader.bytes(), Place(place, "graph_def"), &graph->graph));
        break;
      case 3:
        if (!graph->saver) graph->saver.emplace();
        TENON_RETURN_IF_ERROR(ParseSaver(reader.bytes(), Place(place, "saver_def"), &*graph->saver));
        break;
      case 4:
      case 5: {
        MapEntry entry;
        TENON_RETURN_IF_ERROR(ParseMapEntry(reader.bytes(), place, &entry));
        const Place outer(place, reader.number() == 4 ? "collection_def" : "signature_def");
        const Place inner(outer, entry.key);
        if (reader.number() == 4)
          TENON_RETURN_IF_ERROR(ParseCollection(entry.value, inner, &graph->collections[entry.key]));
        else
          TENON_RETURN_IF_ERROR(ParseSignatureDef(entry.value, inner, &graph->signatures[entry.key]));
        break;
      }
      case 6:
        TENON_RETURN_IF_ERROR(
            ParseAsset(reader.bytes(), Place(place, "asset_file_def"), &graph->assets.emplace_back()));
        break;
      case 7:
        if (!graph->objects) graph->objects.emplace();
        TENON_RETURN_IF_ERROR(ParseObjects(reader.bytes(), Place(place, "object_graph_def"), &*graph->objects));
        break;
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  // Exporters of TF1 list the assets in a collection only.
  if (const auto it = graph->collections.find("saved_model_assets");
      graph->assets.empty() && it != graph->collections.end())
    for (const std::string& asset : it->second.bytes)
      TENON_RETURN_IF_ERROR(ParseAsset(asset, Place("saved_model_assets", asset), &graph->assets.emplace_back()));
  return {};
}

}  // namespace

Result<MetaGraph> ParseMetaGraph(std::string_view bytes, const std::string& name) {
  MetaGraph graph;
  TENON_RETURN_IF_ERROR(ParseMeta(bytes, Place(name, bytes), &graph));
  return graph;
}

Result<SavedModel> ParseSavedModel(std::string_view bytes, const std::string& name) {
  SavedModel model;
  const Place place(name, bytes);
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&model.schema_version);
    if (reader.number() != 2) continue;
    const auto index = static_cast<std::int64_t>(model.meta_graphs.size());
    if (index == 1024) return place.Error("more than 1024 meta graphs");
    TENON_RETURN_IF_ERROR(
        ParseMeta(reader.bytes(), Place(place, "meta_graphs", index), &model.meta_graphs.emplace_back()));
  }
  TENON_RETURN_IF_ERROR(reader.status());
  return model;
}

Result<SavedModelFile> ReadSavedModel(const std::string& folder) {
  const std::string path = folder + "/saved_model.pb";
  if (!base::FileExists(path)) {
    for (const char* other : {"saved_model.pbtxt", "saved_model.cpb"})
      if (base::FileExists(folder + "/" + other))
        return Status(Code::kUnimplemented,
                      folder + ": holds " + other + ", which cannot be read; save the model as saved_model.pb");
    return Status(Code::kNotFound, folder + ": not a SavedModel: it has no saved_model.pb");
  }
  SavedModelFile out;
  TENON_ASSIGN_OR_RETURN(out.file, base::MappedFile::Open(path));
  TENON_ASSIGN_OR_RETURN(out.model, ParseSavedModel(out.file->text(), path));
  return out;
}

}  // namespace tenon::savedmodel
