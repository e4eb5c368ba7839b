#include <cstddef>
#include <cstdint>

#include "formats/proto_wire/text_format.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)tenon::proto_wire::ParseTextFormat({reinterpret_cast<const char*>(data), size}, "M");
  return 0;
}
