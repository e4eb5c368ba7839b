// What the records that read and add by index share.
#pragma once
#include "ops/array_util.h"

namespace tenon::ir::ops {

/// The message for an index outside [-count, count).
std::string RangeText(std::int64_t index, std::int64_t count);
/// c4: the updates, input 2, have the dims of what the reading op reads; nothing is known without `want`.
Status CheckUpdates(const InferContext& ctx, const std::optional<Shape>& want);
/// Output 0 is x with element i of the updates added at the flat index to[i].
Status AddAt(EvalContext& ctx, const std::vector<std::int64_t>& to);
/// The gradient of adding at indices: the cotangent for x, and what the op `read` reads of it for the updates.
Status GradScatter(GradContext& ctx, std::string_view read);

inline std::pair<std::string_view, Attr> Axis(std::int64_t axis) { return {"axis", axis}; }
constexpr Port Indices(std::string_view doc) {
  return {.name = "indices", .type = "I", .dtypes = kIndexSet, .flags = kNotDifferentiable | kWantsValue, .doc = doc};
}
inline constexpr Port kRead = {.name = "x", .dtypes = kAnySet, .flags = kWantsValue},
                      kReadOut = {.name = "y", .dtypes = kAnySet};

}  // namespace tenon::ir::ops
