// The pass driver: named, timed passes that can be switched off one by one, each verified after it ran.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace tenon::compiler {

struct Pass {
  std::string_view name;
  std::function<Status(ir::Graph&)> run;
  /// A pass that later ones rely on cannot be switched off.
  bool required = false;
};

struct PassOptions {
  std::vector<std::string> off;  // beside TENON_PASSES_OFF=a,b
  std::string label = "graph";   // for dumps and messages
};

struct PassTime {
  std::string_view name;
  double seconds = 0;
  std::int32_t nodes = 0;  // after it
};

/// Runs the passes in order. TENON_DUMP=dir writes the text form after each, "label.NN.pass.txt". An error is that of
/// the pass, with its name in front. After each pass the graph is verified (ir/verifier.h): a graph that breaks a rule,
/// or has lost what a rewrite keeps, is kInternal naming the pass and the rule.
Status RunPasses(ir::Graph& graph, const std::vector<Pass>& passes, const PassOptions& options,
                 std::vector<PassTime>* times = nullptr);

}  // namespace tenon::compiler
