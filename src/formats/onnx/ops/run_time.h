// Parameters that only the run knows. What other models give as attributes or constants, a model may compute: sizes
// become dims through as_dims, axes become masks over the axes or a choice between branches.
#pragma once
#include <functional>

#include "formats/onnx/node_context.h"

namespace tenon::onnx {

/// The elements of a small vector of integers as dims: known ones, or those that as_dims makes (>= 0, checked by the
/// run). `what` names the vector in messages.
Result<std::vector<Dim>> DimsOf(NodeContext& n, Value v, std::string_view what);
/// The same for a scalar or a vector of one element.
Result<Dim> DimOf(NodeContext& n, Value v, std::string_view what);
/// i64 scalar: the only element.
Ex ScalarOf(NodeContext& n, Value v);
/// A dim as an i64 scalar.
Ex DimValue(NodeContext& n, Value x, int axis);

/// bool [rank]: the axes that stand in `axes` (any integers, negative ones count from the end).
Ex AxisMask(NodeContext& n, Value axes, int rank);
/// i64 [rank]: values[i] at axes[i], `otherwise` elsewhere. Both are vectors of one length.
Ex SpreadOverAxes(NodeContext& n, Value axes, Value values, int rank, double otherwise);
/// Element i of a vector, as a scalar.
Ex ElementOf(NodeContext& n, Value vector, int i);

/// One of `count` results by the i64 scalar `which` (beyond the ends: the last): nested conds whose bodies `make`
/// builds from the operands. All results have one rank and dtype.
Value Switch(NodeContext& n, Value which, int count, const std::vector<Value>& operands,
             const std::function<Value(ir::Builder& b, const std::vector<Value>& operands, int i)>& make);
/// Switch over the axes of a tensor; a negative axis counts from the end.
Value SwitchAxis(NodeContext& n, Value axis, int rank, const std::vector<Value>& operands,
                 const std::function<Value(ir::Builder& b, const std::vector<Value>& operands, int axis)>& make);

/// x[start : end : step] along an axis with NumPy's meaning of all three, i64 scalars.
Value SliceRange(NodeContext& n, Value x, int axis, Ex start, Ex end, Ex step);

}  // namespace tenon::onnx
