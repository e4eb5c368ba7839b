// PrettyWriter: indented JSON, byte for byte as TensorFlow Serving's clients see it.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace tenon::serve {

/// Four spaces a level; each member and element on a line of its own, except that elements of arrays follow each other
/// with ", " while single_line is set. It may be changed at any time: an array that ends while it is off has its
/// bracket on a line of its own. The caller keeps starts and ends, keys and values in order.
class PrettyWriter {
 public:
  explicit PrettyWriter(std::string& out) : out_(out) { levels_.reserve(8); }
  void set_single_line(bool on) { single_line_ = on; }

  void StartObject() { Start(false, '{'); }
  void EndObject() { End('}', true); }
  void StartArray() { Start(true, '['); }
  void EndArray() { End(']', !single_line_); }
  void Key(std::string_view name) { String(name); }
  void String(std::string_view text);
  /// A number or a word, as it is.
  void Raw(std::string_view text) {
    Prefix();
    out_ += text;
  }
  /// `count` elements of the array that is open: write(i, buffer of kFloatTextMax bytes) returns the end of the text.
  template <class Write>
  void Numbers(std::size_t count, Write write);

 private:
  struct Level {
    bool array;
    std::size_t values = 0;
  };
  void Start(bool array, char bracket) {
    Prefix();
    levels_.push_back({array});
    out_ += bracket;
  }
  void End(char bracket, bool own_line) {
    const bool empty = levels_.back().values == 0;
    levels_.pop_back();
    if (!empty && own_line) NewLine();
    out_ += bracket;
  }
  void NewLine() {
    out_ += '\n';
    out_.append(4 * levels_.size(), ' ');
  }
  void Prefix();

  std::string& out_;
  std::vector<Level> levels_;
  bool single_line_ = false;
};

template <class Write>
void PrettyWriter::Numbers(std::size_t count, Write write) {
  constexpr std::size_t kRoom = 32;
  // The first element may stand differently from the others; all others have the same text before them.
  for (std::size_t i = 0; i < count; ++i) {
    if (i == 0) {
      Prefix();
      char text[kRoom];
      out_.append(text, write(i, text));
      continue;
    }
    // In blocks, so that the string grows seldom and never far.
    const std::size_t block = count - i < 256 ? count - i : 256;
    const std::size_t indent = single_line_ ? 0 : 4 * levels_.size();
    const std::size_t size = out_.size();
    if (out_.capacity() < size + block * (kRoom + 2 + indent)) out_.reserve(2 * size + block * (kRoom + 2 + indent));
    out_.resize(size + block * (kRoom + 2 + indent));
    char* p = out_.data() + size;
    for (std::size_t end = i + block; i < end; ++i) {
      *p++ = ',';
      *p++ = single_line_ ? ' ' : '\n';
      for (std::size_t k = 0; k < indent; ++k) *p++ = ' ';
      p = write(i, p);
    }
    --i;
    levels_.back().values += block;
    out_.resize(static_cast<std::size_t>(p - out_.data()));
  }
}

}  // namespace tenon::serve
