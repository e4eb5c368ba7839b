#include "compiler/pass.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "base/status_macros.h"
#include "ir/text.h"
#include "ir/verifier.h"

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

Status Verify(const ir::Graph& before, const ir::Graph& after) {
  TENON_RETURN_IF_ERROR(ir::VerifyGraph(after, false));  // names are the business of who made the graph
  return ir::VerifyRewrite(before, after);
}

}  // namespace

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
    const ir::Graph before = graph;
    if (Status status = pass.run(graph); !status.ok()) return status.with_context("pass " + std::string(pass.name));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (Status status = Verify(before, graph); !status.ok())
      return status.with_context("after pass " + std::string(pass.name));
    if (times != nullptr) times->push_back({pass.name, seconds, graph.size()});
    if (dump != nullptr) Dump(dump, label, number, pass.name, graph);
  }
  return {};
}

}  // namespace tenon::compiler
