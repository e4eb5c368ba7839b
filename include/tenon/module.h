// Module: named functions, Variables, assets and metadata: what load() gives and save(), compile(), verify and serve
// take.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tenon/types.h"

namespace tenon {

namespace ir {
class Module;
}

/// One input or output of a signature. A symbolic dim is known only at run time; rank_known is false for any rank.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape = {};
  bool rank_known = true;
};
struct SignatureSpec {
  std::string name;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
};
struct VariableSpec {
  std::string path;
  DType dtype = DType::kF32;
  Shape shape = {};
  bool trainable = true;
};

/// A handle: copies share one module. The views are const; reading from several threads is safe.
class TENON_API Module {
 public:
  Module();  // empty
  explicit Module(std::shared_ptr<ir::Module> module) : module_(std::move(module)) {}
  std::vector<std::string> signatures() const;
  /// "" asks for "serving_default", else the first one. kNotFound lists the names.
  Result<SignatureSpec> signature(const std::string& name = {}) const;
  std::vector<VariableSpec> variables() const;
  /// A snapshot of the variable's value.
  Result<Literal> variable(const std::string& path) const;
  std::map<std::string, std::string> metadata() const;
  /// The text form of every function, for people and for tests.
  std::string to_string() const;
  /// Runs a signature once on the reference backend: for tests; compile() is the fast way. Keys are the input names.
  Result<std::map<std::string, Literal>> run(const std::map<std::string, Literal>& inputs,
                                             const std::string& signature = {}) const;
  const std::shared_ptr<ir::Module>& impl() const { return module_; }

 private:
  std::shared_ptr<ir::Module> module_;
};

enum class Layout { kNCHW, kNHWC };

}  // namespace tenon
