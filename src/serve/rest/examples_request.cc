// The bytes of an Example (protobuf; every field here is length-delimited but the numbers inside packed lists):
//   Example    features = 1
//   Features   feature = 1: map entries {key = 1, value = 2}
//   Feature    one of bytes_list = 1, float_list = 2, int64_list = 3
//   BytesList  value = 1, repeated; FloatList value = 1, packed fixed32; Int64List value = 1, packed varint
#include "serve/rest/examples_request.h"

#include <fmt/format.h>

#include <cstring>

#include "serve/core/inference.h"
#include "serve/rest/base64.h"
#include "serve/rest/request_json.h"

namespace tenon::serve {
namespace {

using Index = JsonDocument::Index;

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

void PutVarint(std::string& out, std::uint64_t v) {
  while (v >= 0x80) {
    out.push_back(static_cast<char>(v | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<char>(v));
}

void PutField(std::string& out, int number, std::string_view bytes) {
  out.push_back(static_cast<char>(number << 3 | 2));
  PutVarint(out, bytes.size());
  out += bytes;
}

/// The list of one feature: its kind is that of its first value.
class Feature {
 public:
  explicit Feature(std::string_view name) : name_(name) {}

  Status Add(const JsonDocument& json, Index value) {
    switch (json.kind(value)) {
      case JsonKind::kFalse:
      case JsonKind::kTrue:
        return Integer(json.kind(value) == JsonKind::kTrue ? 1 : 0);
      case JsonKind::kInt:
        return Integer(static_cast<std::uint64_t>(json.int_value(value)));
      case JsonKind::kUint:
        if (!Is(kInt64)) return Mixed();
        return Invalid(fmt::format("Feature: {} has uint64 element. Only int64 is supported.", name_));
      case JsonKind::kDouble: {
        if (!Is(kFloat)) return Mixed();
        const auto v = static_cast<float>(json.double_value(value));
        char bytes[sizeof v];
        std::memcpy(bytes, &v, sizeof v);
        list_.append(bytes, sizeof v);
        return {};
      }
      case JsonKind::kString:
        if (!Is(kBytes)) return Mixed();
        PutField(list_, 1, json.text(value));
        return {};
      case JsonKind::kObject:
        if (const std::string_view text = json.Base64Member(value); text.data() != nullptr) {
          if (!Is(kBytes)) return Mixed();
          std::string bytes;
          if (!Base64Decode(text, bytes)) return Invalid("Unable to base64 decode");
          PutField(list_, 1, bytes);
          return {};
        }
        [[fallthrough]];
      default:
        return Invalid(fmt::format("Feature: {} has element with unexpected JSON type: {}", name_,
                                   JsonKindName(json.kind(value))));
    }
  }

  /// The message; empty for a feature without values.
  std::string Serialized() const {
    std::string out;
    if (kind_ == kBytes) PutField(out, kBytes, list_);
    if (kind_ == kFloat || kind_ == kInt64) {
      std::string packed;
      PutField(packed, 1, list_);
      PutField(out, kind_, packed);
    }
    return out;
  }

 private:
  enum Kind { kNone = 0, kBytes = 1, kFloat = 2, kInt64 = 3 };  // the field numbers

  bool Is(Kind kind) {
    if (kind_ == kNone) kind_ = kind;
    return kind_ == kind;
  }
  Status Mixed() const {
    static constexpr const char* kNames[] = {"UNKNOWN", "bytes", "float", "int64"};
    return Invalid(fmt::format("Unexpected element type in feature: {} expecting type: {}", name_, kNames[kind_]));
  }
  Status Integer(std::uint64_t v) {
    if (!Is(kInt64)) return Mixed();
    PutVarint(list_, v);
    return {};
  }

  const std::string_view name_;
  Kind kind_ = kNone;
  std::string list_;
};

/// Appends the example's features to `out` as one serialized Example; two of these one after the other are merged.
Status PutExample(const JsonDocument& json, Index example, std::string& out) {
  if (json.kind(example) != JsonKind::kObject)
    return Invalid(fmt::format("Example must be JSON object but got JSON {}", JsonKindName(json.kind(example))));
  std::string features;
  for (Index name = json.first(example); name != json.end(example); name = json.end(name + 1)) {
    Feature feature(json.text(name));
    const Index value = name + 1;
    if (json.kind(value) == JsonKind::kArray) {
      for (Index item = json.first(value); item != json.end(value); item = json.end(item))
        if (Status s = feature.Add(json, item); !s.ok()) return s;
    } else if (Status s = feature.Add(json, value); !s.ok()) {
      return s;
    }
    std::string entry;
    PutField(entry, 1, json.text(name));
    PutField(entry, 2, feature.Serialized());
    PutField(features, 1, entry);
  }
  PutField(out, 1, features);
  return {};
}

}  // namespace

Result<ExamplesRequest> ReadExamplesRequest(std::string_view body, std::string_view method, ByteBudget* budget) {
  const Result<JsonDocument> parsed = JsonDocument::Parse(body, budget);
  if (!parsed.ok()) return parsed.status();
  const JsonDocument& json = *parsed;
  const auto bad = [&](std::string_view what) { return BadRequest(json, what); };
  const Result<std::string_view> name = SignatureNameOf(json);
  if (!name.ok()) return name.status();
  ExamplesRequest out;
  out.signature_name = *name;
  std::string context;
  if (const Index at = json.Find(JsonDocument::kRoot, "context"); at != JsonDocument::kNone)
    if (Status s = PutExample(json, at, context); !s.ok()) return s;
  const Index list = json.Find(JsonDocument::kRoot, "examples");
  if (list == JsonDocument::kNone)
    return bad(fmt::format("When method is {}, key 'examples' is expected and was not found", method));
  if (json.kind(list) != JsonKind::kArray) return bad("Expecting 'examples' value to be an list/array");
  if (json.size(list) == 0) return bad("'examples' value is an empty array");
  if (Status s = CheckContext(context.size(), json.size(list), body.size()); !s.ok()) return s;
  for (Index example = json.first(list); example != json.end(list); example = json.end(example)) {
    out.examples.push_back(context);
    if (Status s = PutExample(json, example, out.examples.back()); !s.ok()) return s;
  }
  return out;
}

}  // namespace tenon::serve
