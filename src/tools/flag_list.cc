#include "tools/flag_list.h"

#include <fmt/format.h>

#include <charconv>

namespace tenon::tools {
namespace {

template <class T>
bool ReadNumber(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ReadValue(std::string_view text, const Flag& flag) {
  struct Reader {
    std::string_view text;
    bool operator()(std::int32_t* v) const { return ReadNumber(text, v); }
    bool operator()(std::int64_t* v) const { return ReadNumber(text, v); }
    bool operator()(float* v) const { return ReadNumber(text, v); }
    bool operator()(bool* v) const {
      if (text != "true" && text != "false") return false;
      *v = text == "true";
      return true;
    }
    bool operator()(std::string* v) const {
      *v = text;
      return true;
    }
  };
  return std::visit(Reader{text}, flag.value);
}

struct Shower {
  std::pair<std::string, std::string_view> operator()(const std::int32_t* v) const {
    return {std::to_string(*v), "int32"};
  }
  std::pair<std::string, std::string_view> operator()(const std::int64_t* v) const {
    return {std::to_string(*v), "int64"};
  }
  std::pair<std::string, std::string_view> operator()(const float* v) const {
    return {fmt::format("{:f}", *v), "float"};
  }
  std::pair<std::string, std::string_view> operator()(const bool* v) const { return {*v ? "true" : "false", "bool"}; }
  std::pair<std::string, std::string_view> operator()(const std::string* v) const {
    return {"\"" + *v + "\"", "string"};
  }
};

}  // namespace

Status ParseFlags(const std::vector<Flag>& flags, const std::vector<std::string_view>& arguments, bool spaced,
                  std::vector<std::string>& unknown) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    const Flag* found = nullptr;
    std::string_view name = argument.substr(argument.starts_with("--") ? 2 : 0);
    const std::size_t equals = name.find('=');
    std::string_view value;
    if (argument.starts_with("--")) {
      if (equals != std::string_view::npos) value = name.substr(equals + 1);
      name = name.substr(0, equals);
      for (const Flag& flag : flags)
        if (flag.name == name) found = &flag;
    }
    if (found != nullptr && equals == std::string_view::npos) {
      if (std::holds_alternative<bool*>(found->value)) {
        value = "true";
      } else if (spaced && i + 1 < arguments.size()) {
        value = arguments[++i];
      } else {
        found = nullptr;
      }
    }
    if (found == nullptr) {
      unknown.emplace_back(argument);
      continue;
    }
    if (!ReadValue(value, *found))
      return Status(Code::kInvalidArgument, fmt::format("Couldn't interpret value {} for flag {}.", value, name));
  }
  return {};
}

std::string FlagUsage(std::string_view program, const std::vector<Flag>& flags) {
  std::string out = fmt::format("usage: {}\nFlags:\n", program);
  for (const Flag& flag : flags) {
    const auto [value, kind] = std::visit(Shower{}, flag.value);
    out +=
        fmt::format("\t{:<33}\t{}\t{}{}\n", fmt::format("--{}={}", flag.name, value), kind,
                    flag.no_effect.empty() ? "" : "no effect: ", flag.no_effect.empty() ? flag.help : flag.no_effect);
  }
  return out;
}

std::vector<std::string> FlagsWithoutEffect(const std::vector<Flag>& flags, const std::vector<Flag>& defaults) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    const Flag& flag = flags[i];
    const std::string value = std::visit(Shower{}, flag.value).first;
    if (!flag.no_effect.empty() && value != std::visit(Shower{}, defaults[i].value).first)
      out.push_back(fmt::format("--{}={} has no effect: {}", flag.name, value, flag.no_effect));
  }
  return out;
}

}  // namespace tenon::tools
