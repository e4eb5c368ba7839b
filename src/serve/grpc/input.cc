#include "serve/grpc/input.h"

#include "base/status_macros.h"
#include "serve/core/inference.h"

namespace tenon::serve::rpc {

using proto_wire::Place;
using proto_wire::Reader;

Status ParseInput(std::string_view bytes, const Place& place, std::vector<std::string>* examples) {
  std::vector<std::string_view> found;
  std::string context;
  bool given = false;
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() != 1 && reader.number() != 2) continue;
    const bool with_context = reader.number() == 2;
    const Place list_place(place, with_context ? "example_list_with_context" : "example_list");
    given = true;
    found.clear();  // the last member of the oneof counts
    context.clear();
    Reader list(reader.bytes(), list_place);
    while (list.Next()) {
      if (list.number() == 1) list.Append(&found);
      if (list.number() == 2 && with_context) context.append(list.bytes());  // messages that come twice are merged
    }
    TENON_RETURN_IF_ERROR(list.status());
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (!given) return {};
  TENON_RETURN_IF_ERROR(CheckContext(context.size(), found.size(), bytes.size()));
  examples->clear();
  for (const std::string_view example : found) examples->push_back(context + std::string(example));
  return {};
}

}  // namespace tenon::serve::rpc
