#include "formats/proto_wire/wire_reader.h"

#include <fmt/format.h>

namespace tenon::proto_wire {
namespace {

constexpr std::string_view kTypeNames[] = {"varint", "fixed64", "length-delimited", "group", "end of group", "fixed32"};

}  // namespace

std::string Place::ToString() const {
  std::string path;
  const Place* place = this;
  for (; place->parent_ != nullptr; place = place->parent_) {
    std::string step(place->name_);
    if (place->index_ >= 0) step += fmt::format("[{}]", place->index_);
    path = path.empty() ? step : step + "." + path;
  }
  return path.empty() ? std::string(place->name_) : fmt::format("{}: {}", place->name_, path);
}

Status Place::Error(std::string_view what) const {
  return Status(Code::kInvalidArgument, fmt::format("{}: {}", ToString(), what));
}

Status Place::ErrorAt(const char* at, std::string_view what) const {
  return Status(Code::kInvalidArgument, fmt::format("{}: {} (at byte {})", ToString(), what, at - origin_));
}

Status Place::CheckDepth() const {
  if (depth_ <= kMaxDepth) return Status();
  const Place* root = this;
  while (root->parent_ != nullptr) root = root->parent_;
  return Status(Code::kInvalidArgument, fmt::format("{}: messages nested deeper than {} levels, at {} of level {}",
                                                    root->name_, kMaxDepth, name_, depth_));
}

bool ValidUtf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = p + text.size();
  while (p != end) {
    const unsigned lead = *p++;
    if (lead < 0x80) continue;
    int more = 0;
    unsigned low = 0x80, high = 0xBF;  // what the second byte may be
    if (lead >= 0xC2 && lead <= 0xDF) {
      more = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      more = 2;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      more = 3;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else {
      return false;
    }
    for (; more > 0; --more, low = 0x80, high = 0xBF) {
      if (p == end || *p < low || *p > high) return false;
      ++p;
    }
  }
  return true;
}

bool ReadVarint(const char** at, const char* end, std::uint64_t* value) {
  std::uint64_t result = 0;
  const char* p = *at;
  for (int shift = 0; shift < 70; shift += 7) {
    if (p == end) return false;
    const auto byte = static_cast<unsigned char>(*p++);
    if (shift == 63 && byte > 1) return false;
    result |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *at = p;
      *value = result;
      return true;
    }
  }
  return false;
}

void Reader::FailAt(const char* at, std::string_view what) {
  if (status_.ok()) status_ = place_.ErrorAt(at, what);
}

void Reader::Fail(std::string_view what) { FailAt(start_, what); }

bool Reader::ReadTag() {
  start_ = at_;
  std::uint64_t tag = 0;
  if (!ReadVarint(&at_, end_, &tag)) return FailAt(start_, "bad or truncated field tag"), false;
  const std::uint64_t number = tag >> 3;
  if (number == 0 || number > 0x1FFFFFFF)
    return FailAt(start_, fmt::format("field number {}, expected 1 to 536870911", number)), false;
  if ((tag & 7) > 5)
    return FailAt(start_, fmt::format("wire type {} of field {}, expected 0 to 5", tag & 7, number)), false;
  number_ = static_cast<std::uint32_t>(number);
  type_ = static_cast<WireType>(tag & 7);
  return true;
}

bool Reader::ReadValue() {
  const auto left = static_cast<std::uint64_t>(end_ - at_);
  std::uint64_t width = 0;
  switch (type_) {
    case WireType::kVarint: {
      const char* begin = at_;
      if (!ReadVarint(&at_, end_, &scalar_))
        return FailAt(begin, fmt::format("bad or truncated varint in field {}", number_)), false;
      payload_ = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
      return true;
    }
    case WireType::kFixed32:
      width = 4;
      break;
    case WireType::kFixed64:
      width = 8;
      break;
    case WireType::kLength: {
      const char* begin = at_;
      if (!ReadVarint(&at_, end_, &width))
        return FailAt(begin, fmt::format("bad or truncated length of field {}", number_)), false;
      break;
    }
    case WireType::kStartGroup:
    case WireType::kEndGroup:
      return true;
  }
  const auto available = type_ == WireType::kLength ? static_cast<std::uint64_t>(end_ - at_) : left;
  if (width > available)
    return FailAt(start_, fmt::format("field {} claims {} bytes, but only {} are left", number_, width, available)),
           false;
  payload_ = std::string_view(at_, static_cast<std::size_t>(width));
  scalar_ = 0;
  if (type_ != WireType::kLength) std::memcpy(&scalar_, at_, static_cast<std::size_t>(width));
  at_ += width;
  return true;
}

bool Reader::SkipGroup(std::uint32_t number) {
  const char* begin = start_;
  std::uint32_t open[kMaxDepth] = {number};
  int depth = 1;
  while (depth > 0) {
    if (at_ == end_) return FailAt(begin, fmt::format("group {} never ends", number)), false;
    if (!ReadTag() || !ReadValue()) return false;
    if (type_ == WireType::kStartGroup) {
      if (depth == kMaxDepth) return FailAt(start_, fmt::format("groups nested deeper than {}", kMaxDepth)), false;
      open[depth++] = number_;
    } else if (type_ == WireType::kEndGroup) {
      if (open[--depth] != number_)
        return FailAt(start_, fmt::format("end of group {} inside group {}", number_, open[depth])), false;
    }
  }
  return true;
}

bool Reader::Next() {
  for (;;) {
    if (!status_.ok() || at_ == end_) return false;
    if (!ReadTag() || !ReadValue()) return false;
    if (type_ == WireType::kEndGroup)
      return FailAt(start_, fmt::format("end of group {} that is not open", number_)), false;
    if (type_ != WireType::kStartGroup) return true;
    if (!SkipGroup(number_)) return false;
  }
}

bool Reader::Expect(WireType wanted) {
  if (!status_.ok()) return false;
  if (type_ == wanted) return true;
  FailAt(start_, fmt::format("field {} has wire type {}, expected {}", number_, kTypeNames[static_cast<int>(type_)],
                             kTypeNames[static_cast<int>(wanted)]));
  return false;
}

std::string_view Reader::bytes() { return Expect(WireType::kLength) ? payload_ : std::string_view(); }

std::string_view Reader::text() {
  const std::string_view value = bytes();
  if (ValidUtf8(value)) return value;
  FailAt(start_, fmt::format("the text in field {} is not UTF-8", number_));
  return {};
}

void Reader::Get(float* value) {
  if (Expect(WireType::kFixed32)) *value = std::bit_cast<float>(static_cast<std::uint32_t>(scalar_));
}

void Reader::Get(double* value) {
  if (Expect(WireType::kFixed64)) *value = std::bit_cast<double>(scalar_);
}

void Reader::GetFixed(std::uint32_t* value) {
  if (Expect(WireType::kFixed32)) *value = static_cast<std::uint32_t>(scalar_);
}

void Reader::GetFixed(std::uint64_t* value) {
  if (Expect(WireType::kFixed64)) *value = scalar_;
}

void Reader::GetZigZag(std::int64_t* value) {
  if (!Expect(WireType::kVarint)) return;
  *value = static_cast<std::int64_t>((scalar_ >> 1) ^ (~(scalar_ & 1) + 1));
}

std::string_view Reader::scalar_bytes(WireType element) {
  if (!status_.ok()) return {};
  if (type_ == element) return payload_;
  if (!Expect(WireType::kLength)) return {};
  const std::size_t width = element == WireType::kFixed32 ? 4 : element == WireType::kFixed64 ? 8 : 1;
  if (payload_.size() % width != 0) {
    FailAt(start_,
           fmt::format("packed field {} holds {} bytes, not a multiple of {}", number_, payload_.size(), width));
    return {};
  }
  return payload_;
}

}  // namespace tenon::proto_wire
