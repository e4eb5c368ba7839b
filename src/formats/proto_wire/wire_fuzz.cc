// Any bytes as nested messages: every field is read in every way that its wire type allows.
#include <cstdlib>

#include "formats/proto_wire/wire_reader.h"

namespace {

using tenon::proto_wire::Place;
using tenon::proto_wire::Reader;
using tenon::proto_wire::WireType;

void Walk(std::string_view bytes, const Place& place) {
  if (!place.CheckDepth().ok()) return;
  Reader reader(bytes, place);
  while (reader.Next()) {
    std::vector<std::int64_t> ints;
    std::vector<double> doubles;
    std::string_view text;
    switch (reader.number() % 4) {
      case 0:
        reader.Append(&ints);
        if (ints.size() > bytes.size()) std::abort();
        break;
      case 1:
        reader.Append(&doubles);
        if (doubles.size() > bytes.size()) std::abort();
        break;
      case 2:
        reader.Get(&text);
        if (text.size() > bytes.size()) std::abort();
        break;
      default:
        if (reader.type() == WireType::kLength) Walk(reader.bytes(), Place(place, "m", 1));
    }
  }
  if (!reader.status().ok() && reader.status().message().empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Walk(bytes, Place("fuzz", bytes));
  return 0;
}
