// Module: named functions with their Variables, assets and metadata. What importers and training produce; what
// exporters, verify, quantize and serve consume.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/variable.h"

namespace tenon::ir {

/// A named function, which is also a signature. The graph's inputs are the user's inputs in order, then one for each
/// variable that it reads; its outputs are the user's outputs, then one new value for each variable that it writes.
struct Function {
  std::string name;  // "serving_default"
  Graph graph;
  std::vector<std::string> input_names;   // of the user's inputs: unique, as the source format spells them
  std::vector<std::string> output_names;  // of the user's outputs
  std::vector<std::string> reads;         // variable paths
  std::vector<std::string> writes;
  std::map<std::string, std::string> metadata;  // "method_name", "doc", …

  std::size_t num_inputs() const { return input_names.size(); }
  std::size_t num_outputs() const { return output_names.size(); }
  Value input(std::size_t i) const { return graph.inputs()[i]; }
  Value output(std::size_t i) const { return graph.outputs()[i]; }
  const Type& input_type(std::size_t i) const { return graph.type(input(i)); }
  const Type& output_type(std::size_t i) const { return graph.type(output(i)); }
  /// The graph input that stands for reads[i], the graph output for writes[i].
  Value read_input(std::size_t i) const { return graph.inputs()[num_inputs() + i]; }
  Value write_output(std::size_t i) const { return graph.outputs()[num_outputs() + i]; }
};

/// A value type with shared variables: copying copies the functions and shares the cells.
class Module {
 public:
  std::vector<Function> functions;              // in order; names unique
  std::vector<VariablePtr> variables;           // in order of creation; paths unique
  std::map<std::string, std::string> assets;    // name -> bytes
  std::map<std::string, std::string> metadata;  // "producer", "format", "onnx.opset", …

  const Function* FindFunction(std::string_view name) const;
  Function* FindFunction(std::string_view name);
  VariablePtr FindVariable(std::string_view path) const;
  /// "serving_default" when there is one, else the first; kNotFound lists the names.
  Result<const Function*> Signature(std::string_view name = {}) const;
  /// Adds a cell; kAlreadyExists when the path is taken.
  Status AddVariable(VariablePtr cell);
};

/// Runs a function on the reference backend with the variables' present values; written values go back into the cells
/// when `update`. In float64 when `float64` (then nothing is written back).
struct RunOptions {
  bool float64 = false;
  bool update = true;
};
Result<std::vector<Literal>> RunFunction(const Module& module, const Function& function, std::vector<Literal> inputs,
                                         const RunOptions& options = {});

}  // namespace tenon::ir
