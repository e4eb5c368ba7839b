// Models to plant faults in, and the faults.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "formats/onnx/model.h"
#include "formats/onnx/tensor.h"

namespace tenon::faults {

/// A model with what a fault needs: nodes by operator, attributes, weights. Every access to what is not there throws
/// std::runtime_error, so that a fault that plants nothing fails.
class Planter {
 public:
  explicit Planter(onnx::Model& model) : model_(model) {}
  /// The n-th node of that operator.
  onnx::Node& Node(const std::string& op_type, int n = 0);
  onnx::Attribute& Attr(onnx::Node& node, const std::string& name);
  void SetInt(onnx::Node& node, const std::string& name, std::int64_t value);
  void SetInts(onnx::Node& node, const std::string& name, std::vector<std::int64_t> values);
  void SetFloat(onnx::Node& node, const std::string& name, float value);
  void SetString(onnx::Node& node, const std::string& name, std::string value);
  void Erase(onnx::Node& node, const std::string& name);
  /// Weights: f32 elements and dims, changed in place.
  void Weight(const std::string& name,
              const std::function<void(std::vector<float>&, std::vector<std::int64_t>&)>& edit);
  /// Integer weights of any integer dtype.
  void Integers(const std::string& name, const std::function<void(std::vector<std::int64_t>&)>& edit);
  /// The initializer at an input of a node.
  std::string WeightOf(const onnx::Node& node, std::size_t input) const;
  /// Takes a node out: its readers read `instead`.
  void Remove(const std::string& output, const std::string& instead);
  /// Puts a node with one input and output before input i of the node that makes `output`.
  void Insert(const std::string& output, std::size_t i, const std::string& op_type,
              std::vector<onnx::Attribute> attributes = {});
  std::string AddInts(const std::string& name, const std::vector<std::int64_t>& values);
  onnx::Node& Maker(const std::string& output);
  onnx::Model& model() { return model_; }

 private:
  onnx::Model& model_;
};

struct Fault {
  const char* name;
  const char* model;  // a fixture, or one of Nets()
  /// Plants it; gives the value at which it must be found, or several, "a|b", where the fault lies between them.
  std::function<std::string(Planter&)> plant;
};
const std::vector<Fault>& Faults();

/// Small models of ours, by name.
onnx::Model Net(const std::string& name);
std::vector<std::string> NetNames();

}  // namespace tenon::faults
