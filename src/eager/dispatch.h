// Apply: the one door through which every function of ops.h goes, eager and symbolic.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "ir/op_table.h"
#include "tenon/tensor.h"

namespace tenon::eager {

/// Applies an op. Eager inputs give eager outputs; a symbolic input (or a call inside a trace on its symbols) gives
/// symbolic ones, by inference. Undefined inputs are absent optional ones. Active tapes record. Throws Error.
std::vector<Tensor> Apply(const ir::OpDef& op, std::span<const Tensor> inputs, ir::Attrs attrs = {});
std::vector<Tensor> Apply(std::string_view op, std::initializer_list<Tensor> inputs, ir::Attrs attrs = {});
Tensor ApplyOne(std::string_view op, std::initializer_list<Tensor> inputs, ir::Attrs attrs = {});

/// How one op is computed on values. Defined where the backends are known (the composition root): a cached one-op
/// executable of the cpu backend, or the reference.
Result<std::vector<Literal>> Evaluate(const ir::OpDef& op, std::span<const Literal* const> inputs,
                                      const ir::Attrs& attrs);

/// The same element type for elementwise inputs, by Keras 3's rules (promote.cc).
std::vector<Tensor> Promote(std::span<const Tensor> tensors);
/// A constant like `x`: weak scalars take x's dtype; a floating one makes integers and bools f32.
Tensor Weak(Scalar value, const Tensor& like);

}  // namespace tenon::eager
