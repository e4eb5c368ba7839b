// Transpose, SpaceToBatch, DepthToSpace, MatrixBandPart.
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Ints = std::vector<std::int64_t>;

Status Transpose(OpContext& c) {
  c.Set(c.b.Transpose(c.in(0), c.ints(1)));
  return {};
}

/// Moves blocks of spatial positions into the batch: pads, then [b, h / p, p, w / q, q, c] -> [p, q, b, h / p, w / q,
/// c].
Status SpaceToBatch(OpContext& c) {
  Value x = c.in(0);
  const int rank = c.rank(x);
  const Ints blocks = c.ints(1);
  const auto pads = c.sizes(2);
  const int m = static_cast<int>(blocks.size());
  if (!c.b.ok()) return {};
  if (m < 1 || rank < m + 1 || !pads || pads->size() != 2 * blocks.size())
    return c.Fail("its block shape does not fit its rank");
  std::vector<Dim> low(static_cast<std::size_t>(rank), Dim(0)), high = low, split{c.shape(x)[0]};
  for (int d = 0; d < m; ++d) {
    if (blocks[static_cast<std::size_t>(d)] < 1) return c.Fail("a block below 1");
    low[static_cast<std::size_t>(d + 1)] = (*pads)[static_cast<std::size_t>(2 * d)];
    high[static_cast<std::size_t>(d + 1)] = (*pads)[static_cast<std::size_t>(2 * d + 1)];
  }
  x = c.b.Add("pad", {x}, {{"low", Shape(low)}, {"high", Shape(high)}});
  if (!c.b.ok()) return {};
  const Shape padded = c.shape(x);
  Ints order;
  std::vector<Dim> merged{c.shape(x)[0]};
  for (int d = 0; d < m; ++d) {
    const std::int64_t block = blocks[static_cast<std::size_t>(d)];
    split.push_back(Dim::floor_div(padded[d + 1], block));
    split.push_back(block);
    order.push_back(2 * d + 2);
    merged[0] = merged[0] * block;
    merged.push_back(Dim::floor_div(padded[d + 1], block));
  }
  order.push_back(0);
  for (int d = 0; d < m; ++d) order.push_back(2 * d + 1);
  for (int d = m + 1; d < rank; ++d) {
    split.push_back(padded[d]);
    merged.push_back(padded[d]);
    order.push_back(d + m);
  }
  x = c.b.Transpose(c.b.Reshape(x, Shape(split)), order);
  c.Set(c.b.Reshape(x, Shape(merged)));
  return {};
}

/// The reverse, cropped: [p q b, h, w, c] -> [p, q, b, h, w, c] -> [b, h, p, w, q, c] -> [b, h p, w q, c].
Status BatchToSpace(OpContext& c) {
  Value x = c.in(0);
  const int rank = c.rank(x);
  const Ints blocks = c.ints(1);
  const auto crops = c.sizes(2);
  const int m = static_cast<int>(blocks.size());
  if (!c.b.ok()) return {};
  if (m < 1 || rank < m + 1 || !crops || crops->size() != 2 * blocks.size())
    return c.Fail("its block shape does not fit its rank");
  const Shape shape = c.shape(x);
  std::int64_t product = 1;
  std::vector<Dim> split, merged, starts, limits;
  for (const std::int64_t block : blocks) {
    if (block < 1 || __builtin_mul_overflow(product, block, &product)) return c.Fail("a block below 1");
    split.push_back(block);
  }
  // The batch is a product with the blocks when a SpaceToBatch made it.
  const Dim batch = Dim::floor_div(shape[0], product);
  split.push_back(batch);
  for (int d = 1; d < rank; ++d) split.push_back(shape[d]);
  Ints order{m};
  merged.push_back(batch);
  starts.emplace_back(0);
  limits.push_back(batch);
  for (int d = 0; d < m; ++d) {
    order.push_back(m + 1 + d);
    order.push_back(d);
    const Dim size = shape[d + 1] * blocks[static_cast<std::size_t>(d)];
    merged.push_back(size);
    starts.emplace_back((*crops)[static_cast<std::size_t>(2 * d)]);
    limits.push_back(size - (*crops)[static_cast<std::size_t>(2 * d + 1)]);
  }
  for (int d = m + 1; d < rank; ++d) {
    order.push_back(d + m);
    merged.push_back(shape[d]);
    starts.emplace_back(0);
    limits.push_back(shape[d]);
  }
  x = c.b.Transpose(c.b.Reshape(x, Shape(split)), order);
  x = c.b.Reshape(x, Shape(merged));
  c.Set(c.b.Add("slice", {x}, {{"starts", Shape(starts)}, {"limits", Shape(limits)}}));
  return {};
}

Status DepthToSpace(OpContext& c) {
  const Value x = c.in(0);
  const std::int64_t block = c.Int("block_size", 2);
  if (c.rank(x) != 4 || block < 1) return c.Fail("expected rank 4 and a block above 0");
  if (c.String("data_format", "NHWC") != "NHWC") return c.Unsupported("data formats other than NHWC");
  const Shape s = c.shape(x);
  Value y;
  if (c.node.op == "DepthToSpace") {
    const Dim depth = Dim::floor_div(s[3], block * block);
    y = c.b.Reshape(x, Shape{s[0], s[1], s[2], block, block, depth});
    y = c.b.Reshape(c.b.Transpose(y, {0, 1, 3, 2, 4, 5}), Shape{s[0], s[1] * block, s[2] * block, depth});
  } else {
    const Dim h = Dim::floor_div(s[1], block), w = Dim::floor_div(s[2], block);
    y = c.b.Reshape(x, Shape{s[0], h, block, w, block, s[3]});
    y = c.b.Reshape(c.b.Transpose(y, {0, 1, 3, 2, 4, 5}), Shape{s[0], h, w, s[3] * (block * block)});
  }
  c.Set(y);
  return {};
}

/// Keeps the diagonals from -lower to upper of the last two axes; a negative bound keeps all on its side.
Status BandPart(OpContext& c) {
  const Value x = c.in(0);
  const int rank = c.rank(x);
  const std::int64_t lower = c.integer(1), upper = c.integer(2);
  if (!c.b.ok()) return {};
  if (rank < 2) return c.Fail("expected rank 2 or more");
  const Shape matrix{c.shape(x)[-2], c.shape(x)[-1]};
  const auto index = [&](std::int64_t axis) {
    return c.b.Add("iota", {}, {{"dims", matrix}, {"axis", axis}, {"dtype", DType::kI64}});
  };
  const Value offset = c.b.Add("subtract", {index(1), index(0)});  // column - row
  Value keep = c.b.Constant(Literal::scalar(true));
  if (lower >= 0) keep = c.b.Add("greater_equal", {offset, c.b.Scalar(static_cast<double>(-lower), DType::kI64)});
  if (upper >= 0) {
    const Value below = c.b.Add("less_equal", {offset, c.b.Scalar(static_cast<double>(upper), DType::kI64)});
    keep = lower >= 0 ? c.b.Add("logical_and", {keep, below}) : below;
  }
  Value zero = c.b.dtype(x) == DType::kBool ? c.b.Constant(Literal::scalar(false)) : c.b.Scalar(0, c.b.dtype(x));
  c.Set(c.b.Add("select", {keep, x, zero}));
  return {};
}

/// The inverse of a permutation that is known now.
Status InvertPermutation(OpContext& c) {
  const Ints order = c.ints(0);
  std::vector<std::int32_t> inverse(order.size(), -1);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] < 0 || static_cast<std::size_t>(order[i]) >= order.size())
      return c.Fail("its input is no permutation");
    inverse[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
  }
  c.Set(c.b.Cast(c.b.Constant(Literal::from<std::int32_t>({static_cast<std::int64_t>(inverse.size())}, inverse)),
                 c.Type("T").value_or(DType::kI32)));
  return {};
}

constexpr Rule kRules[] = {
    {"Transpose", Transpose},          {"SpaceToBatchND", SpaceToBatch},         {"BatchToSpaceND", BatchToSpace},
    {"DepthToSpace", DepthToSpace},    {"SpaceToDepth", DepthToSpace},           {"MatrixBandPart", BandPart},
    {"BatchMatrixBandPart", BandPart}, {"InvertPermutation", InvertPermutation},
};

}  // namespace

std::span<const Rule> RearrangeRules() { return kRules; }

}  // namespace tenon::savedmodel
