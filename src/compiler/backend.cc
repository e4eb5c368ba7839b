#include "compiler/backend.h"

#include <cstdlib>

namespace tenon::compiler {

const Backend* FindBackend(std::string_view name) {
  // Read at each call: a test may set it.
  if (name.empty())
    if (const char* forced = std::getenv("TENON_BACKEND")) name = forced;
  for (const Backend& backend : Backends())
    if (name.empty() || backend.name == name) return &backend;
  return nullptr;
}

}  // namespace tenon::compiler
