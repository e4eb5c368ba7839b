// Random numbers. With a seed (the attribute) the numbers are those of ONNX's reference evaluator: the Mersenne Twister
// under that seed, the same at each run. Without one they come from the module's state variable "random/state", which
// every run moves on; each operator draws a stream of its own. In a loop a stream starts anew at each step.
#include <fmt/format.h>

#include <cmath>

#include "formats/onnx/data_type.h"
#include "formats/onnx/ops/families.h"
#include "formats/onnx/translator.h"

namespace tenon::onnx {
namespace {

// Uniform in [0, 1), or standard normal.
Result<Ex> Draw(NodeContext& n, bool normal, const Shape& dims, DType dtype) {
  if (!is_float(dtype) || dtype_bits(dtype) < 16)
    return n.Fail(fmt::format("draws {}, expected a float type", dtype_name(dtype)));
  const Attribute* given = n.Find("seed");
  if (given != nullptr && (!given->floats.empty() || !given->ints.empty())) {
    const double seed =
        given->ints.empty() ? std::trunc(static_cast<double>(given->floats[0])) : static_cast<double>(given->ints[0]);
    if (!(seed >= 0 && seed < 4294967296.0)) return n.Fail(fmt::format("the seed is {}, expected 0 to 2^32 - 1", seed));
    return n.Apply(normal ? "seeded_normal" : "seeded_uniform", {},
                   {{"dims", dims}, {"dtype", dtype}, {"seed", static_cast<std::int64_t>(seed)}});
  }
  TENON_ASSIGN_OR_RETURN(const Value state, n.translator().RandomState(n.scope()));
  return n.Apply(normal ? "random_normal" : "random_uniform", {state}, {{"dims", dims}, {"dtype", dtype}});
}

Result<DType> TypeOf(NodeContext& n, DType otherwise) {
  if (!n.HasAttr("dtype") || n.Int("dtype", 0) == 0) return otherwise;
  const std::int64_t number = n.Int("dtype", 0);
  if (number < 0 || number > 1000) return n.Fail(fmt::format("dtype is {}, which is no type", number));
  return ToDType(static_cast<DataTypeNumber>(number));
}

Status DrawInto(NodeContext& n, const Shape& dims, DType dtype, bool normal) {
  TENON_ASSIGN_OR_RETURN(const Ex x, Draw(n, normal, dims, dtype));
  if (normal) {
    n.Out(0, x * n.Float("scale", 1) + n.Float("mean", 0));
    return {};
  }
  const double low = n.Float("low", 0), high = n.Float("high", 1);
  n.Out(0, low == 0 && high == 1 ? x : x * (high - low) + low);
  return {};
}
bool IsNormal(NodeContext& n) { return n.node.op_type.starts_with("RandomNormal"); }

Status OfShape(NodeContext& n) {
  if (!n.HasAttr("shape")) return n.Fail("the attribute \"shape\" is missing");
  std::vector<Dim> dims;
  for (const std::int64_t dim : n.IntList("shape")) {
    if (dim < 0) return n.Fail(fmt::format("a dim is {}", dim));
    dims.emplace_back(dim);
  }
  TENON_ASSIGN_OR_RETURN(const DType dtype, TypeOf(n, DType::kF32));
  return DrawInto(n, Shape(std::move(dims)), dtype, IsNormal(n));
}
Status Like(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape dims, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const DType dtype, TypeOf(n, n.dtype(0)));
  return DrawInto(n, dims, dtype, IsNormal(n));
}

// 1 with probability x. Seeded as NumPy's binomial(1, x) does: the rarer outcome where the draw is in the upper part.
Status Bernoulli(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape dims, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const DType dtype, TypeOf(n, n.dtype(0)));
  if (!is_float(n.dtype(0))) return n.Fail(fmt::format("got probabilities of type {}", dtype_name(n.dtype(0))));
  TENON_ASSIGN_OR_RETURN(const Ex u, Draw(n, false, dims, DType::kF64));
  const Ex p = n.ex(n.b.Cast(n.in(0), DType::kF64));
  Ex yes = Op("less", u, p);
  if (n.HasAttr("seed"))
    yes = Select(Op("less_equal", p, n.Scalar(0.5, DType::kF64)), Op("greater", u, 1.0 - p), Op("less_equal", u, p));
  n.Out(0, n.b.Cast(yes, dtype));
  return {};
}

// Rows of unnormalised log-probabilities [batch, classes]: as many classes as the draw is above the running sum.
Status Multinomial(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  if (shape.rank() != 2 || !is_float(n.dtype(0)))
    return n.Fail(fmt::format("got {}, expected floats [batch, classes]", n.b.type(n.in(0)).to_string()));
  const std::int64_t count = n.Int("sample_size", 1);
  if (count < 1) return n.Fail(fmt::format("sample_size is {}", count));
  TENON_ASSIGN_OR_RETURN(const DType dtype, TypeOf(n, DType::kI32));
  if (dtype != DType::kI32 && dtype != DType::kI64) return n.Fail(fmt::format("dtype is {}", dtype_name(dtype)));
  const Ex p = n.Apply("softmax", {n.b.Cast(n.in(0), DType::kF64)}, {{"axis", std::int64_t{1}}});
  const Ex sums = n.Reshape(n.Add("cumsum", {p}, {{"axis", std::int64_t{1}}}), {shape[0], 1, shape[1]});
  TENON_ASSIGN_OR_RETURN(const Ex u, Draw(n, false, Shape{shape[0], count, 1}, DType::kF64));
  const Ex above = n.Reduce("reduce_sum", n.b.Cast(Op("less_equal", sums, u), DType::kI64), {2}, false);
  const Ex last = n.ex(n.b.Cast(n.Add("squeeze", {n.SliceAxis(n.ShapeValue(n.in(0)), 0, 1, 2)}, {{"axes", Ints{0}}}),
                                DType::kI64)) -
                  1.0;
  n.Out(0, n.b.Cast(Op("minimum", above, last), dtype));
  return {};
}

// In training mode elements stay where the draw is at least the ratio, scaled by 1 / (1 - ratio).
Status Dropout(NodeContext& n) {
  const auto pass = [&] {
    n.Out(0, n.Add("identity", {n.in(0)}));
    if (n.wants(1)) {
      const Value ones = n.b.OnesLike(n.in(0));
      n.Out(1, n.opset < 10 ? ones : n.b.Cast(ones, DType::kBool));
    }
    return Status();
  };
  if (n.opset < 12 || !n.has(2)) return pass();
  const std::optional<Literal> mode = n.Const(2), ratio = n.Const(1);
  if (mode && (mode->size() != 1 || mode->at(0) == 0)) return pass();
  if (ratio && (ratio->size() != 1 || !(ratio->at(0) >= 0 && ratio->at(0) < 1)))
    return n.Fail(fmt::format("the ratio is {}, expected one in [0, 1)", ratio->to_string()));
  if (mode && ratio && ratio->at(0) == 0) return pass();
  const DType dtype = n.dtype(0);
  TENON_ASSIGN_OR_RETURN(const Shape dims, n.ShapeOf(n.in(0)));
  // Out of training the ratio is 0: everything stays and the scale is 1.
  Ex rate = n.has(1) ? n.Reshape(n.in(1), {}) : n.Scalar(0.5, DType::kF32);
  if (!mode) rate = Select(n.Reshape(n.in(2), {}), rate, n.Scalar(0, rate.dtype()));
  TENON_ASSIGN_OR_RETURN(const Ex u, Draw(n, false, dims, DType::kF64));
  const Ex stays = Op("greater_equal", u, n.ex(n.b.Cast(rate, DType::kF64)));
  const Ex scale = n.ex(n.b.Cast(1.0 / (1.0 - rate), dtype));
  n.Out(0, Select(stays, n.x(0) * scale, n.Scalar(0, dtype)));
  if (n.wants(1)) n.Out(1, stays);
  return {};
}

const OpRow kRows[] = {
    {"RandomUniform", 0, 0, 1, "dtype:i high:f low:f seed:f shape:is", OfShape},
    {"RandomNormal", 0, 0, 1, "dtype:i mean:f scale:f seed:f shape:is", OfShape},
    {"RandomUniformLike", 1, 1, 1, "dtype:i high:f low:f seed:f", Like},
    {"RandomNormalLike", 1, 1, 1, "dtype:i mean:f scale:f seed:f", Like},
    {"Bernoulli", 1, 1, 1, "dtype:i seed:f", Bernoulli},
    {"Multinomial", 1, 1, 1, "dtype:i sample_size:i seed:f", Multinomial},
    {"Dropout", 1, 3, 2, "ratio:f seed:i is_test:i", Dropout},
};

}  // namespace
const std::span<const OpRow> kRandomRows = kRows;
}  // namespace tenon::onnx
