#include "compiler/pass.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "base/status_macros.h"
#include "ir/op_def.h"
#include "ir/text.h"

namespace tenon::compiler {
namespace {

bool Listed(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == name) return true;
    list.remove_prefix(std::min(list.size(), comma + 1));
  }
  return false;
}

void Dump(const std::string& folder, const std::string& label, int number, std::string_view pass,
          const ir::Graph& graph) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  const std::string index = (number < 10 ? "0" : "") + std::to_string(number);
  std::ofstream out(folder + "/" + label + "." + index + "." + std::string(pass) + ".txt");
  out << ir::PrintGraph(graph);
  if (!out) base::Log(base::LogLevel::kWarning, "TENON_DUMP: cannot write to " + folder);
}

}  // namespace

Status CheckGraph(const ir::Graph& graph) {
  for (std::int32_t id = 0; id < graph.size(); ++id) {
    const ir::Node& n = graph.node(id);
    if (n.op == nullptr) return Status(Code::kInternal, "graph: node " + std::to_string(id) + " has no op");
    for (const ir::Value v : n.inputs) {
      if (!v.valid()) continue;
      if (v.node >= id)
        return Status(Code::kInternal, "graph: node " + std::to_string(id) + " (" + std::string(n.op->name) +
                                           ") uses a value made after it");
      if (static_cast<std::size_t>(v.index) >= graph.node(v).outputs.size())
        return Status(Code::kInternal, "graph: node " + std::to_string(id) + " (" + std::string(n.op->name) +
                                           ") uses an output that does not exist");
    }
  }
  for (const ir::Value v : graph.outputs())
    if (v.valid() && v.node >= graph.size()) return Status(Code::kInternal, "graph: an output names no node");
  return {};
}

Status RunPasses(ir::Graph& graph, const std::vector<Pass>& passes, const PassOptions& options,
                 std::vector<PassTime>* times) {
  const char* off = std::getenv("TENON_PASSES_OFF");
  const char* dump = std::getenv("TENON_DUMP");
  static std::atomic<int> compilations = 0;
  const std::string label = dump == nullptr ? std::string() : options.label + std::to_string(compilations++);
  int number = 0;
  if (dump != nullptr) Dump(dump, label, number, "input", graph);
  for (const Pass& pass : passes) {
    ++number;
    const bool skipped = !pass.required && (std::ranges::find(options.off, pass.name) != options.off.end() ||
                                            (off != nullptr && Listed(off, pass.name)));
    if (skipped) continue;
    const auto start = std::chrono::steady_clock::now();
    if (Status status = pass.run(graph); !status.ok()) return status.with_context("pass " + std::string(pass.name));
    if (Status status = CheckGraph(graph); !status.ok())
      return status.with_context("after pass " + std::string(pass.name));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (times != nullptr) times->push_back({pass.name, seconds, graph.size()});
    if (dump != nullptr) Dump(dump, label, number, pass.name, graph);
  }
  return {};
}

}  // namespace tenon::compiler
