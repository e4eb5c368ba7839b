// The verifier: what holds for every valid graph and module, as numbered rules. docs/text-form.md lists them.
#pragma once
#include "ir/module.h"

namespace tenon::ir {

/// How deep sub-graphs nest.
inline constexpr int kMaxGraphDepth = 64;

/// Rules; a message starts with the number ("V3: …") and names the node.
///   V1  a node's inputs are outputs of earlier nodes; absent ones only where the record allows it
///   V2  attributes are complete and of the record's kinds
///   V3  inference on the inputs gives as many outputs, and types that do not contradict those written on the node
///   V4  graph inputs are `input` nodes, in order, each once; graph outputs are values of the graph
///   V5  sub-graphs are closed and valid themselves; at most 64 levels
///   V6  values' names are unique within a graph; left out when `names` is false
Status VerifyGraph(const Graph& graph, bool names = true);

///   V7  names of inputs, outputs and functions are unique and not empty; their counts match the graph
///   V8  every variable that is read or written is in the module, with the type that the graph gives it
///   V9  variable paths are unique
Status VerifyModule(const Module& module);

///   V10 a rewrite keeps the graph's inputs and outputs: their count, types that the old ones accept, and their
///   records.
///       A name is kept as the name or among the provenance; provenance, quantization and axis roles are kept
Status VerifyRewrite(const Graph& before, const Graph& after);

}  // namespace tenon::ir
