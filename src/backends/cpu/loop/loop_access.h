// Where the elements of an operand lie, seen from the index space of a loop.
#pragma once
#include <span>

#include "backends/cpu/loop/loop_build.h"

namespace tenon::cpu {

/// How the dims of a value stand in the space: at its end (broadcasting), or at its start (row values without ones).
enum class Frame : std::uint8_t { kRight, kLeft };

/// The access of an operand of `dims` used by an operation whose output dims are `user`, which stand in the space as
/// `frame` says. `level` is what the operand turns out to be.
LoopAccess MakeAccess(const LoopSpace& space, std::span<const std::int64_t> user, Frame frame,
                      std::span<const std::int64_t> dims, Level* level);

/// The split of a space without reductions that suits its operands best.
int ChooseSplit(const LoopSpace& space, std::span<const std::vector<std::int64_t>> operand_dims);

}  // namespace tenon::cpu
