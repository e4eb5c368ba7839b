// A writer of the protobuf wire format (the bytes are described in wire_reader.h). It appends to one buffer; the same
// calls give the same bytes. Fields are written in the order of the calls: write them by ascending number, as
// protobuf's own serialiser does.
#pragma once
#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "formats/proto_wire/wire_reader.h"

namespace tenon::proto_wire {

class Writer {
 public:
  /// int32, int64, uint32, uint64, bool and enum fields; negative numbers take ten bytes, as protobuf has it.
  template <class T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void Varint(std::uint32_t field, T value) {
    Tag(field, WireType::kVarint);
    RawVarint(Widen(value));
  }
  /// sint32 and sint64 fields.
  void ZigZag(std::uint32_t field, std::int64_t value);
  void Float(std::uint32_t field, float value) { Fixed32(field, std::bit_cast<std::uint32_t>(value)); }
  void Double(std::uint32_t field, double value) { Fixed64(field, std::bit_cast<std::uint64_t>(value)); }
  void Fixed32(std::uint32_t field, std::uint32_t value);
  void Fixed64(std::uint32_t field, std::uint64_t value);
  /// A string or bytes field, or a message that is already encoded.
  void Bytes(std::uint32_t field, std::string_view value);
  /// The same unless empty, for fields whose absence means empty.
  void Text(std::uint32_t field, std::string_view value) {
    if (!value.empty()) Bytes(field, value);
  }
  /// A packed repeated field; nothing when empty.
  template <class T>
    requires std::is_integral_v<T>
  void PackedVarint(std::uint32_t field, std::span<const T> values) {
    if (values.empty()) return;
    Message(field, [&] {
      for (const T value : values) RawVarint(Widen(value));
    });
  }
  template <class T>
    requires std::is_floating_point_v<T>
  void PackedFixed(std::uint32_t field, std::span<const T> values) {
    if (!values.empty()) Bytes(field, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  }
  /// A nested message: `body` writes its fields with this writer. The length is set afterwards; a body of 128 bytes and
  /// more is moved once for it, so a payload is moved once for each level around it.
  template <class Body>
  void Message(std::uint32_t field, Body&& body) {
    Tag(field, WireType::kLength);
    const std::size_t begin = out_.size();
    out_.push_back('\0');
    std::forward<Body>(body)();
    SetLength(begin);
  }
  /// An entry of a map<string, message>: key is field 1, value is field 2.
  template <class Body>
  void MapEntry(std::uint32_t field, std::string_view key, Body&& body) {
    Message(field, [&] {
      Bytes(1, key);
      Message(2, std::forward<Body>(body));
    });
  }
  /// Begins a nested message (or a string) of exactly `size` bytes, which the following calls write: unlike Message it
  /// moves nothing.
  void Begin(std::uint32_t field, std::size_t size) {
    Tag(field, WireType::kLength);
    RawVarint(size);
  }
  /// Content of a Begin as it is.
  void Raw(std::string_view bytes) { out_.append(bytes); }
  template <class T>
    requires std::is_integral_v<T>
  void RawInteger(T value) {
    RawVarint(Widen(value));
  }
  /// Bytes of an integer as a varint.
  template <class T>
    requires std::is_integral_v<T>
  static std::size_t VarintSize(T value) {
    return (static_cast<std::size_t>(std::bit_width(Widen(value) | 1)) + 6) / 7;
  }
  void Reserve(std::size_t bytes) { out_.reserve(bytes); }
  std::size_t size() const { return out_.size(); }
  const std::string& bytes() const& { return out_; }
  std::string Take() && { return std::move(out_); }

 private:
  template <class T>
  static std::uint64_t Widen(T value) {
    if constexpr (std::is_enum_v<T>) {
      return Widen(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_signed_v<T>) {
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
    } else {
      return static_cast<std::uint64_t>(value);
    }
  }
  void Tag(std::uint32_t field, WireType type) {
    RawVarint(std::uint64_t{field} << 3 | static_cast<std::uint64_t>(type));
  }
  void RawVarint(std::uint64_t value);
  void SetLength(std::size_t begin);  // out_[begin] is the room for the length, the body lies behind it
  std::string out_;
};

}  // namespace tenon::proto_wire
