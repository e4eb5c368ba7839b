// Shapes and what is made of them: Shape, Reshape, Squeeze, Pack, Concat, Fill, Range, Tile.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

Dim Product(const std::vector<Dim>& dims) {
  Dim out = 1;
  for (const Dim& dim : dims) out = out * dim;
  return out;
}

/// product(total) / product(divisor), with equal factors cancelled first: [b, 7, 8] over [b] is 56, also when b is 0.
Dim Quotient(std::vector<Dim> total, std::vector<Dim> divisor) {
  for (auto it = divisor.begin(); it != divisor.end();) {
    const auto same = std::find(total.begin(), total.end(), *it);
    if (same == total.end()) {
      ++it;
      continue;
    }
    total.erase(same);
    it = divisor.erase(it);
  }
  const Dim below = Product(divisor);
  if (below == Dim(1)) return Product(total);
  if (!below.is_symbolic() && below.value() > 0) {
    // A number that divides the numeric factors leaves the symbols alone.
    std::int64_t number = 1;
    std::vector<Dim> symbols;
    for (const Dim& dim : total)
      if (dim.is_symbolic() || __builtin_mul_overflow(number, dim.value(), &number)) symbols.push_back(dim);
    if (number % below.value() == 0) return Product(symbols) * (number / below.value());
  }
  if (!below.is_symbolic() && below.value() == 0) return 0;
  return Dim::floor_div(Product(total), below);
}

Status ShapeOf(OpContext& c) {
  const DType dtype = c.Type("out_type").value_or(DType::kI32);
  for (int i = 0; i < c.size(); ++i) c.Set(i, c.b.Add("shape_of", {c.in(i)}, {{"dtype", dtype}}));
  return {};
}

Status Size(OpContext& c) {
  const DType dtype = c.Type("out_type").value_or(DType::kI32);
  const Value x = c.in(0);
  const Value shape = c.b.Add("shape_of", {x}, {{"dtype", dtype}});
  c.Set(c.b.Add("reduce_prod", {shape}, {{"axes", std::vector<std::int64_t>{0}}}));
  if (c.b.ok() && c.b.ranked(x)) c.SetDims(0, {c.shape(x).size()});
  return {};
}

Status Rank(OpContext& c) {
  const int rank = c.rank(c.in(0));
  c.Set(c.b.Constant(Literal::scalar<std::int32_t>(rank)));
  return {};
}

/// The dims of a reshape with -1 resolved; nullopt when they are not known now.
std::optional<std::vector<Dim>> Resolved(OpContext& c, Value x, std::vector<Dim> dims) {
  int hole = -1;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] != Dim(-1)) continue;
    if (hole >= 0) return std::nullopt;
    hole = static_cast<int>(d);
  }
  if (hole < 0) return dims;
  if (!c.b.ranked(x)) return std::nullopt;
  const auto at = dims.begin() + hole;
  std::vector<Dim> others(dims.begin(), at);
  others.insert(others.end(), at + 1, dims.end());
  *at = Quotient(c.shape(x).dims(), others);
  return dims;
}

Status Reshape(OpContext& c) {
  const Value x = c.in(0);
  const std::optional<std::vector<Dim>> wanted = c.dims(1);
  const std::optional<std::vector<Dim>> symbolic = c.dims(0);
  if (!c.b.ok()) return {};
  std::optional<std::vector<Dim>> dims;
  if (wanted) dims = Resolved(c, x, *wanted);
  if (dims)
    c.Set(c.b.Reshape(x, Shape(*dims)));
  else
    c.Set(c.b.Add("reshape", {x, c.b.Cast(c.in(1), DType::kI64)}));
  if (symbolic && c.b.ok()) c.SetDims(0, *symbolic);
  return {};
}

Status ExpandDims(OpContext& c) {
  const std::int64_t axis = c.integer(1);
  const auto symbolic = c.dims(0);
  c.Set(c.b.Add("expand_dims", {c.in(0)}, {{"axes", std::vector<std::int64_t>{axis}}}));
  if (symbolic && c.b.ok()) c.SetDims(0, *symbolic);
  return {};
}

Status Squeeze(OpContext& c) {
  const Value x = c.in(0);
  const auto symbolic = c.dims(0);
  std::vector<std::int64_t> axes = c.Ints(c.Attr("squeeze_dims") != nullptr ? "squeeze_dims" : "axis");
  if (axes.empty()) {
    const int rank = c.rank(x);
    for (int d = 0; d < rank; ++d) {
      if (c.shape(x)[d].is_symbolic()) return c.Unsupported("without axes, of a dim that is known only at run time");
      if (c.shape(x)[d] == Dim(1)) axes.push_back(d);
    }
    if (axes.empty()) {
      c.Set(c.b.Add("identity", {x}));
      return {};
    }
  }
  c.Set(c.b.Add("squeeze", {x}, {{"axes", axes}}));
  if (symbolic && c.b.ok()) c.SetDims(0, *symbolic);
  return {};
}

/// The elements of all inputs in a row, when they are known.
std::optional<std::vector<Dim>> Joined(OpContext& c, int begin, int end) {
  std::vector<Dim> out;
  for (int i = begin; i < end; ++i) {
    const auto dims = c.dims(i);
    if (!dims) return std::nullopt;
    out.insert(out.end(), dims->begin(), dims->end());
  }
  return out;
}

Status Pack(OpContext& c) {
  const std::int64_t axis = c.Int("axis", 0);
  std::vector<Value> parts;
  for (const Value x : c.ins(0))
    parts.push_back(c.b.Add("expand_dims", {x}, {{"axes", std::vector<std::int64_t>{axis}}}));
  c.Set(c.b.Add("concat", parts, {{"axis", axis}}));
  if (c.b.ok() && c.size() > 0 && c.b.ranked(c.in(0)) && c.shape(c.in(0)).rank() == 0)
    if (auto dims = Joined(c, 0, c.size()); dims) c.SetDims(0, *std::move(dims));
  return {};
}

Status Unpack(OpContext& c) {
  const Value x = c.in(0);
  const int rank = c.rank(x);
  if (rank < 0) return {};
  std::int64_t axis = c.Int("axis", 0);
  axis += axis < 0 ? rank : 0;
  const std::int64_t count = c.Int("num", 0);
  if (axis < 0 || axis >= rank || count < 0 || count > 65535) return c.Fail("its axis or number is out of range");
  const auto symbolic = c.dims(0);
  for (std::int64_t i = 0; i < count && c.b.ok(); ++i) {
    std::vector<Dim> starts(static_cast<std::size_t>(rank), Dim(0)), limits = c.shape(x).dims();
    starts[static_cast<std::size_t>(axis)] = i;
    limits[static_cast<std::size_t>(axis)] = i + 1;
    const Value part = c.b.Add("slice", {x}, {{"starts", Shape(starts)}, {"limits", Shape(limits)}});
    c.Set(static_cast<int>(i), c.b.Add("squeeze", {part}, {{"axes", std::vector<std::int64_t>{axis}}}));
    if (symbolic && rank == 1 && static_cast<std::size_t>(i) < symbolic->size() && c.b.ok())
      c.SetDims(static_cast<int>(i), {(*symbolic)[static_cast<std::size_t>(i)]});
  }
  return {};
}

Status Concat(OpContext& c) {
  const bool v2 = c.node.op == "ConcatV2";
  const int begin = v2 ? 0 : 1, end = v2 ? c.size() - 1 : c.size();
  const std::int64_t axis = c.integer(v2 ? c.size() - 1 : 0);
  if (end <= begin) return c.Fail("it has no values");
  const std::vector<Value> parts = c.ins(begin, end);
  if (!c.b.ok()) return {};
  c.Set(parts.size() == 1 ? parts[0] : c.b.Add("concat", parts, {{"axis", axis}}));
  if (c.b.ok() && c.b.ranked(parts[0]) && c.shape(parts[0]).rank() == 1)
    if (auto dims = Joined(c, begin, end); dims) c.SetDims(0, *std::move(dims));
  return {};
}

/// `value` broadcast to the shape that input `shape` holds.
Value Broadcast(OpContext& c, Value value, int shape) {
  const auto dims = c.dims(shape);
  if (dims) return c.b.Add("broadcast_to", {value}, {{"dims", Shape(*dims)}});
  return c.b.Add("broadcast_to", {value, c.b.Cast(c.in(shape), DType::kI64)});
}

Status Fill(OpContext& c) {
  const auto symbolic = c.dims(1);
  c.Set(Broadcast(c, c.in(1), 0));
  if (const auto dims = c.dims(0); c.b.ok() && symbolic && symbolic->size() == 1 && dims && dims->size() <= 1) {
    const Dim count = dims->empty() ? Dim(1) : (*dims)[0];
    if (!count.is_symbolic() && count.value() <= 64)
      c.SetDims(0, std::vector<Dim>(static_cast<std::size_t>(count.value()), (*symbolic)[0]));
  }
  return {};
}

Status BroadcastTo(OpContext& c) {
  c.Set(Broadcast(c, c.in(0), 1));
  return {};
}

/// The broadcast of two shapes given as vectors.
Status BroadcastArgs(OpContext& c) {
  const auto x = c.dims(0), y = c.dims(1);
  if (!x || !y) return c.Unsupported("of shapes that are known only at run time");
  std::vector<Dim> out;
  const std::size_t rank = std::max(x->size(), y->size());
  bool numbers = true;
  for (std::size_t d = 0; d < rank; ++d) {
    const Dim l = d + x->size() < rank ? Dim(1) : (*x)[d + x->size() - rank];
    const Dim r = d + y->size() < rank ? Dim(1) : (*y)[d + y->size() - rank];
    out.push_back(Dim::broadcast(l, r));
    numbers = numbers && !out.back().is_symbolic();
  }
  // Padded in front with ones, the larger of the two elements is the broadcast dim (0 beside 1 is 0).
  const Value a = c.in(0), b = c.in(1);
  if (x->size() == y->size()) {
    const Value one = c.b.Add("ones_like", {a});
    c.Set(c.b.Add("select", {c.b.Add("equal", {a, one}), b, a}));
  } else {
    std::vector<std::int64_t> values;
    for (const Dim& dim : out)
      if (numbers) values.push_back(dim.value());
    if (!numbers) return c.Unsupported("of shapes of different rank that are known only at run time");
    c.Set(c.b.Cast(c.b.Constant(Literal::from<std::int64_t>({static_cast<std::int64_t>(rank)}, values)), c.b.dtype(a)));
  }
  if (c.b.ok()) c.SetDims(0, std::move(out));
  return {};
}

Status Range(OpContext& c) {
  const Value start = c.in(0), limit = c.in(1), delta = c.in(2);
  if (!c.b.ok()) return {};
  const DType dtype = c.b.dtype(start);
  Dim count;
  if (is_integer(dtype)) {
    const auto first = c.dims(0), step = c.dims(2);
    // From 0 the limit is a size. With another start it may be negative, which is no dim.
    const bool from_zero = first && first->size() == 1 && (*first)[0] == Dim(0);
    const auto last = from_zero && step && step->size() == 1 && (*step)[0] == Dim(1) ? c.sizes(1) : c.dims(1);
    if (!first || !last || !step || first->size() != 1 || last->size() != 1 || step->size() != 1 ||
        (*step)[0].is_symbolic())
      return c.Unsupported("of bounds that are known only at run time");
    const std::int64_t by = (*step)[0].value();
    if (by == 0) return c.Fail("a step of 0");
    const Dim distance = by > 0 ? (*last)[0] - (*first)[0] : (*first)[0] - (*last)[0];
    count = Dim::ceil_div(distance, by > 0 ? by : -by);
    // From 0 by 1 to a dim: nothing to clamp, dims are never negative.
    if (!(by == 1 && (*first)[0] == Dim(0))) count = Dim::max(count, 0);
  } else {
    const Literal *first = c.constant(0), *last = c.constant(1), *step = c.constant(2);
    if (first == nullptr || last == nullptr || step == nullptr) return c.Unsupported("of bounds that are no constants");
    const double n = std::ceil((last->at(0) - first->at(0)) / step->at(0));
    if (!(n < 1e9)) return c.Fail("its bounds give no range");
    count = static_cast<std::int64_t>(std::max(n, 0.0));
  }
  Value out = c.b.Add("iota", {}, {{"dims", Shape{count}}, {"axis", std::int64_t{0}}, {"dtype", dtype}});
  const auto is = [&c](int i, double n) { return c.constant(i) != nullptr && c.constant(i)->at(0) == n; };
  if (!is(2, 1)) out = c.b.Add("multiply", {out, delta});
  if (!is(0, 0)) out = c.b.Add("add", {out, start});
  (void)limit;
  c.Set(out);
  return {};
}

Status Tile(OpContext& c) {
  const auto repeats = c.sizes(1);
  if (!repeats) return c.Unsupported("of repeats that are known only at run time");
  c.Set(c.b.Add("tile", {c.in(0)}, {{"repeats", Shape(*repeats)}}));
  return {};
}

constexpr Rule kRules[] = {
    {"Shape", ShapeOf},
    {"ShapeN", ShapeOf},
    {"Size", Size},
    {"Rank", Rank},
    {"Reshape", Reshape},
    {"ExpandDims", ExpandDims},
    {"Squeeze", Squeeze},
    {"Pack", Pack},
    {"Unpack", Unpack},
    {"Concat", Concat},
    {"ConcatV2", Concat},
    {"Fill", Fill},
    {"BroadcastTo", BroadcastTo},
    {"BroadcastArgs", BroadcastArgs},
    {"Range", Range},
    {"Tile", Tile},
};

}  // namespace

std::span<const Rule> ShapeRules() { return kRules; }

}  // namespace tenon::savedmodel
