// Writing a file so that nobody ever sees half of it.
#pragma once
#include <string>

namespace digits {

/// Writes beside `path`, then renames. False when that fails; what stood there before then stays.
bool WriteWhole(const std::string& path, const std::string& bytes);

}  // namespace digits
