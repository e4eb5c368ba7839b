// What the tests of this folder share. Included by tests only.
#pragma once
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/onnx/model.h"
#include "formats/onnx/tensor.h"

namespace tenon::onnx {

/// The fixtures: every folder below `root` that holds a model.onnx, sorted.
inline std::vector<std::string> FixtureModels(const std::string& root) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(root))
    if (std::filesystem::exists(entry.path() / "model.onnx")) paths.push_back((entry.path() / "model.onnx").string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Every tensor of the graph and of the graphs in it, read in a fixed order.
inline Status ReadAll(TensorReader& reader, const Graph& graph, std::vector<Literal>* out) {
  const auto read = [&](const auto& tensor) {
    Result<Literal> value = reader.Read(tensor);
    if (!value.ok()) return value.status();
    out->push_back(*std::move(value));
    return Status();
  };
  for (const Tensor& tensor : graph.initializers)
    if (Status status = read(tensor); !status.ok()) return status;
  for (const SparseTensor& tensor : graph.sparse_initializers)
    if (Status status = read(tensor); !status.ok()) return status;
  for (const Node& node : graph.nodes)
    for (const Attribute& attribute : node.attributes) {
      for (const Tensor& tensor : attribute.tensors)
        if (Status status = read(tensor); !status.ok()) return status;
      for (const Graph& inner : attribute.graphs)
        if (Status status = ReadAll(reader, inner, out); !status.ok()) return status;
    }
  return Status();
}

}  // namespace tenon::onnx
