// Runs on the reference that keep what they compute.
#pragma once
#include <unordered_map>
#include <vector>

#include "ir/module.h"

namespace tenon::verify {

/// The tensors of one run. `values` holds everything that the function's own graph computes (not what stands inside
/// sub-graphs), in its order when walked by `order`.
struct Recorded {
  std::vector<Literal> outputs = {};
  std::vector<ir::Value> order = {};
  std::unordered_map<ir::Value, Literal, ir::ValueHash> values = {};
  const Literal* Find(ir::Value v) const {
    const auto it = values.find(v);
    return it == values.end() ? nullptr : &it->second;
  }
};

/// With `keep` all values, else only the outputs. In float64 when asked for. kUnimplemented for outputs that are no
/// tensors.
Result<Recorded> RunReference(const ir::Module& module, const ir::Function& function,
                              const std::vector<Literal>& inputs, bool float64, bool keep);

/// The run in float64 with every element of inputs, variables and constants off by about half a unit of its last place,
/// up or down; integers as they are.
Result<Recorded> RunShaken(const ir::Module& module, const ir::Function& function, const std::vector<Literal>& inputs,
                           bool keep);

}  // namespace tenon::verify
