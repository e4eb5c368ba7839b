#include <iostream>
#include <thread>

#include "base/json_writer.h"
#include "base/threads.h"
#include "compiler/backend.h"
#include "ir/op_table.h"
#include "tenon/compile.h"
#include "tools/commands.h"

namespace tenon {
std::string_view version();
}

namespace tenon::tools {

int Doctor(bool json_output) {
  std::size_t ops = 0;
  for (const ir::OpFamily& family : ir::OpFamilies()) ops += family.ops.size();
  std::string backends;
  for (const compiler::Backend& b : compiler::Backends())
    backends += (backends.empty() ? "" : ", ") + std::string(b.name);
  std::string isa;
#if defined(__x86_64__)
  for (const auto& [name, present] : {std::pair<const char*, bool>{"avx2", __builtin_cpu_supports("avx2") != 0},
                                      {"avx512f", __builtin_cpu_supports("avx512f") != 0},
                                      {"avx512vnni", __builtin_cpu_supports("avx512vnni") != 0},
                                      {"avx512bf16", __builtin_cpu_supports("avx512bf16") != 0}})
    if (present) isa += (isa.empty() ? "" : ", ") + std::string(name);
#endif
  const std::pair<const char*, std::string> lines[] = {
      {"version", std::string(version())},
      {"threads",
       std::to_string(base::DefaultThreads()) + " of " + std::to_string(std::thread::hardware_concurrency())},
      {"instruction sets", isa},
      {"backends", backends},
      {"ops", std::to_string(ops)}};
  if (json_output) {
    base::JsonWriter json({.indent = 2});
    json.Object();
    for (const auto& [key, value] : lines) json.Key(key).String(value);
    json.End();
    std::cout << std::move(json).Take();
    return kDone;
  }
  for (const auto& [key, value] : lines)
    std::cout << key << std::string(18 - std::string_view(key).size(), ' ') << value << '\n';
  return kDone;
}

}  // namespace tenon::tools
