// The backends of this build.
#include "backends/cpu/cpu.h"
#include "backends/ref/ref.h"
#include "compiler/backend.h"

namespace tenon::compiler {

std::span<const Backend> Backends() {
  static constexpr Backend kAll[] = {{"cpu", cpu::Compile}, {"ref", ref::Compile}};
  return kAll;
}

}  // namespace tenon::compiler
