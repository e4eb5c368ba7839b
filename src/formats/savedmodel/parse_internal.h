// Shared by the parse_*.cc and encode_*.cc files.
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "base/status_macros.h"
#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"
#include "formats/savedmodel/graph_def.h"

namespace tenon::savedmodel {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;

/// A map entry: key 1, value 2; the value is given as bytes.
struct MapEntry {
  std::string key;
  std::string_view value;
};
inline Status ParseMapEntry(std::string_view bytes, const Place& place, MapEntry* entry) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&entry->key);
    if (reader.number() == 2) entry->value = reader.bytes();
  }
  return reader.status();
}

Status ParseGraph(std::string_view bytes, const Place& place, GraphDef* graph);
Status ParseObjects(std::string_view bytes, const Place& place, SavedObjectGraph* objects);
/// Children of an object: node_id 1, local_name 2. Slots: original id 1, name 2, slot id 3.
Status ParseChild(std::string_view bytes, const Place& place, std::vector<Child>* children);
Status ParseSlot(std::string_view bytes, const Place& place, std::vector<SlotVariable>* slots);

void EncodeGraph(Writer& writer, const GraphDef& graph);
void EncodeObjects(Writer& writer, const SavedObjectGraph& objects);
void EncodeChild(Writer& writer, std::uint32_t field, const Child& child);
void EncodeSlot(Writer& writer, std::uint32_t field, const SlotVariable& slot);

}  // namespace tenon::savedmodel
