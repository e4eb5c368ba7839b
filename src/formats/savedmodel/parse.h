// Encoded messages <-> the structs of graph_def.h. Parsing never executes anything; sizes and depths are bounded by the
// file's own size. All errors are kInvalidArgument and name the place in the message.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"
#include "formats/savedmodel/graph_def.h"

namespace tenon::savedmodel {

/// `name` starts the messages. The structs hold views of `bytes`.
Result<SavedModel> ParseSavedModel(std::string_view bytes, const std::string& name);
Result<MetaGraph> ParseMetaGraph(std::string_view bytes, const std::string& name);
Result<GraphDef> ParseGraphDef(std::string_view bytes, const std::string& name);
Result<TrackableGraph> ParseTrackableGraph(std::string_view bytes, const std::string& name);

/// The same structs give the same bytes.
std::string EncodeSavedModel(const SavedModel& model);
std::string EncodeGraphDef(const GraphDef& graph);
std::string EncodeTrackableGraph(const TrackableGraph& graph);

/// The saved_model.pb of a folder, and the map that its structs view. kNotFound when the folder has none; a folder with
/// only saved_model.pbtxt or saved_model.cpb is kUnimplemented.
struct SavedModelFile {
  std::shared_ptr<const base::MappedFile> file;
  SavedModel model;
};
Result<SavedModelFile> ReadSavedModel(const std::string& folder);

/// A file that holds a GraphDef (.pb).
struct GraphDefFile {
  std::shared_ptr<const base::MappedFile> file;
  GraphDef graph;
};
Result<GraphDefFile> ReadGraphDef(const std::string& path);

}  // namespace tenon::savedmodel
