// For tests: nodes, and a frozen graph of a few of them, translated and run on the reference evaluation.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/savedmodel.h"
#include "ir/module.h"

namespace tenon::savedmodel {

inline NodeDef Node(std::string name, std::string op, std::vector<std::string> inputs) {
  NodeDef node;
  node.name = std::move(name);
  node.op = std::move(op);
  node.inputs = std::move(inputs);
  return node;
}

class SmallGraph {
 public:
  /// An input that only the run knows; its dims are open unless `known`.
  std::string Input(Literal value, bool known = false) {
    NodeDef& node = New("Placeholder", {});
    node.attrs["dtype"].value = TfOfDType(value.dtype());
    node.attrs["shape"].value =
        TfShape{false, known ? value.dims() : std::vector<std::int64_t>(value.dims().size(), -1)};
    options_.inputs.push_back(node.name);
    fed_.push_back(std::move(value));
    return node.name;
  }
  std::string Constant(Literal value) {
    NodeDef& node = New("Const", {});
    node.attrs["dtype"].value = TfOfDType(value.dtype());
    TensorProto tensor;
    tensor.dtype = TfOfDType(value.dtype());
    tensor.shape.dims = value.dims();
    tensor.literal = std::make_shared<const Literal>(std::move(value));
    node.attrs["value"].value = std::make_shared<const TensorProto>(std::move(tensor));
    return node.name;
  }
  std::string Number(std::int32_t value) { return Constant(Literal::scalar(value)); }
  /// A node of any op; the name of its first output.
  std::string Add(std::string op, std::vector<std::string> inputs,
                  std::vector<std::pair<std::string, AttrValue>> attrs = {}) {
    NodeDef& node = New(std::move(op), std::move(inputs));
    for (auto& [name, value] : attrs) node.attrs[name] = std::move(value);
    return node.name;
  }
  static std::pair<std::string, AttrValue> Type(std::string name, DType dtype) {
    return {std::move(name), AttrValue{TfOfDType(dtype)}};
  }

  Result<ir::Module> Load(std::vector<std::string> outputs) {
    LoadOptions options = options_;
    options.outputs = std::move(outputs);
    const std::string path = testing::TempDir() + "/" +
                             testing::UnitTest::GetInstance()->current_test_info()->test_suite_name() + "_" +
                             testing::UnitTest::GetInstance()->current_test_info()->name() + ".pb";
    const Status written = base::WriteFile(path, EncodeGraphDef(graph_));
    if (!written.ok()) return written;
    return LoadGraphDef(path, options);
  }
  Result<std::vector<Literal>> Run(std::vector<std::string> outputs) {
    const Result<ir::Module> module = Load(std::move(outputs));
    if (!module.ok()) return module.status();
    return ir::RunFunction(*module, **module->Signature(), fed_);
  }
  /// The one output as text ("f32[2]{1, 2}"), or the message of what failed.
  std::string Text(std::string output) {
    const Result<std::vector<Literal>> out = Run({std::move(output)});
    return out.ok() ? out->front().to_string(64) : out.status().message();
  }
  /// The code of loading and running.
  Code Refused(std::string output) { return Run({std::move(output)}).status().code(); }

 private:
  NodeDef& New(std::string op, std::vector<std::string> inputs) {
    const std::string name = "n" + std::to_string(graph_.nodes.size() + 1);
    return graph_.nodes.emplace_back(Node(name, std::move(op), std::move(inputs)));
  }
  GraphDef graph_;
  LoadOptions options_;
  std::vector<Literal> fed_;
};

}  // namespace tenon::savedmodel
