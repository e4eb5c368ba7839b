#include "serve/grpc/content_offset.h"

#include "formats/proto_wire/wire_reader.h"

namespace tenon::serve::rpc {

std::size_t ContentOffset(std::string_view begin) {
  constexpr std::uint64_t kLeast = 1 << 10;
  // PredictRequest.inputs 2, its entry's value 2, TensorProto.tensor_content 4 or float_val 5.
  constexpr std::uint64_t kInputs = 2, kValue = 2, kContent = 4, kFloats = 5;
  const char* at = begin.data();
  const char* const end = at + begin.size();
  for (int depth = 0; at != end;) {
    std::uint64_t tag = 0, size = 0;
    if (!proto_wire::ReadVarint(&at, end, &tag)) return 0;
    const std::uint64_t number = tag >> 3;
    switch (tag & 7) {
      case 0:
        if (!proto_wire::ReadVarint(&at, end, &size)) return 0;
        continue;
      case 2:
        break;
      default:
        return 0;
    }
    if (!proto_wire::ReadVarint(&at, end, &size)) return 0;
    const bool inner = number == (depth == 0 ? kInputs : kValue);
    if (size >= kLeast && depth == 2 && (number == kContent || number == kFloats))
      return static_cast<std::size_t>(at - begin.data());
    if (size >= kLeast && depth < 2 && inner) {
      ++depth;
      continue;
    }
    if (size > static_cast<std::uint64_t>(end - at)) return 0;
    at += size;
  }
  return 0;
}

}  // namespace tenon::serve::rpc
