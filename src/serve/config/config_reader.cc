#include "serve/config/config_reader.h"

#include <fmt/format.h>

#include <vector>

namespace tenon::serve {
namespace {

using proto_wire::TextField;
using proto_wire::TextMessage;

struct Known {
  std::string_view oneof = {}, name = {};
  bool repeated = false;
  bool seen = false;
  const FieldReader* reader = nullptr;
};

std::vector<Known> KnownFields(FieldReaders readers) {
  std::vector<Known> out;
  for (const auto& [key, reader] : readers) {
    const std::size_t bar = key.find('|');
    Known known{.name = key, .reader = &reader};
    if (bar != std::string_view::npos) {
      known.oneof = key.substr(0, bar);
      known.name.remove_prefix(bar + 1);
    }
    known.repeated = known.name.ends_with('*');
    if (known.repeated) known.name.remove_suffix(1);
    out.push_back(known);
  }
  return out;
}

}  // namespace

Status ReadFields(const TextMessage& message, std::string_view type, FieldReaders readers) {
  std::vector<Known> known = KnownFields(readers);
  for (const TextField& field : message.fields) {
    Known* found = nullptr;
    for (Known& k : known)
      if (k.name == field.name) found = &k;
    if (found == nullptr) return proto_wire::UnknownField(field, type);
    if (found->seen && !found->repeated)
      return field.Error(fmt::format("Non-repeated field \"{}\" is specified multiple times.", field.name));
    found->seen = true;
    for (const Known& other : known)
      if (&other != found && other.seen && !other.oneof.empty() && other.oneof == found->oneof)
        return field.Error(
            fmt::format("Field \"{}\" is specified along with field \"{}\", another member of oneof \"{}\".",
                        field.name, other.name, other.oneof));
    TENON_RETURN_IF_ERROR((*found->reader)(field));
  }
  return {};
}

Status ReadMessage(const TextField& field, std::string_view type, FieldReaders readers) {
  const TextMessage* message = nullptr;
  TENON_RETURN_IF_ERROR(field.Get(&message));
  return ReadFields(*message, type, readers);
}

}  // namespace tenon::serve
