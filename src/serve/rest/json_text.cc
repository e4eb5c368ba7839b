// JsonDocument::ToText: values quoted in messages, laid out by four spaces a level.
#include <charconv>
#include <cmath>

#include "serve/rest/float_text.h"
#include "serve/rest/json_dom.h"
#include "serve/rest/json_string.h"

namespace tenon::serve {
namespace {

struct Open {
  JsonDocument::Index next;  // child to write
  JsonDocument::Index end;
  bool object;
  bool first = true;
  bool value = false;  // of a member, its name is written
};

}  // namespace

std::string JsonDocument::ToText(Index root, std::size_t limit) const {
  std::string out;
  char number[kFloatTextMax];
  std::vector<Open> open;
  // False: the value cannot be written, and nothing after it is.
  const auto scalar = [&](Index i) {
    switch (kind(i)) {
      case JsonKind::kNull:
        out += "null";
        return true;
      case JsonKind::kFalse:
        out += "false";
        return true;
      case JsonKind::kTrue:
        out += "true";
        return true;
      case JsonKind::kString:
        AppendQuoted(out, text(i).substr(0, limit));
        return true;
      case JsonKind::kInt:
        out.append(number, std::to_chars(number, number + sizeof number, int_value(i)).ptr);
        return true;
      case JsonKind::kUint:
        out.append(number, std::to_chars(number, number + sizeof number, uint_value(i)).ptr);
        return true;
      default:
        break;
    }
    const double v = double_value(i);
    if (i == root) {
      const bool fits = v >= -3.4028234e38 && v <= 3.4028234e38;
      out.append(number, fits ? FloatText(static_cast<float>(v), number) : DoubleText(v, number));
      return true;
    }
    if (!std::isfinite(v)) return false;
    out.append(number, ShortestText(v, number));
    return true;
  };
  const auto begin = [&](Index i) {
    if (kind(i) != JsonKind::kObject && kind(i) != JsonKind::kArray) return scalar(i);
    const bool object = kind(i) == JsonKind::kObject;
    out += object ? '{' : '[';
    open.push_back({first(i), end(i), object});
    return true;
  };
  const auto line = [&] {
    out += '\n';
    out.append(std::min(4 * open.size(), limit), ' ');
  };
  bool going = begin(root);
  while (going && !open.empty() && out.size() <= limit) {
    Open& top = open.back();
    if (top.next == top.end) {
      const bool object = top.object, empty = top.first;
      open.pop_back();
      if (!empty) line();
      out += object ? '}' : ']';
      continue;
    }
    if (!top.value) {
      if (!top.first) out += ',';
      top.first = false;
      line();
    }
    const Index child = top.next;
    top.next = end(child);
    if (top.object) {
      top.value = !top.value;
      if (top.value) {
        AppendQuoted(out, text(child).substr(0, limit));
        out += ": ";
        continue;
      }
    }
    going = begin(child);
  }
  if (out.size() > limit) out.resize(limit);
  return out;
}

}  // namespace tenon::serve
