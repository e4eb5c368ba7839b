#include "backends/cpu/cpu.h"

namespace tenon::cpu {

Result<std::unique_ptr<runtime::CompiledFunction>> Compile(const ir::Graph&, const runtime::CompileOptions&) {
  return Status(Code::kUnimplemented, "cpu: not built yet");
}

}  // namespace tenon::cpu
