#include "formats/proto_wire/wire_writer.h"

#include <cstring>

namespace tenon::proto_wire {
namespace {

int EncodeVarint(std::uint64_t value, char* out) {
  int n = 0;
  for (; value >= 0x80; value >>= 7) out[n++] = static_cast<char>(value | 0x80);
  out[n++] = static_cast<char>(value);
  return n;
}

}  // namespace

void Writer::RawVarint(std::uint64_t value) {
  char buffer[10];
  out_.append(buffer, static_cast<std::size_t>(EncodeVarint(value, buffer)));
}

void Writer::ZigZag(std::uint32_t field, std::int64_t value) {
  Tag(field, WireType::kVarint);
  RawVarint((static_cast<std::uint64_t>(value) << 1) ^ (value < 0 ? ~std::uint64_t{0} : 0));
}

void Writer::Fixed32(std::uint32_t field, std::uint32_t value) {
  Tag(field, WireType::kFixed32);
  out_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void Writer::Fixed64(std::uint32_t field, std::uint64_t value) {
  Tag(field, WireType::kFixed64);
  out_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void Writer::Bytes(std::uint32_t field, std::string_view value) {
  Tag(field, WireType::kLength);
  RawVarint(value.size());
  out_.append(value);
}

void Writer::SetLength(std::size_t begin) {
  char buffer[10];
  const std::size_t body = out_.size() - begin - 1;
  const auto width = static_cast<std::size_t>(EncodeVarint(body, buffer));
  if (width > 1) out_.insert(begin, width - 1, '\0');
  std::memcpy(out_.data() + begin, buffer, width);
}

}  // namespace tenon::proto_wire
