// A streaming JSON writer for reports, --json outputs and files that we write.
#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::base {

struct JsonOptions {
  int indent = 0;           // spaces per level; 0 writes one line without spaces
  bool nan_tokens = false;  // NaN, Infinity, -Infinity as Python and TF Serving write them; else null
};

/// Appends `text` in quotes: control characters, quotes and backslashes escaped, bytes that are no UTF-8 replaced by
/// U+FFFD, all else as it is.
void AppendJsonString(std::string& out, std::string_view text);
/// Appends the shortest decimal that reads back as the same float or double; NaN and infinities by `nan_tokens`.
void AppendJsonNumber(std::string& out, double value, bool nan_tokens = false);
void AppendJsonNumber(std::string& out, float value, bool nan_tokens = false);

/// Writes one value in calls that follow its structure:
///   JsonWriter json; json.Object(); json.Key("loss").Number(0.5);
///   json.Key("epochs").Array().Number(1).Number(2).End(); json.End(); std::string text = std::move(json).Take();
/// Calls in an order that is no JSON (a value without a key in an object, End() without a beginning) are bugs of the
/// caller and end the program with an assertion.
class JsonWriter {
 public:
  explicit JsonWriter(JsonOptions options = {}) : options_(options) {}
  JsonWriter& Object() { return Open('{'); }
  JsonWriter& Array() { return Open('['); }
  /// Ends the innermost object or array.
  JsonWriter& End();
  JsonWriter& Key(std::string_view name);
  JsonWriter& String(std::string_view text);
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  JsonWriter& Number(double value);
  JsonWriter& Number(float value);
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  JsonWriter& Number(T value) {
    return Raw(std::to_string(value));
  }
  /// A value that is JSON already.
  JsonWriter& Raw(std::string_view json);
  /// Everything is closed and one value was written.
  bool done() const { return started_ && open_.empty(); }
  /// The text; asserts done(). With an indent it ends with a newline.
  std::string Take() &&;
  const std::string& text() const { return out_; }

 private:
  JsonWriter& Open(char bracket);
  void BeforeValue();
  void NewLine();
  JsonOptions options_;
  std::string out_;
  std::string open_;      // brackets that wait for their End()
  bool started_ = false;  // a value was begun
  bool first_ = true;     // the next one is the first of its object or array
  bool has_key_ = false;
};

}  // namespace tenon::base
