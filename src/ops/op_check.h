// For tests: every sample of an op evaluated, inferred with numbers, symbols and unknown rank, lowered, and its
// gradients of first and second order compared with finite differences in f64.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/eval.h"
#include "ir/op_def.h"

namespace tenon::ir::ops {

/// The results of one op on literals; throws what it reports.
std::vector<Literal> Eval(std::string_view op, const std::vector<std::optional<Literal>>& inputs, Attrs attrs = {});
/// d loss / d input against central differences for a weighted sum of the float outputs, then the same for a weighted
/// sum of those gradients, `orders` times. `where` names the case in messages.
void CheckGradient(const OpDef& op, const Sample& sample, const std::string& where, int orders = 2);
/// All checks of one sample, of every sample of an op, of every op of a family (the stem of its file).
void CheckSample(const OpDef& op, const Sample& sample);
void CheckOp(std::string_view name);
void CheckFamily(std::string_view family);

}  // namespace tenon::ir::ops
