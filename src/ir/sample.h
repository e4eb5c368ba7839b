// Sample: one call of an op, from which the conformance harness makes all its checks.
#pragma once
#include <string>
#include <vector>

#include "ir/attr.h"
#include "tenon/types.h"

namespace tenon::ir {

/// Inputs are given in one dtype (f32 for a type variable that may be float) and cast by the harness to the others.
struct Sample {
  std::string name = {};                            // unique within the op: "basic", "empty", "large"
  std::vector<std::optional<Literal>> inputs = {};  // nullopt: an absent optional input
  Attrs attrs = {};
  std::string error =
      {};  // non-empty: the call must fail, with this constraint ("c1") or generic rule ("arity", "dtype", "attr")
  double tolerance = 0;   // relative, in f32, on top of the op's exactness class; 0: the class decides
  bool gradient = true;   // false: not differentiable here (a kink, a pole)
  bool only_f32 = false;  // values that lose their point in other dtypes (1e30 in f16)
};

/// Values for samples: pseudo-random but fixed, by dims and seed, uniform in [low, high).
Literal Random(std::vector<std::int64_t> dims, int seed = 0, double low = -2, double high = 2);
/// Distinct values (a shuffled ramp), for maxima without ties.
Literal Distinct(std::vector<std::int64_t> dims, int seed = 0);
Literal Values(std::vector<std::int64_t> dims, std::initializer_list<double> values);      // f32
Literal Ints(std::vector<std::int64_t> dims, std::initializer_list<std::int64_t> values);  // i64
Literal Bools(std::vector<std::int64_t> dims, std::initializer_list<bool> values);

}  // namespace tenon::ir
