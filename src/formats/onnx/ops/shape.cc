// The same elements under other dims, or more of them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/run_time.h"

namespace tenon::onnx {
namespace {

// A dim list with one -1: what the other dims leave of `from`. Equal dims cancel, so that [batch, 3, 4] -> [batch, -1]
// gives 12 also for a batch of 0.
Result<Dim> Rest(NodeContext& n, const Shape& from, const std::vector<Dim>& to, std::size_t unknown) {
  std::vector<Dim> left = from.dims();
  Dim divisor = 1;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (i == unknown) continue;
    const auto same = std::find(left.begin(), left.end(), to[i]);
    if (same != left.end() && to[i] != Dim(1)) {
      left.erase(same);
    } else {
      divisor = divisor * to[i];
    }
  }
  const Dim total = Shape(left).size();
  if (divisor == Dim(1)) return total;
  if (!divisor.is_symbolic() && divisor.value() == 0) return n.Fail("-1 beside a dim of 0");
  if (!divisor.is_symbolic() && !total.is_symbolic() && total.value() % divisor.value() != 0)
    return n.Fail(fmt::format("{} elements do not fill {}", from.size().to_string(), Shape(to).to_string()));
  return Dim::floor_div(total, divisor);
}

// Replaces 0 by the input's dim there and -1 by what is left.
Result<std::vector<Dim>> ResolveDims(NodeContext& n, const Shape& from, std::vector<Dim> to, bool zero_copies) {
  std::optional<std::size_t> unknown;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const std::optional<std::int64_t> value = to[i].try_value();
    if (!value) continue;
    if (*value == 0 && zero_copies) {
      if (i >= from.dims().size()) return n.Fail(fmt::format("0 at {}, but the input has rank {}", i, from.rank()));
      to[i] = from[static_cast<int>(i)];
    } else if (*value == -1) {
      if (unknown) return n.Fail("more than one -1 in the shape");
      unknown = i;
    } else if (*value < 0) {
      return n.Fail(fmt::format("{} in the shape", *value));
    }
  }
  if (unknown) {
    TENON_ASSIGN_OR_RETURN(to[*unknown], Rest(n, from, to, *unknown));
  } else if (Dim::equal(from.size(), Shape(to).size()) == Truth::kNo) {
    return n.Fail(
        fmt::format("{} cannot become {}: the numbers of elements differ", from.to_string(), Shape(to).to_string()));
  }
  return to;
}

Status ReshapeOp(NodeContext& n) {
  const bool zero_copies = n.Int("allowzero", 0) == 0;
  std::optional<std::vector<Dim>> dims;
  if (n.opset < 5) {
    dims.emplace();
    for (const std::int64_t dim : n.IntList("shape")) dims->emplace_back(dim);
  } else {
    if (!n.has(1)) return n.Fail("the shape is left out");
    dims = n.Symbolic(n.in(1));
  }
  if (dims && n.b.ranked(n.in(0))) {
    TENON_ASSIGN_OR_RETURN(*dims, ResolveDims(n, n.b.shape(n.in(0)), *dims, zero_copies));
    n.Out(0, n.Reshape(n.in(0), *dims));
    return {};
  }
  if (n.opset < 5) return n.Unsupported("an input of unknown rank");
  Ex shape = n.ex(n.b.Cast(n.in(1), DType::kI64));
  if (zero_copies && n.b.ranked(n.in(0)) && n.b.ranked(n.in(1)) && !n.b.shape(n.in(1))[0].is_symbolic()) {
    const std::int64_t want = n.b.shape(n.in(1))[0].value(), rank = n.b.shape(n.in(0)).rank();
    Value own = n.ShapeValue(n.in(0));
    if (want < rank) own = n.SliceAxis(own, 0, 0, want);
    if (want > rank)
      own = n.Add("concat", {own, n.IntVector(Ints(static_cast<std::size_t>(want - rank), 1))},
                  {{"axis", std::int64_t{0}}});
    shape = Select(Op("equal", shape, n.Scalar(0, DType::kI64)), n.ex(own), shape);
  }
  n.Out(0, n.Add("reshape", {n.in(0), shape}));
  return {};
}

Status Flatten(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const std::int64_t axis = n.Int("axis", 1), rank = shape.rank();
  if (axis < -rank || axis > rank) return n.Fail(fmt::format("axis {} is outside of [{}, {}]", axis, -rank, rank));
  Dim before = 1, behind = 1;
  for (std::int64_t i = 0; i < rank; ++i) {
    Dim& side = i < (axis < 0 ? axis + rank : axis) ? before : behind;
    side = side * shape[static_cast<int>(i)];
  }
  n.Out(0, n.Reshape(n.in(0), {before, behind}));
  return {};
}

// Squeeze and Unsqueeze take their axes from an attribute before opset 13, from an input since.
Result<Ints> AxesOf(NodeContext& n) {
  if (n.opset < 13) return n.IntList("axes");
  if (!n.has(1)) return Ints();
  return n.NeedInts(1, "axes");
}

// The axes stand in an input and only the run knows them, but how many there are is known. A scalar is one axis.
bool HasRunTimeAxes(NodeContext& n) {
  return n.opset >= 13 && n.has(1) && !n.Const(1) && n.b.ranked(n.in(1)) && n.b.shape(n.in(1)).rank() <= 1 &&
         !n.b.shape(n.in(1)).size().is_symbolic();
}
Value AxisVector(NodeContext& n) { return n.Reshape(n.in(1), {n.b.shape(n.in(1)).size()}); }

Status SqueezeRunTimeAxes(NodeContext& n, const Shape& shape) {
  const Value given = AxisVector(n);
  TENON_RETURN_IF_ERROR(n.b.status());
  const std::int64_t left = shape.rank() - n.b.shape(given)[0].value();
  if (left < 0) return n.Fail(fmt::format("more axes than the rank {}", shape.rank()));
  const Ex kept = n.Reshape(n.Add("nonzero", {Op("logical_not", AxisMask(n, given, shape.rank()))}), {left});
  const Value dims = n.Add("gather", {n.ShapeValue(n.in(0)), kept}, {{"axis", std::int64_t{0}}});
  TENON_ASSIGN_OR_RETURN(std::vector<Dim> to, DimsOf(n, dims, "the dims that are left"));
  n.Out(0, n.Reshape(n.in(0), std::move(to)));
  return {};
}

Status UnsqueezeRunTimeAxes(NodeContext& n, const Shape& shape) {
  const Value given = AxisVector(n);
  TENON_RETURN_IF_ERROR(n.b.status());
  const int rank = shape.rank() + static_cast<int>(n.b.shape(given)[0].value());
  const Ex one = n.Scalar(1, DType::kI64), mask = AxisMask(n, given, rank);
  // Axis i of the result that is not new is the axis whose number is the count of such axes before it.
  const Ex old = Select(mask, n.Scalar(0, DType::kI64), one);
  const Ex from = n.Apply("cumsum", {old}, {{"axis", std::int64_t{0}}, {"exclusive", true}});
  const Value dims = n.Add("concat", {n.ShapeValue(n.in(0)), n.IntVector({1})}, {{"axis", std::int64_t{0}}});
  const Ex wide = Select(mask, one, n.Apply("gather", {dims, from}, {{"axis", std::int64_t{0}}}));
  TENON_ASSIGN_OR_RETURN(std::vector<Dim> to, DimsOf(n, wide, "the dims with the new ones"));
  n.Out(0, n.Reshape(n.in(0), std::move(to)));
  return {};
}

Status Squeeze(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  if (HasRunTimeAxes(n)) return SqueezeRunTimeAxes(n, shape);
  TENON_ASSIGN_OR_RETURN(const Ints given, AxesOf(n));
  TENON_ASSIGN_OR_RETURN(Ints axes, n.Axes(given, shape.rank()));
  if (n.opset < 13 ? !n.HasAttr("axes") : !n.has(1))
    for (int i = 0; i < shape.rank(); ++i)
      if (shape[i] == Dim(1)) axes.push_back(i);
  std::vector<Dim> dims;
  for (int i = 0; i < shape.rank(); ++i) {
    const bool dropped = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!dropped) dims.push_back(shape[i]);
    if (dropped && Dim::equal(shape[i], 1) == Truth::kNo)
      return n.Fail(fmt::format("axis {} has {} elements, expected 1", i, shape[i].to_string()));
  }
  n.Out(0, n.Reshape(n.in(0), std::move(dims)));
  return {};
}

Status Unsqueeze(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  if (n.opset >= 13 && !n.has(1)) return n.Fail("the axes are left out");
  if (HasRunTimeAxes(n)) return UnsqueezeRunTimeAxes(n, shape);
  TENON_ASSIGN_OR_RETURN(const Ints given, AxesOf(n));
  const int rank = shape.rank() + static_cast<int>(given.size());
  TENON_ASSIGN_OR_RETURN(const Ints axes, n.Axes(given, rank));
  std::vector<Dim> dims;
  for (int i = 0, from = 0; i < rank; ++i)
    dims.push_back(std::find(axes.begin(), axes.end(), i) != axes.end() ? Dim(1) : shape[from++]);
  n.Out(0, n.Reshape(n.in(0), std::move(dims)));
  return {};
}

Status Transpose(NodeContext& n) {
  Ints permutation = n.IntList("perm");
  int rank = static_cast<int>(permutation.size());  // perm says it where nothing else does
  if (!n.HasAttr("perm") || !n.b.ok() || n.b.ranked(n.in(0))) {
    TENON_ASSIGN_OR_RETURN(rank, n.Rank(n.in(0)));
  }
  if (!n.HasAttr("perm"))
    for (int i = rank; i-- > 0;) permutation.push_back(i);
  if (static_cast<int>(permutation.size()) != rank)
    return n.Fail(fmt::format("perm has {} entries for rank {}", permutation.size(), rank));
  TENON_ASSIGN_OR_RETURN(permutation, n.Axes(permutation, rank));
  n.Out(0, n.Transpose(n.in(0), std::move(permutation)));
  return {};
}

Status ShapeOp(NodeContext& n) {
  Value shape = n.ShapeValue(n.in(0));
  if (n.opset >= 15 && (n.HasAttr("start") || n.HasAttr("end"))) {
    TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
    const auto clamp = [&](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + rank : i, 0, rank); };
    const std::int64_t start = clamp(n.Int("start", 0)), end = clamp(n.Int("end", rank));
    shape = n.SliceAxis(shape, 0, start, std::max(start, end));
  }
  n.Out(0, shape);
  return {};
}

Status Size(NodeContext& n) {
  n.Out(0, n.Reduce("reduce_prod", n.ShapeValue(n.in(0)), {0}, false));
  return {};
}

// Expand broadcasts both ways: a 1 in the shape keeps the input's dim.
Status Expand(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape from, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const std::vector<Dim> to, DimsOf(n, n.in(1), "the shape"));
  const std::size_t rank = std::max(from.dims().size(), to.size());
  std::vector<Dim> dims(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const Dim a = i < from.dims().size() ? from.dims()[from.dims().size() - 1 - i] : Dim(1);
    const Dim b = i < to.size() ? to[to.size() - 1 - i] : Dim(1);
    if (Dim::equal(a, b) == Truth::kNo && !a.is_symbolic() && !b.is_symbolic() && a != Dim(1) && b != Dim(1))
      return n.Fail(fmt::format("{} cannot be expanded to {}", from.to_string(), Shape(to).to_string()));
    dims[rank - 1 - i] = Dim::broadcast(a, b);
  }
  n.Out(0, n.Broadcast(n.in(0), std::move(dims)));
  return {};
}

Status Concat(NodeContext& n) {
  if (n.opset >= 4 && !n.HasAttr("axis")) return n.Fail("the attribute \"axis\" is missing");
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 1), rank));
  n.Out(0, n.Add("concat", n.inputs(), {{"axis", std::int64_t{axis}}}));
  return {};
}

Status Split(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), shape.rank()));
  const Dim whole = shape[axis];
  std::vector<Dim> sizes;
  if (n.has(1)) {
    TENON_ASSIGN_OR_RETURN(sizes, DimsOf(n, n.in(1), "the sizes of the parts"));
  } else if (n.HasAttr("split")) {
    for (const std::int64_t size : n.IntList("split")) sizes.emplace_back(size);
  } else {
    // Equal parts; the last is smaller when they do not come out even.
    const std::int64_t count = n.Int("num_outputs", n.num_outputs());
    if (count < 1 || count != n.num_outputs())
      return n.Fail(fmt::format("{} parts for {} outputs", count, n.num_outputs()));
    if (whole.is_symbolic() && count > 1) {
      const Dim part = n.opset < 18 ? Dim::floor_div(whole, count) : Dim::ceil_div(whole, count);
      sizes.assign(static_cast<std::size_t>(count), part);
      sizes.back() = whole - part * (count - 1);
    } else if (whole.is_symbolic()) {
      sizes = {whole};
    } else {
      const std::int64_t part = (whole.value() + count - 1) / count;
      if (n.opset < 18 && whole.value() % count != 0)
        return n.Fail(fmt::format("{} elements do not split into {} equal parts", whole.value(), count));
      for (std::int64_t i = 0, left = whole.value(); i < count; ++i, left -= sizes.back().value())
        sizes.emplace_back(std::max<std::int64_t>(std::min(part, left), 0));
    }
  }
  Dim sum = 0;
  for (const Dim& size : sizes) {
    if (size.try_value().value_or(0) < 0) return n.Fail(fmt::format("a part of {}", size.to_string()));
    sum = sum + size;
  }
  if (static_cast<int>(sizes.size()) != n.num_outputs())
    return n.Fail(fmt::format("{} parts for {} outputs", sizes.size(), n.num_outputs()));
  if (Dim::equal(sum, whole) == Truth::kNo)
    return n.Fail(fmt::format("the parts add up to {}, expected {}", sum.to_string(), whole.to_string()));
  const std::vector<Value> parts =
      n.b.AddAll("split", {n.in(0)}, {{"axis", std::int64_t{axis}}, {"sizes", Shape(std::move(sizes))}});
  for (std::size_t i = 0; i < parts.size(); ++i) n.Out(static_cast<int>(i), parts[i]);
  return {};
}

// A number that stands in the file, which opset 1 writes in the type of the data.
Result<std::int64_t> NeedWhole(NodeContext& n, int i, std::string_view what) {
  if (!n.has(i)) return n.Fail(fmt::format("{} is missing", what));
  const std::optional<Literal> value = n.Const(i);
  if (!value) return n.Unsupported(fmt::format("{} that only the run knows", what));
  if (value->size() != 1) return n.Fail(fmt::format("{} of {} elements", what, value->size()));
  const double number = value->at(0);
  if (!(std::abs(number) <= 1e9) || number != std::floor(number)) return n.Fail(fmt::format("{} is {}", what, number));
  return static_cast<std::int64_t>(number);
}
Status Tile(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if (n.opset < 6) {  // input, how many, along which axis
    TENON_ASSIGN_OR_RETURN(const std::int64_t count, NeedWhole(n, 1, "tiles"));
    TENON_ASSIGN_OR_RETURN(const std::int64_t wanted, NeedWhole(n, 2, "axis"));
    TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(wanted, rank));
    if (count < 0) return n.Fail(fmt::format("tiles: got {}, expected 0 or more", count));
    std::vector<Dim> repeats(static_cast<std::size_t>(rank), Dim(1));
    repeats[static_cast<std::size_t>(axis)] = count;
    n.Out(0, n.Add("tile", {n.in(0)}, {{"repeats", Shape(repeats)}}));
    return {};
  }
  if (n.has(2)) return n.Fail("got 3 inputs, expected 2");
  TENON_ASSIGN_OR_RETURN(const std::vector<Dim> repeats, DimsOf(n, n.in(1), "repeats"));
  if (static_cast<int>(repeats.size()) != rank)
    return n.Fail(fmt::format("{} repeats for rank {}", repeats.size(), rank));
  n.Out(0, n.Add("tile", {n.in(0)}, {{"repeats", Shape(repeats)}}));
  return {};
}

// [N, C, H, W] with blocks of b x b.
Status DepthToSpace(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape s, n.ShapeOf(n.in(0)));
  const std::int64_t block = n.Int("blocksize", 0);
  if (s.rank() != 4 || block < 1) return n.Fail(fmt::format("got {} and blocksize {}", s.to_string(), block));
  const Dim area = block * block;
  const std::string mode = n.String("mode", "DCR");
  if (n.row.ours == "space") {
    const Dim h = Dim::floor_div(s[2], block), w = Dim::floor_div(s[3], block);
    const Ex cut = n.Reshape(n.in(0), {s[0], s[1], h, block, w, block});
    n.Out(0, n.Reshape(n.Transpose(cut, {0, 3, 5, 1, 2, 4}), {s[0], s[1] * area, h, w}));
    return {};
  }
  const Dim c = Dim::floor_div(s[1], area);
  const bool dcr = mode == "DCR";
  if (!dcr && mode != "CRD") return n.Fail(fmt::format("mode is \"{}\"", mode));
  const Ex cut = dcr ? n.Reshape(n.in(0), {s[0], block, block, c, s[2], s[3]})
                     : n.Reshape(n.in(0), {s[0], c, block, block, s[2], s[3]});
  const Ex moved = n.Transpose(cut, dcr ? Ints{0, 3, 4, 1, 5, 2} : Ints{0, 1, 4, 2, 5, 3});
  n.Out(0, n.Reshape(moved, {s[0], c, s[2] * block, s[3] * block}));
  return {};
}

const OpRow kRows[] = {
    {"Reshape", 1, 2, 1, "allowzero:i shape:is", ReshapeOp},
    {"Flatten", 1, 1, 1, "axis:i", Flatten},
    {"Squeeze", 1, 2, 1, "axes:is", Squeeze},
    {"Unsqueeze", 1, 2, 1, "axes:is", Unsqueeze},
    {"Transpose", 1, 1, 1, "perm:is", Transpose},
    {"Shape", 1, 1, 1, "start:i end:i", ShapeOp},
    {"Size", 1, 1, 1, "", Size},
    {"Expand", 2, 2, 1, "", Expand},
    {"Concat", 1, -1, 1, "axis:i", Concat},
    {"Split", 1, 2, -1, "axis:i split:is num_outputs:i", Split},
    {"Tile", 2, 3, 1, "", Tile},
    {"DepthToSpace", 1, 1, 1, "blocksize:i mode:s", DepthToSpace, "depth"},
    {"SpaceToDepth", 1, 1, 1, "blocksize:i mode:s", DepthToSpace, "space"},
};

}  // namespace
const std::span<const OpRow> kShapeRows = kRows;
}  // namespace tenon::onnx
