// Distances between tensors, and what rounding explains.
#pragma once
#include "tenon/verify.h"

namespace tenon::verify {

/// The wide results of one value: as computed, and by the oracle.
struct Measured {
  const Literal* value;   // in the module's dtype
  const Literal* oracle;  // the same in float64; null when there is none (recorded outputs)
  /// The oracle's result when inputs and weights are off by a rounding error: what another implementation may differ
  /// by. Used where the other side has no oracle.
  const Literal* shaken = nullptr;
};
/// kInvalidArgument when dtypes or dims differ. NaN equals NaN, an infinity the same infinity; other non-finite pairs
/// differ infinitely.
Result<OutputDifference> Compare(const std::string& name, const Measured& expected, const Measured& got);

/// What rounding explains of a value whose float run and oracle are these: 16 times their distance, or times four units
/// of the last place of the largest element where that is more.
double RoundingBudget(const Literal& value, const Literal& oracle);

/// The worse of the two, element by element of the record.
void Merge(OutputDifference& into, const OutputDifference& other);

}  // namespace tenon::verify
