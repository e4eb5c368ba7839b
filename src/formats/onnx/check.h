// Contradictions of an onnx::Model that need no knowledge of its operators.
#pragma once
#include "formats/onnx/model.h"

namespace tenon::onnx {

/// The newest versions that are known. Opsets above them are read as these, with a warning, as far as their operators
/// are known; what is above kHighestOpset is no version.
inline constexpr std::int64_t kNewestIr = 14, kNewestOpset = 28, kNewestMlOpset = 5, kHighestOpset = 99;

/// The default domain has two names.
inline std::string_view NormalDomain(std::string_view domain) { return domain == "ai.onnx" ? "" : domain; }

/// The imported version of a domain, or nullopt.
std::optional<std::int64_t> OpsetOf(const std::vector<OperatorSetId>& imports, std::string_view domain);

/// kInvalidArgument, naming file and place, for: unknown IR or opset versions, a missing graph, output or import,
/// values defined twice, names that nobody defines (also those of an inner graph seen from outside), cycles, attributes
/// given twice or referring to a function's where there is none, functions that call themselves, bad element types and
/// dims. kUnimplemented for a newer IR version than kNewestIr and an opset above kHighestOpset. Logs a warning, once a
/// domain, for opsets newer than kNewestOpset and kNewestMlOpset. Models of IR version 1 and 2 need no import: opset 1
/// is meant. Nodes need not be sorted. An inner graph may shadow an outer name.
Status Check(const Model& model);

/// The order in which the nodes of a graph or function body can run: the file's order, if that is one. Captures count.
/// kInvalidArgument for a cycle, naming a node on it.
Result<std::vector<std::size_t>> SortNodes(const std::vector<Node>& nodes);

}  // namespace tenon::onnx
