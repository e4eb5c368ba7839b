// Random states: u64[2] {seed, counter} for the Philox ops, one counter value per draw.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "ir/variable.h"
#include "tenon/tensor.h"

namespace tenon::eager {

/// {seed, 0} when given, else the next state of the global generator. Under tracing the generator is a variable of the
/// traced function, so that each call draws anew. Any thread.
Tensor NextRandomState(std::optional<std::uint64_t> seed = {});
/// The same for a generator of one's own (a Dropout layer's): a u64[2] cell.
Tensor NextRandomState(const ir::VariablePtr& generator);

}  // namespace tenon::eager
