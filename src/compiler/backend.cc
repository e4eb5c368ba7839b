#include "compiler/backend.h"

namespace tenon::compiler {

const Backend* FindBackend(std::string_view name) {
  for (const Backend& backend : Backends())
    if (name.empty() || backend.name == name) return &backend;
  return nullptr;
}

}  // namespace tenon::compiler
