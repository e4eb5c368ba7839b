#include "keras/path_format.h"

#include <cstdio>

namespace tenon::keras {
namespace {

bool Plain(const std::string& format) {
  // Flags, width, precision and one conversion letter: nothing that printf could read past its one argument with.
  std::size_t i = 0;
  while (i < format.size() && format[i] == '0') ++i;
  while (i < format.size() && std::isdigit(static_cast<unsigned char>(format[i]))) ++i;
  if (i < format.size() && format[i] == '.')
    for (++i; i < format.size() && std::isdigit(static_cast<unsigned char>(format[i]));) ++i;
  return i + 1 == format.size() && i < 6 &&
         (format[i] == 'd' || format[i] == 'f' || format[i] == 'e' || format[i] == 'g');
}

}  // namespace

std::string FormatPath(const std::string& pattern, int epoch, int batch, const Logs& logs) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '{') {
      out += pattern[i];
      continue;
    }
    const std::size_t end = pattern.find('}', i);
    if (end == std::string::npos) fail(Code::kInvalidArgument, "file name \"" + pattern + "\": a { without }");
    const std::string field = pattern.substr(i + 1, end - i - 1);
    i = end;
    const std::size_t colon = field.find(':');
    const std::string name = field.substr(0, colon);
    std::string format = colon == std::string::npos ? "" : field.substr(colon + 1);
    const bool whole = name == "epoch" || name == "batch";
    double value = 0;
    if (whole) {
      value = name == "epoch" ? epoch : batch;
    } else {
      const auto it = logs.find(name);
      if (it == logs.end()) fail(Code::kNotFound, "file name \"" + pattern + "\": there is no metric \"" + name + "\"");
      value = it->second;
    }
    if (format.empty()) format = whole ? "d" : "g";
    if (!Plain(format))
      fail(Code::kInvalidArgument, "file name \"" + pattern + "\": cannot read the format \"" + format + "\"");
    char text[400];
    const std::string full = "%" + format;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (format.back() == 'd')
      std::snprintf(text, sizeof text, full.c_str(), static_cast<int>(value));
    else
      std::snprintf(text, sizeof text, full.c_str(), value);
#pragma GCC diagnostic pop
    out += text;
  }
  return out;
}

}  // namespace tenon::keras
