#include "ops/array_util.h"

namespace tenon::ir::ops {

bool KnownLess(const Dim& a, const Dim& b) {
  const Dim difference = a - b;
  return !difference.is_symbolic() && difference.value() < 0;
}

Shape FreshShape(const InferContext& ctx, std::size_t rank) {
  std::vector<Dim> dims;
  for (std::size_t i = 0; i < rank; ++i) dims.push_back(ctx.FreshDim());
  return Shape(std::move(dims));
}

Ex Vector(Builder& b, const std::vector<std::int64_t>& values) {
  return b(b.Constant(
      Literal::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, std::span<const std::int64_t>(values))));
}

Ex AtLeastF32(Ex x) {
  const bool narrow = x.b->ok() && (x.dtype() == DType::kF16 || x.dtype() == DType::kBF16);
  return narrow ? (*x.b)(x.b->Cast(x, DType::kF32)) : x;
}
Ex ShapeOf(Ex x) { return Op("shape_of", x); }

Ex CountAlong(Ex x, const std::vector<std::int64_t>& axes) {
  Builder& b = *x.b;
  if (b.ok() && b.ranked(x)) {
    Dim count = 1;
    for (const int axis : NormalAxes(axes, b.shape(x).rank(), true)) count = count * b.shape(x)[axis];
    if (!count.is_symbolic()) return b(b.Scalar(static_cast<double>(count.value()), x.dtype()));
  }
  Ex dims = ShapeOf(x);
  if (!axes.empty()) dims = Op("gather", dims, Vector(b, axes));
  return b(b.Cast(Op("reduce_prod", dims), x.dtype()));
}

Ex Zeros(Builder& b, DType dtype, Shape dims) {
  const Ex zero = b(b.Scalar(0, dtype));
  return dims.rank() == 0 ? zero : Op("broadcast_to", zero, {{"dims", std::move(dims)}});
}

Ex ExpandDims(Ex x, std::vector<std::int64_t> axes) {
  return axes.empty() ? x : Op("expand_dims", x, {{"axes", std::move(axes)}});
}
Ex Squeeze(Ex x, std::vector<std::int64_t> axes) {
  return axes.empty() ? x : Op("squeeze", x, {{"axes", std::move(axes)}});
}

std::vector<std::int64_t> Kept(std::vector<std::int64_t> dims, const std::vector<int>& axes) {
  for (const int axis : axes) dims[static_cast<std::size_t>(axis)] = 1;
  return dims;
}

std::vector<int> NormalAxes(const std::vector<std::int64_t>& axes, int rank, bool all) {
  std::vector<int> out;
  for (const std::int64_t axis : axes) out.push_back(NormalAxis(axis, rank));
  if (axes.empty() && all)
    for (int i = 0; i < rank; ++i) out.push_back(i);
  return out;
}

std::int64_t Product(std::span<const std::int64_t> dims) {
  std::int64_t n = 1;
  for (const std::int64_t d : dims) n *= d;
  return n;
}

Around SplitAt(std::span<const std::int64_t> dims, int axis) {
  const auto at = static_cast<std::size_t>(axis);
  return {Product(dims.first(at)), dims[at], Product(dims.subspan(at + 1))};
}

std::optional<std::vector<std::int64_t>> KnownInts(const InferContext& ctx, int i) {
  if (!ctx.has(i) || !ctx.value(i)) return std::nullopt;
  std::vector<std::int64_t> out;
  for (const Dim& d : *ctx.value(i)) {
    if (d.is_symbolic()) return std::nullopt;
    out.push_back(d.value());
  }
  return out;
}

}  // namespace tenon::ir::ops
