// Tensors of several requests joined along dim 0, and taken apart again.
#pragma once
#include <cstdint>
#include <exception>
#include <span>
#include <string_view>
#include <vector>

#include "tenon/types.h"

namespace tenon::serve {

/// The tensors one after the other, then `padding` copies of the first row of the last one. All have the same dtype and
/// rank >= 1. Dims beyond the first must agree; with `pad_variable` they are padded at their ends to the largest, each
/// tensor with its own first element (rank at most 6, and not far beyond the memory that they have: dims may be large
/// beside an empty one). kFailedPrecondition otherwise; `name` is for the message.
Result<Literal> JoinRows(std::span<const Literal* const> tensors, std::int64_t padding, bool pad_variable,
                         std::string_view name);

/// Rows [from, from + count).
Literal Rows(const Literal& tensor, std::int64_t from, std::int64_t count);

/// The same rows of each. kResourceExhausted when there is no memory for them.
Result<std::vector<Literal>> CutRows(std::span<const Literal> tensors, std::int64_t from, std::int64_t rows);
/// What is said then.
Status NoMemoryForRows(const std::exception& error);

/// What all inputs have as dim 0. kInvalidArgument for a scalar, for inputs that differ, and for none.
Result<std::int64_t> BatchRows(std::span<const Literal> inputs);

}  // namespace tenon::serve
