// What the records share: reference evaluation over wide numbers, broadcasting index walks, samples.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/status_macros.h"
#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/infer.h"
#include "ir/numeric.h"
#include "ir/op_def.h"

namespace tenon::ir::ops {

// Reference functions of one element, by the class of the dtype. A null function: the class is not allowed.
struct UnaryFns {
  double (*f)(double) = nullptr;                // floats
  std::int64_t (*i)(std::int64_t) = nullptr;    // signed integers and bool
  std::uint64_t (*u)(std::uint64_t) = nullptr;  // unsigned; null: i is used
  std::complex<double> (*c)(std::complex<double>) = nullptr;
};
struct BinaryFns {
  double (*f)(double, double) = nullptr;
  std::int64_t (*i)(std::int64_t, std::int64_t) = nullptr;
  std::uint64_t (*u)(std::uint64_t, std::uint64_t) = nullptr;
  std::complex<double> (*c)(std::complex<double>, std::complex<double>) = nullptr;
};
/// Output 0 of out_dtype() from input 0 (and 1, broadcast). Integer results wrap into the dtype.
Status EvalUnary(EvalContext& ctx, const UnaryFns& fns);
Status EvalBinary(EvalContext& ctx, const BinaryFns& fns);

/// For each element of the row-major output `dims`, the flat index into an input of `in_dims` broadcast to it.
std::vector<std::int64_t> BroadcastIndices(std::span<const std::int64_t> in_dims, std::span<const std::int64_t> dims);
std::vector<std::int64_t> Strides(std::span<const std::int64_t> dims);  // row-major, in elements
/// Calls f(index) for every multi-index of dims in row-major order.
void ForEachIndex(std::span<const std::int64_t> dims, const std::function<void(std::span<const std::int64_t>)>& f);
/// Copies elements: out[i] = in[indices[i]] (-1 gives zero), for any dtype, strings and 4-bit too.
Literal GatherElements(const Literal& in, std::vector<std::int64_t> dims, std::span<const std::int64_t> indices);

// Samples for elementwise ops: plain, empty, rank 0, and extremes (0, -0, tiny, large, inf, NaN; no gradient).
std::vector<Sample> UnarySamples(double low, double high, bool extremes = true);
// plain, broadcast in both directions, rank 0, empty, and an error sample of shapes that do not broadcast.
std::vector<Sample> BinarySamples(double low, double high, double low2, double high2);

}  // namespace tenon::ir::ops
