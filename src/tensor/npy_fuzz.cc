// Any bytes: ParseNpy gives an array or a status, and what it gives survives a round trip.
#include <cstdlib>

#include "tensor/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tenon::npy::ParseNpy;
  const auto literal = ParseNpy(std::as_bytes(std::span(data, size)), "fuzz");
  if (!literal.ok()) return 0;
  const std::string again = tenon::npy::WriteNpy(*literal);
  const auto back = ParseNpy(std::as_bytes(std::span(again)), "again");
  if (!back.ok() || !identical(*literal, *back)) std::abort();
  return 0;
}
