// Any bytes as an image.
#include "base/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)tenon::base::DecodeImage({data, size});
  return 0;
}
