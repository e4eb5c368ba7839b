// The tensors of requests.
#pragma once
#include <memory>
#include <string_view>

#include "serve/core/byte_budget.h"
#include "tenon/types.h"

namespace tenon::serve::rpc {

/// The value of a TensorProto. Large content is viewed in place: `owner` keeps it alive. A few bytes may say that one
/// value fills a large tensor: what takes a MiB more than its bytes is counted by `budget` (may be null) while the
/// literal lives, and repeated texts take at most 16 MiB. kResourceExhausted where the budget has no
/// room, else kInvalidArgument (savedmodel::LiteralOf).
Result<Literal> RequestTensor(std::string_view tensor, const std::shared_ptr<const void>& owner, ByteBudget* budget);

}  // namespace tenon::serve::rpc
