// The layout: one space a level, "name": value, an empty list or map as [] or {}, every field with its default, a
// 64-bit integer as a string, an enumerator by its name, and a newline at the end.
#include "serve/rest/model_json.h"

#include <fmt/format.h>

#include "serve/core/tf_names.h"

namespace tenon::serve {
namespace {

class ProtoJson {
 public:
  void Begin(char bracket) {
    text_ += bracket;
    ++level_;
    empty_ = true;
  }
  void End(char bracket) {
    --level_;
    if (!empty_) Line();
    text_ += bracket;
    empty_ = false;
  }
  void Key(std::string_view name) {
    Item();
    Quoted(name);
    text_ += ": ";
  }
  void Item() {
    if (!empty_) text_ += ',';
    empty_ = false;
    Line();
  }
  void Quoted(std::string_view value) {
    text_ += '"';
    for (const char c : value) {
      switch (c) {
        case '"':
          text_ += "\\\"";
          break;
        case '\\':
          text_ += "\\\\";
          break;
        case '\b':
          text_ += "\\b";
          break;
        case '\f':
          text_ += "\\f";
          break;
        case '\n':
          text_ += "\\n";
          break;
        case '\r':
          text_ += "\\r";
          break;
        case '\t':
          text_ += "\\t";
          break;
        default:
          // Brackets are escaped so that the text may stand within a page.
          if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '\x7f')
            text_ += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
          else
            text_ += c;
      }
    }
    text_ += '"';
  }
  void Field(std::string_view name, std::string_view value) {
    Key(name);
    Quoted(value);
  }
  void Word(std::string_view name, std::string_view word) {
    Key(name);
    text_ += word;
  }
  std::string Take() { return std::move(text_) + "\n"; }

 private:
  void Line() {
    text_ += '\n';
    text_.append(level_, ' ');
  }
  std::string text_;
  std::size_t level_ = 0;
  bool empty_ = true;
};

void WriteTensors(ProtoJson& json, std::string_view name, const std::vector<TensorInfo>& tensors, bool internal) {
  json.Key(name);
  json.Begin('{');
  for (const TensorInfo& t : tensors) {
    json.Key(t.alias);
    json.Begin('{');
    json.Field("dtype", internal ? "DT_INVALID" : std::string(TfEnumName(t.dtype)) + (t.is_reference ? "_REF" : ""));
    json.Key("tensor_shape");
    json.Begin('{');
    json.Key("dim");
    json.Begin('[');
    for (const std::int64_t dim : t.dims) {
      json.Item();
      json.Begin('{');
      json.Field("size", std::to_string(dim));
      json.Field("name", "");
      json.End('}');
    }
    json.End(']');
    json.Word("unknown_rank", t.unknown_rank ? "true" : "false");
    json.End('}');
    json.Field("name", t.tensor_name);
    json.End('}');
  }
  json.End('}');
}

}  // namespace

std::string ModelStatusJson(std::span<const VersionStatus> versions) {
  ProtoJson json;
  json.Begin('{');
  json.Key("model_version_status");
  json.Begin('[');
  for (const VersionStatus& v : versions) {
    json.Item();
    json.Begin('{');
    json.Field("version", std::to_string(v.version));
    json.Field("state", PublicStateName(v.state));
    json.Key("status");
    json.Begin('{');
    json.Field("error_code", code_name(v.status.code()));
    json.Field("error_message", v.status.message());
    json.End('}');
    json.End('}');
  }
  json.End(']');
  json.End('}');
  return json.Take();
}

std::string ModelMetadataJson(const ServableId& id, std::span<const Signature> signatures) {
  ProtoJson json;
  json.Begin('{');
  json.Key("model_spec");
  json.Begin('{');
  json.Field("name", id.name);
  json.Field("signature_name", "");
  json.Field("version", std::to_string(id.version));
  json.End('}');
  json.Key("metadata");
  json.Begin('{');
  json.Key("signature_def");
  json.Begin('{');
  json.Key("signature_def");
  json.Begin('{');
  for (const Signature& s : signatures) {
    json.Key(s.name);
    json.Begin('{');
    WriteTensors(json, "inputs", s.inputs, s.internal);
    WriteTensors(json, "outputs", s.outputs, s.internal);
    json.Field("method_name", s.method_name);
    json.Key("defaults");
    json.Begin('{');
    json.End('}');
    json.End('}');
  }
  json.End('}');
  json.End('}');
  json.End('}');
  json.End('}');
  return json.Take();
}

}  // namespace tenon::serve
