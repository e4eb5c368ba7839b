// Attention and rotary embedding (opset 23).
#include "formats/onnx/ops/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "formats/onnx/data_type.h"
#include "formats/onnx/ops/families.h"

namespace tenon::onnx {
// [B, S, heads * D] -> [B, heads, S, D].
Result<Ex> SplitHeads(NodeContext& n, Value v, std::int64_t heads) {
  TENON_ASSIGN_OR_RETURN(const Shape s, n.ShapeOf(v));
  if (s.rank() == 4) return n.ex(v);
  if (s.rank() != 3 || heads < 1 || s[2].is_symbolic() || s[2].value() % heads != 0)
    return n.Fail(fmt::format("{} heads for {}", heads, s.to_string()));
  return n.Transpose(n.Reshape(v, {s[0], s[1], heads, s[2].value() / heads}), {0, 2, 1, 3});
}

Ex JoinHeads(NodeContext& n, Ex v) {
  if (!n.b.ok()) return v;
  const Shape s = n.b.shape(v);
  return n.Reshape(n.Transpose(v, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
}

Result<Ex> Rotate(NodeContext& n, Ex x, Ex cosine, Ex sine, std::int64_t part, bool interleaved) {
  TENON_RETURN_IF_ERROR(n.b.status());
  const Shape s = n.b.shape(x);
  if (s.rank() != 4 || s[3].is_symbolic()) return n.Fail(fmt::format("got {}", s.to_string()));
  const std::int64_t depth = s[3].value();
  if (part == 0) part = depth;
  if (part < 2 || part > depth || part % 2 != 0) return n.Fail(fmt::format("{} of {} features", part, depth));
  const Ex turned = part == depth ? x : n.SliceAxis(x, 3, 0, part);
  const auto join = [&](std::vector<Value> parts, int axis) {
    return n.Apply("concat", std::move(parts), {{"axis", std::int64_t{axis}}});
  };
  Ex out;
  if (interleaved) {
    const Ex pairs = n.Reshape(turned, {s[0], s[1], s[2], part / 2, 2});
    const Ex a = n.Reshape(n.SliceAxis(pairs, 4, 0, 1), {s[0], s[1], s[2], part / 2});
    const Ex b = n.Reshape(n.SliceAxis(pairs, 4, 1, 2), {s[0], s[1], s[2], part / 2});
    const auto column = [&](Ex v) { return n.Reshape(v, {s[0], s[1], s[2], part / 2, 1}); };
    out = n.Reshape(join({column(a * cosine - b * sine), column(a * sine + b * cosine)}, 4), {s[0], s[1], s[2], part});
  } else {
    const Ex a = n.SliceAxis(turned, 3, 0, part / 2), b = n.SliceAxis(turned, 3, part / 2, part);
    out = join({a * cosine - b * sine, a * sine + b * cosine}, 3);
  }
  return part == depth ? out : join({out, n.SliceAxis(x, 3, part, depth)}, 3);
}

namespace {

// A mask may be shorter than the keys (opset 24): what it does not reach is hidden.
Result<Value> Mask(NodeContext& n, const Dim& total) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(3)));
  const DType dtype = n.dtype(3);
  if (shape.rank() == 0 || shape[-1].is_symbolic() || total.is_symbolic() || shape[-1].value() >= total.value() ||
      shape[-1] == Dim(1))
    return dtype == DType::kBool ? n.in(3) : n.b.Cast(n.in(3), n.dtype(0));
  std::vector<Dim> none(shape.dims().size(), Dim(0)), high = none;
  high.back() = total - shape[-1];
  ir::Attrs attrs = {{"low", Shape(none)}, {"high", Shape(high)}};
  if (dtype == DType::kBool) return n.b.Cast(n.Add("pad", {n.b.Cast(n.in(3), DType::kI32)}, attrs), DType::kBool);
  attrs.Set("value", -std::numeric_limits<double>::infinity());
  return n.Add("pad", {n.b.Cast(n.in(3), n.dtype(0))}, attrs);
}

Status Attention(NodeContext& n) {
  if (n.has(6) && (n.has(4) || n.has(5))) return n.Fail("nonpad_kv_seqlen beside past keys and values");
  TENON_ASSIGN_OR_RETURN(const Shape q, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape k, n.ShapeOf(n.in(1)));
  if (k.rank() < 3) return n.Fail(fmt::format("K {}, expected rank 3 or 4", k.to_string()));
  Dim total = k[-2];
  if (n.has(4)) {
    TENON_ASSIGN_OR_RETURN(const Shape past, n.ShapeOf(n.in(4)));
    if (past.rank() != 4) return n.Fail(fmt::format("past_key {}, expected rank 4", past.to_string()));
    total = past[2] + total;
  }
  ir::Attrs attrs = {{"causal", n.Int("is_causal", 0) != 0}, {"softcap", std::max(n.Float("softcap", 0), 0.0)}};
  if (q.rank() == 3) {
    attrs.Set("q_heads", n.Int("q_num_heads", 0));
    attrs.Set("kv_heads", n.Int("kv_num_heads", 0));
  }
  if (n.HasAttr("scale")) attrs.Set("scale", n.Float("scale", 1));
  if (n.HasAttr("softmax_precision")) {
    TENON_ASSIGN_OR_RETURN(const DType inner, ToDType(static_cast<DataTypeNumber>(n.Int("softmax_precision", 1))));
    if (!is_float(inner)) return n.Fail("softmax_precision is no float");
    if (inner != n.dtype(0)) attrs.Set("softmax_dtype", inner);
  }
  const std::int64_t mode = n.Int("qk_matmul_output_mode", 0);
  if (mode < 0 || mode >= std::ssize(kAttentionScores))
    return n.Fail(fmt::format("qk_matmul_output_mode is {}, expected 0 to 3", mode));
  if (n.wants(3)) attrs.Set("scores", std::string(kAttentionScores[mode]));
  Value mask;
  if (n.has(3)) {
    TENON_ASSIGN_OR_RETURN(mask, Mask(n, total));
  }
  const Value lengths = n.has(6) ? n.b.Cast(n.in(6), DType::kI64) : Value();
  const std::vector<Value> outputs =
      n.b.AddAll("attention", {n.in(0), n.in(1), n.in(2), mask, n.in(4), n.in(5), lengths}, std::move(attrs));
  for (std::size_t i = 0; i < outputs.size(); ++i) n.Out(static_cast<int>(i), outputs[i]);
  return {};
}

// Pairs of features turned by an angle that grows with the position. Caches are [positions, D / 2], or [B, S, D / 2]
// without position_ids.
Status RotaryEmbedding(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape whole, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Ex x, SplitHeads(n, n.in(0), n.Int("num_heads", 0)));
  const auto table = [&](int i) {
    Ex t = n.x(i);
    if (n.has(3)) t = n.Apply("gather", {t, n.in(3)}, {{"axis", std::int64_t{0}}});
    return n.Apply("expand_dims", {t}, {{"axes", Ints{1}}});  // [B, 1, S, D / 2]
  };
  TENON_ASSIGN_OR_RETURN(
      const Ex out, Rotate(n, x, table(1), table(2), n.Int("rotary_embedding_dim", 0), n.Int("interleaved", 0) != 0));
  n.Out(0, whole.rank() == 3 ? n.Reshape(n.Transpose(out, {0, 2, 1, 3}), whole.dims()) : out);
  return {};
}

const OpRow kRows[] = {
    {"Attention", 3, 7, 4,
     "is_causal:i kv_num_heads:i q_num_heads:i qk_matmul_output_mode:i scale:f softcap:f softmax_precision:i",
     Attention},
    {"RotaryEmbedding", 3, 4, 1, "interleaved:i num_heads:i rotary_embedding_dim:i", RotaryEmbedding},
};

}  // namespace
const std::span<const OpRow> kAttentionRows = kRows;
}  // namespace tenon::onnx
