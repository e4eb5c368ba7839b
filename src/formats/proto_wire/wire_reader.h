// A reader of the protobuf wire format over bytes that somebody else keeps alive (a mapped file). It copies nothing:
// strings and nested messages are views. Every length is checked against the message that holds it.
//
// The bytes. A message is a sequence of fields. A field is a tag, which is the varint (number << 3 | wire type), and
// then: 0 a varint of at most ten bytes, seven bits each, lowest first; 1 eight bytes little endian; 2 a varint length
// and that many bytes (string, bytes, nested message or packed scalars); 3 and 4 begin and end of a group; 5 four
// bytes little endian. Field number 0 and the wire types 6 and 7 do not exist.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tenon/status.h"

namespace tenon::proto_wire {

static_assert(std::endian::native == std::endian::little, "the fixed-width fields are read in place");

enum class WireType : std::uint8_t { kVarint, kFixed64, kLength, kStartGroup, kEndGroup, kFixed32 };

/// Nested messages deeper than this are refused (protobuf's own limit). Users call Place::CheckDepth.
inline constexpr int kMaxDepth = 100;

/// Where a message stands: the file, then one step for each nested field. Lives on the stack and points to its parent,
/// so that good input costs no allocation; the text is made only for an error.
class Place {
 public:
  /// The outermost message; `bytes` is what offsets count from. Both views must outlive the Place.
  Place(std::string_view file, std::string_view bytes) : name_(file), origin_(bytes.data()) {}
  /// The message in `field` of `parent`; `index` >= 0 in a repeated field.
  Place(const Place& parent, std::string_view field, std::int64_t index = -1)
      : parent_(&parent), name_(field), index_(index), origin_(parent.origin_), depth_(parent.depth_ + 1) {}
  int depth() const { return depth_; }
  /// kInvalidArgument when nested deeper than kMaxDepth.
  Status CheckDepth() const;
  /// "model.onnx: graph.node[3].attribute[0]".
  std::string ToString() const;
  /// kInvalidArgument "PLACE: what".
  Status Error(std::string_view what) const;
  /// kInvalidArgument "PLACE: what (at byte N)".
  Status ErrorAt(const char* at, std::string_view what) const;

 private:
  const Place* parent_ = nullptr;
  std::string_view name_;
  std::int64_t index_ = -1;
  const char* origin_;
  int depth_ = 0;
};

/// Well-formed UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. NUL is legal.
bool ValidUtf8(std::string_view text);

/// One varint from [*at, end); moves *at behind it. False, and *at unmoved, when it is cut short or longer than
/// ten bytes or 64 bits.
bool ReadVarint(const char** at, const char* end, std::uint64_t* value);

/// Walks the fields of one message:
///
///   Reader reader(bytes, place);
///   while (reader.Next()) {
///     switch (reader.number()) {
///       case 1: reader.Get(&version); break;
///       case 7: TENON_RETURN_IF_ERROR(ParseGraph(reader.bytes(), Place(place, "graph"), &graph)); break;
///     }
///   }
///   return reader.status();
///
/// Fields that are not asked for are skipped; groups are skipped whole. The first error sticks: Next() gives false, and
/// Get and Append do nothing more. A getter called for a field of another wire type is such an error. For a singular
/// field that occurs twice the last one counts; a nested message that occurs twice is to be parsed into the same
/// struct.
class Reader {
 public:
  Reader(std::string_view bytes, const Place& place)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()), start_(at_), place_(place) {}

  Reader(std::string_view, const Place&&) = delete;  // the Place must outlive the Reader

  /// Moves to the next field. False at the end or after an error: see status().
  bool Next();
  const Status& status() const { return status_; }
  std::uint32_t number() const { return number_; }
  WireType type() const { return type_; }
  /// The field's tag, for ErrorAt.
  const char* tag() const { return start_; }
  /// Records an error at the current field, unless there is one already.
  void Fail(std::string_view what);

  /// The bytes of a length-delimited field; empty (and an error) for another wire type.
  std::string_view bytes();
  /// A varint into an integer, bool or enum: the low bits count, as protobuf has it.
  template <class T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void Get(T* value) {
    if (Expect(WireType::kVarint)) *value = static_cast<T>(scalar_);
  }
  void Get(float* value);
  void Get(double* value);
  /// A string that must be UTF-8; a copy or a view.
  void Get(std::string* value) { *value = std::string(text()); }
  void Get(std::string_view* value) { *value = text(); }
  std::string_view text();
  /// fixed32 and fixed64 fields.
  void GetFixed(std::uint32_t* value);
  void GetFixed(std::uint64_t* value);
  /// sint32 and sint64 fields (zigzag).
  void GetZigZag(std::int64_t* value);

  /// A repeated scalar, packed or not, behind what is there. At most one element per byte read.
  template <class T>
    requires std::is_integral_v<T>
  void Append(std::vector<T>* values) {
    if (type_ == WireType::kVarint) {
      if (status_.ok()) values->push_back(static_cast<T>(scalar_));
      return;
    }
    if (!Expect(WireType::kLength)) return;
    for (const char* p = payload_.data(); p != payload_.data() + payload_.size();) {
      std::uint64_t value = 0;
      if (!ReadVarint(&p, payload_.data() + payload_.size(), &value)) return FailAt(p, "bad varint in a packed field");
      values->push_back(static_cast<T>(value));
    }
  }
  template <class T>
    requires(std::is_floating_point_v<T>)
  void Append(std::vector<T>* values) {
    const std::string_view data = scalar_bytes(sizeof(T) == 4 ? WireType::kFixed32 : WireType::kFixed64);
    if (data.empty()) return;
    const std::size_t before = values->size();
    values->resize(before + data.size() / sizeof(T));
    std::memcpy(values->data() + before, data.data(), data.size());
  }
  void Append(std::vector<std::string>* values) {
    if (const std::string_view value = bytes(); status_.ok()) values->emplace_back(value);
  }
  void Append(std::vector<std::string_view>* values) {
    if (const std::string_view value = bytes(); status_.ok()) values->push_back(value);
  }

  /// The encoded elements of a repeated scalar field, undecoded, for large payloads: the content of a packed field, or
  /// the bytes of the one element of an unpacked one. Elements of `element` = kFixed32 or kFixed64 are little-endian
  /// values, and the size is a multiple of theirs; kVarint elements are read by ReadVarint.
  std::string_view scalar_bytes(WireType element);

 private:
  bool Expect(WireType wanted);
  bool SkipGroup(std::uint32_t number);
  bool ReadTag();
  bool ReadValue();
  void FailAt(const char* at, std::string_view what);

  const char* at_;
  const char* end_;
  const char* start_;  // the current field's tag
  const Place& place_;
  Status status_;
  std::uint32_t number_ = 0;
  WireType type_ = WireType::kVarint;
  std::uint64_t scalar_ = 0;
  std::string_view payload_;
};

}  // namespace tenon::proto_wire
