// Decisions: results of discrete ops (argmax, top_k, round, comparisons, casts to integers …) of two models.
#pragma once
#include "verify/difference.h"
#include "verify/layers.h"

namespace tenon::verify {

/// `v` of expected and `other` of got, whose float runs gave `mine` and `theirs`, differ by `d`. Where `v` is decided
/// by a discrete op on floats, each element that differs is looked at: either decision holds within the rounding budget
/// of what it is taken on (a tie, counted in d.ties), or not. Ties alone are rounding; anything else is a bug, however
/// small the difference. Leaves `d` alone for other ops, for what follows from an earlier decision, and where a run
/// lacks the values.
void JudgeDecisions(OutputDifference& d, const Observed& expected, ir::Value v, const Literal& mine,
                    const Observed& got, ir::Value other, const Literal& theirs);

}  // namespace tenon::verify
