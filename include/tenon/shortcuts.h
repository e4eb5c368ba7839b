// Shorter forms of functions of ops/, for dims and C++ numbers known where they are called. Part of ops.h.
#pragma once
#include "tenon/tensor.h"

namespace tenon {

/// The elements of x under other dims; one of them may be -1: what the others leave. Throws kInvalidArgument when the
/// sizes are known to differ.
TENON_API Tensor reshape(const Tensor& x, const Shape& dims);
/// x repeated to those dims by NumPy's rule.
TENON_API Tensor broadcast_to(const Tensor& x, const Shape& dims);
/// The axes of x in that order: transpose(x, {1, 0}).
TENON_API Tensor transpose(const Tensor& x, std::initializer_list<std::int64_t> permutation);
/// min(max(x, low), high), elementwise; the numbers take the dtype of x (see Scalar).
TENON_API Tensor clip(const Tensor& x, Scalar low, Scalar high);
/// Elementwise with a C++ number, which takes the dtype of the Tensor (see Scalar).
TENON_API Tensor maximum(const Tensor& x, Scalar y);
TENON_API Tensor minimum(const Tensor& x, Scalar y);
TENON_API Tensor power(const Tensor& x, Scalar y);

}  // namespace tenon
