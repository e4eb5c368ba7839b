// FlagList: command-line flags as TensorFlow's programs parse them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tenon/status.h"

namespace tenon::tools {

/// One flag: its name without dashes, where its value goes (which holds the default), and a line of help. A flag that
/// is taken for the sake of its users and changes nothing has none: `no_effect` says why.
struct Flag {
  std::string_view name;
  std::variant<std::int32_t*, std::int64_t*, float*, bool*, std::string*> value;
  std::string_view help;
  std::string_view no_effect = {};
};

/// Reads `--flag=value`, and `--flag` for bool flags (`=true` and `=false` too). Nothing is abbreviated; the last of
/// several counts. With `spaced`, `--flag value` is read as well. Arguments that are no flag of the list are left in
/// `unknown`. kInvalidArgument "Couldn't interpret value x for flag y." for a value of the wrong kind.
Status ParseFlags(const std::vector<Flag>& flags, const std::vector<std::string_view>& arguments, bool spaced,
                  std::vector<std::string>& unknown);

/// "usage: program\nFlags:\n" and a line a flag with its value (the default before parsing), kind and help.
std::string FlagUsage(std::string_view program, const std::vector<Flag>& flags);

/// A line for each flag without effect whose value is not that of the same flag in `defaults` (which has the same flags
/// in the same order).
std::vector<std::string> FlagsWithoutEffect(const std::vector<Flag>& flags, const std::vector<Flag>& defaults);

}  // namespace tenon::tools
