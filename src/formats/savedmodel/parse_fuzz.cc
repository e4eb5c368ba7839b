// Any bytes as a SavedModel, a GraphDef and a TrackableObjectGraph: what parses must encode to a fixed point, and every
// Const is decoded.
// Links only dtype.cc encode_graph.cc encode_meta.cc parse_graph.cc parse_meta.cc parse_objects.cc tensor_proto.cc
#include <cstdlib>

#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/tensor_proto.h"

using namespace tenon::savedmodel;

namespace {

void Constants(const std::vector<NodeDef>& nodes) {
  for (const NodeDef& node : nodes)
    for (const auto& [name, attr] : node.attrs)
      if (const auto* tensor = attr.get<std::shared_ptr<const TensorProto>>(); tensor != nullptr)
        if ((*tensor)->shape.dims.size() < 4) (void)LiteralOf(**tensor, "fuzz");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto model = ParseSavedModel(bytes, "fuzz"); model.ok()) {
    const std::string encoded = EncodeSavedModel(*model);
    const auto again = ParseSavedModel(encoded, "again");
    if (!again.ok() || EncodeSavedModel(*again) != encoded) std::abort();
    for (const MetaGraph& graph : model->meta_graphs) Constants(graph.graph.nodes);
  }
  if (const auto graph = ParseGraphDef(bytes, "fuzz"); graph.ok()) {
    const std::string encoded = EncodeGraphDef(*graph);
    if (EncodeGraphDef(ParseGraphDef(encoded, "again").value()) != encoded) std::abort();
    Constants(graph->nodes);
  }
  if (const auto graph = ParseTrackableGraph(bytes, "fuzz"); graph.ok())
    (void)ParseTrackableGraph(EncodeTrackableGraph(*graph), "again").value();
  return 0;
}
