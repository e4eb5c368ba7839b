// compile, Executable, Context: run a Module fast.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tenon/module.h"

namespace tenon {

enum class Precision { kF32, kBf16, kInt8 };

struct CompileOptions {
  Precision precision = Precision::kF32;  // others: kUnimplemented in this version
  int threads = 0;                        // of one call; 0: what the cgroup grants
  std::string backend = {};               // "cpu" (default) or "ref"
  bool float64 = false;                   // ref only: float dtypes widen to f64
};

namespace api {
class ExecutableImpl;
class ContextImpl;
}  // namespace api

/// One worker's buffers, bound once: write inputs, call, read outputs, again and again. Move-only; one thread at a
/// time; keeps its Executable alive. A call allocates nothing and takes no lock (oneDNN inside its own calls aside).
class TENON_API Context {
 public:
  explicit Context(std::unique_ptr<api::ContextImpl> impl);
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;
  ~Context();
  /// Views that stay valid for the life of the Context. kNotFound names the inputs (outputs) that there are,
  /// kInvalidArgument when T is not the dtype.
  template <Element T>
  Result<std::span<T>> input(const std::string& name) & {
    Result<Literal*> l = input_literal(name, DTypeOf<T>::value);
    if (!l.ok()) return l.status();
    return (*l)->template mutable_data<T>();
  }
  template <Element T>
  Result<std::span<const T>> output(const std::string& name) & {
    Result<Literal*> l = output_literal(name, DTypeOf<T>::value);
    if (!l.ok()) return l.status();
    return static_cast<const Literal*>(*l)->template data<T>();
  }
  Result<void> operator()();

 private:
  Result<Literal*> input_literal(const std::string& name, DType dtype);
  Result<Literal*> output_literal(const std::string& name, DType dtype);
  std::unique_ptr<api::ContextImpl> impl_;
};

/// A compiled Module, as a handle: immutable, any thread. Variables that no signature writes are taken as constants at
/// compile time; written ones stay shared with the Module and its other executables.
class TENON_API Executable {
 public:
  explicit Executable(std::shared_ptr<const api::ExecutableImpl> impl) : impl_(std::move(impl)) {}
  /// `inputs` gives the shape of every input. kFailedPrecondition when an output's dims depend on the data: use run().
  Result<Context> context(const std::string& signature, const std::map<std::string, Shape>& inputs) const;
  /// One call with any shapes that the signature allows. Keys are the input names; "" is the default signature.
  Result<std::map<std::string, Literal>> run(const std::map<std::string, Literal>& inputs,
                                             const std::string& signature = {}) const;
  /// The same in the order of the signature's inputs and outputs: no map, no names.
  Result<std::vector<Literal>> run_ordered(std::vector<Literal> inputs, const std::string& signature = {}) const;
  const Module& module() const;
  /// The steps of the plans made so far, with the kernels chosen.
  std::string explain() const;

 private:
  std::shared_ptr<const api::ExecutableImpl> impl_;
};

TENON_API Result<Executable> compile(const Module& module, CompileOptions options = {});

}  // namespace tenon
