// What `tenon inspect` knows of a model, before it is printed.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tenon/module.h"

namespace tenon::tools {

struct WeightStats {
  std::string name, type;
  std::int64_t elements = 0, bytes = 0;
  double min = 0, max = 0, mean = 0, deviation = 0, zeros = 0;  // zeros: their share
  std::array<std::int64_t, 24> bins = {};                       // of [min, max]
};

/// A layer: the nodes of ours that one node of the source became.
struct Row {
  std::string name, node, op, type;  // of its result; op as the source calls it, else ours
  std::vector<std::size_t> from;     // rows that it reads
  std::vector<WeightStats> weights;
  std::int64_t parameters = 0, bytes = 0;  // of the result: bytes
  double flops = 0;
  int nodes = 0;
};

struct SignatureSheet {
  std::string name;
  std::vector<std::pair<std::string, std::string>> inputs, outputs;  // name, type
  std::map<std::string, int> ops;                                    // ours
  std::vector<Row> rows;
  double flops = 0;
  std::int64_t peak_activations = 0;
  std::string note;  // why there are no costs
};

struct Sheet {
  std::string path, format;
  std::map<std::string, std::string> metadata;
  std::map<std::string, std::int64_t> opsets;  // ONNX
  std::map<std::string, int> source_ops;       // ONNX: by operator, sub-graphs and functions included
  std::vector<std::string> unsupported;        // what stands in the way of a translation
  std::int64_t parameters = 0, trainable = 0, weight_bytes = 0;
  std::int64_t variables = 0;
  int batch = 1;
  std::vector<SignatureSheet> signatures;
};

/// Reads the model; free dims count as `batch`. An ONNX model that cannot be translated still gives its border, opsets,
/// operators, weights and, by its own declarations, shapes.
Result<Sheet> Inspected(const std::string& path, int batch);

std::string SheetText(const Sheet& sheet);
std::string SheetJson(const Sheet& sheet);
/// One page without references to anything outside of it.
std::string SheetHtml(const Sheet& sheet);

}  // namespace tenon::tools
