#include "serve/grpc/input.h"

#include "base/status_macros.h"

namespace tenon::serve::rpc {

using proto_wire::Place;
using proto_wire::Reader;

Status ParseInput(std::string_view bytes, const Place& place, std::vector<std::string>* examples) {
  constexpr std::size_t kMaxBytes = std::size_t{1} << 31;  // of the copies that the context makes
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() != 1 && reader.number() != 2) continue;
    const bool with_context = reader.number() == 2;
    const Place list_place(place, with_context ? "example_list_with_context" : "example_list");
    std::vector<std::string_view> found;
    std::string context;
    Reader list(reader.bytes(), list_place);
    while (list.Next()) {
      if (list.number() == 1) list.Append(&found);
      if (list.number() == 2 && with_context) context.append(list.bytes());  // messages that come twice are merged
    }
    TENON_RETURN_IF_ERROR(list.status());
    if (context.size() * found.size() > kMaxBytes)
      return Status(Code::kResourceExhausted,
                    place.Error("a context this long for so many examples takes too much memory").message());
    examples->clear();  // the last member of the oneof counts
    for (const std::string_view example : found) examples->push_back(context + std::string(example));
  }
  return reader.status();
}

}  // namespace tenon::serve::rpc
