// CompiledFunction: one graph compiled for a backend. Context: what one worker needs to run it.
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tenon/types.h"

namespace tenon::runtime {

/// Output `output` may be written over the storage of input `input` (a variable and its new value): same dtype and
/// dims.
struct Donation {
  int input = 0;
  int output = 0;
  friend bool operator==(const Donation&, const Donation&) = default;
};

struct CompileOptions {
  int threads = 1;                      // of the team that runs one call, >= 1
  std::vector<Donation> donations;      // each input and output at most once
  bool float64 = false;                 // ref backend: float dtypes widen to f64 (the oracle); ignored by others
  std::vector<std::string> passes_off;  // names of compiler passes to leave out, beside those of TENON_PASSES_OFF=a,b
  int max_plans = 32;  // plans of different input dims kept at a time, >= 1; the least recently used goes
};

/// An input or output as declared: dims may be symbolic, `shape` is absent when the rank is unknown.
struct Port {
  std::string name;
  DType dtype = DType::kF32;
  std::optional<Shape> shape;
};

/// Runs one function. Not thread-safe: one per worker. Holds the arena, the scratch memory and the bound buffers of the
/// plans that it has run. At input dims that it has seen, Run takes no lock, and allocates nothing when the caller
/// hands back outputs that it may overwrite.
class Context {
 public:
  virtual ~Context() = default;
  /// inputs and outputs in the order of the function's ports; the sizes must match.
  /// outputs[j] that has the right dtype and dims and sole ownership of its storage is overwritten; any other is
  /// replaced by a new Literal. For a donation {i, j}, inputs[i] is given away (afterwards it may hold anything): when
  /// it is the sole owner of its storage, the storage is updated in place and moved to outputs[j]; else a copy is
  /// (copy-on-write). After an error, donated inputs may hold partial results and outputs are unspecified. Errors:
  /// kInvalidArgument naming the input whose dtype or dims do not fit.
  virtual Status Run(std::span<Literal> inputs, std::span<Literal> outputs) = 0;
};

/// Immutable; any thread. Plans for new input dims are made under a lock inside.
class CompiledFunction {
 public:
  virtual ~CompiledFunction();
  CompiledFunction(const CompiledFunction&) = delete;
  CompiledFunction& operator=(const CompiledFunction&) = delete;

  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  /// For one worker; the function must outlive it.
  virtual std::unique_ptr<Context> NewContext() const = 0;
  /// Makes the plan for these input dims ahead of the first call (warm-up).
  virtual Status Prepare(const std::vector<std::vector<std::int64_t>>& input_dims) const = 0;
  /// What runs: the steps of the plans made so far, one a line, with the kernels chosen.
  virtual std::string Explain() const = 0;

  /// Runs with a Context borrowed from a pool (one lock). Inputs are taken by value so that donated ones can be moved
  /// in.
  Result<std::vector<Literal>> Run(std::vector<Literal> inputs) const;
  Status Run(std::span<Literal> inputs, std::span<Literal> outputs) const;

 protected:
  CompiledFunction(std::vector<Port> inputs, std::vector<Port> outputs)
      : inputs_(std::move(inputs)), outputs_(std::move(outputs)) {}

 private:
  std::vector<Port> inputs_, outputs_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Context>> idle_;
};

}  // namespace tenon::runtime
