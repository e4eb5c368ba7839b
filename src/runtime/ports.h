// What every implementation of CompiledFunction does to its inputs and outputs.
#pragma once
#include <vector>

#include "runtime/executable.h"

namespace tenon::runtime {

/// A rank-0 zero to fill vectors with: copying it allocates nothing.
const Literal& EmptyLiteral();
/// kInvalidArgument for an index out of range or used twice.
Status CheckDonations(const std::vector<Donation>& donations, std::size_t num_inputs, std::size_t num_outputs);
/// The storage may be written: allocated by us, held by nobody else, and not strings.
bool MayOverwrite(const Literal& literal, DType dtype, std::span<const std::int64_t> dims);

}  // namespace tenon::runtime
