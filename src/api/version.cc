// Keeps the composition root's object library non-empty on its own; the op table is compiled into it.
#include <string_view>

#include "tenon/status.h"

namespace tenon {
TENON_API std::string_view version() { return "0.1.0"; }
}  // namespace tenon
