// Any bytes as an idx file, as they are and inflated; what is read survives a round trip.
#include <algorithm>
#include <cstdlib>

#include "base/gzip.h"
#include "data/idx.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  if (tenon::base::IsGzip(bytes)) {
    const auto content = tenon::base::Gunzip(bytes, "fuzz", std::size_t{1} << 24);
    if (content.ok()) (void)tenon::data::ParseIdx(std::as_bytes(std::span(*content)), "fuzz");
    return 0;
  }
  const auto literal = tenon::data::ParseIdx(bytes, "fuzz");
  if (!literal.ok()) return 0;
  const auto again = tenon::data::WriteIdx(*literal);
  if (!again.ok() || again->size() != size ||
      !std::equal(again->begin(), again->end(), reinterpret_cast<const char*>(data)))
    std::abort();
  return 0;
}
