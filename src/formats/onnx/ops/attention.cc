// Attention and rotary embedding (opset 23).
#include "formats/onnx/ops/attention.h"

#include <fmt/format.h>

#include <cmath>
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

Ex RepeatHeads(NodeContext& n, Ex v, std::int64_t groups) {
  if (groups == 1 || !n.b.ok()) return v;
  const Shape s = n.b.shape(v);
  const Ex wide = n.Broadcast(n.Reshape(v, {s[0], s[1], 1, s[2], s[3]}), {s[0], s[1], groups, s[2], s[3]});
  return n.Reshape(wide, {s[0], s[1] * groups, s[2], s[3]});
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

Status Attention(NodeContext& n) {
  if (n.has(6) && (n.has(4) || n.has(5))) return n.Fail("nonpad_kv_seqlen beside past keys and values");
  TENON_ASSIGN_OR_RETURN(const Ex q, SplitHeads(n, n.in(0), n.Int("q_num_heads", 0)));
  TENON_ASSIGN_OR_RETURN(Ex k, SplitHeads(n, n.in(1), n.Int("kv_num_heads", 0)));
  TENON_ASSIGN_OR_RETURN(Ex v, SplitHeads(n, n.in(2), n.Int("kv_num_heads", 0)));
  TENON_RETURN_IF_ERROR(n.b.status());
  const DType dtype = n.dtype(0);
  Dim past = 0;
  if (n.has(4) && n.has(5)) {
    TENON_ASSIGN_OR_RETURN(const Shape old, n.ShapeOf(n.in(4)));
    if (old.rank() != 4) return n.Fail(fmt::format("past_key {}, expected rank 4", old.to_string()));
    past = old[2];
    k = n.Apply("concat", {n.in(4), k}, {{"axis", std::int64_t{2}}});
    v = n.Apply("concat", {n.in(5), v}, {{"axis", std::int64_t{2}}});
  }
  if (n.wants(1)) n.Out(1, k);
  if (n.wants(2)) n.Out(2, v);
  TENON_RETURN_IF_ERROR(n.b.status());
  const Shape qs = n.b.shape(q), ks = n.b.shape(k);
  if (qs[1].is_symbolic() || ks[1].is_symbolic() || ks[1].value() < 1 || qs[1].value() % ks[1].value() != 0)
    return n.Fail(fmt::format("{} query heads for {} key heads", qs[1].to_string(), ks[1].to_string()));
  const std::int64_t groups = qs[1].value() / ks[1].value();
  if (!n.HasAttr("scale") && qs[3].is_symbolic()) return n.Unsupported("heads of unknown size without a scale");
  const double scale =
      std::sqrt(n.HasAttr("scale") ? n.Float("scale", 1) : 1 / std::sqrt(static_cast<double>(qs[3].value())));
  DType inner = dtype;
  if (n.HasAttr("softmax_precision")) {
    TENON_ASSIGN_OR_RETURN(inner, ToDType(static_cast<DataTypeNumber>(n.Int("softmax_precision", 1))));
  }
  Ex scores = n.Apply("matmul", {q * scale, RepeatHeads(n, k, groups) * scale}, {{"transpose_y", true}});
  const std::int64_t mode = n.Int("qk_matmul_output_mode", 0);
  if (mode == 0 && n.wants(3)) n.Out(3, scores);
  // Before the mask: afterwards it would make -inf finite.
  if (const double cap = n.Float("softcap", 0); cap > 0) scores = Op("tanh", scores / cap) * cap;
  if (mode == 1 && n.wants(3)) n.Out(3, scores);
  const auto low = [&] { return n.Scalar(-std::numeric_limits<double>::infinity(), dtype); };
  // How many keys of each sequence are no padding, [B, 1, 1, 1].
  const auto valid = [&] { return n.Reshape(n.b.Cast(n.in(6), DType::kI64), {qs[0], 1, 1, 1}); };
  if (n.Int("is_causal", 0) != 0) {
    const Ex row = n.Reshape(n.Iota(qs[2], DType::kI64), {qs[2], 1}), column = n.Iota(ks[2], DType::kI64);
    Ex last = row;
    if (n.has(6)) {  // the last query is at the last key of its sequence
      const Ex rows = n.Reshape(n.SliceAxis(n.ShapeValue(q), 0, 2, 3), {});
      last = row + (valid() - rows);
    } else if (n.has(4) && past.is_symbolic()) {
      last = row + n.Reshape(n.SliceAxis(n.ShapeValue(n.in(4)), 0, 2, 3), {});
    } else if (!past.is_symbolic()) {
      last = row + static_cast<double>(past.value());
    }
    scores = Select(Op("less_equal", column, last), scores, low());
  }
  if (n.has(3)) {
    TENON_ASSIGN_OR_RETURN(const Shape mask, n.ShapeOf(n.in(3)));
    Value m = n.in(3);
    if (mask.rank() > 0 && Dim::equal(mask[-1], ks[2]) != Truth::kYes && mask[-1] != Dim(1)) {
      // A mask may be shorter than the keys (opset 24): what it does not reach is masked.
      if (!mask[-1].is_symbolic() && !ks[2].is_symbolic() && mask[-1].value() < ks[2].value()) {
        std::vector<Dim> none(mask.dims().size(), Dim(0)), high = none;
        high.back() = ks[2] - mask[-1];
        if (n.dtype(m) == DType::kBool) {
          m = n.b.Cast(n.Add("pad", {n.b.Cast(m, DType::kI32)}, {{"low", Shape(none)}, {"high", Shape(high)}}),
                       DType::kBool);
        } else {
          m = n.Add("pad", {m},
                    {{"low", Shape(none)}, {"high", Shape(high)}, {"value", -std::numeric_limits<double>::infinity()}});
        }
      }
    }
    scores = n.dtype(m) == DType::kBool ? Select(n.ex(m), scores, low()) : scores + n.ex(n.b.Cast(m, dtype));
  }
  if (n.has(6)) scores = Select(Op("less", n.Iota(ks[2], DType::kI64), valid()), scores, low());
  if (mode == 2 && n.wants(3)) n.Out(3, scores);
  Ex weights = n.ex(n.b.Cast(n.Add("softmax", {n.b.Cast(scores, inner)}, {{"axis", std::int64_t{-1}}}), dtype));
  if (n.has(6)) {  // a query that sees no key gives 0
    const Ex most = n.Reduce("reduce_max", scores, {-1}, true);
    weights = Select(Op("greater", most, low()), weights, n.Scalar(0, dtype));
  }
  if (mode == 3 && n.wants(3)) n.Out(3, weights);
  Ex y = n.Apply("matmul", {weights, RepeatHeads(n, v, groups)});
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if (rank == 3) {
    TENON_RETURN_IF_ERROR(n.b.status());
    const Shape s = n.b.shape(y);
    y = n.Reshape(n.Transpose(y, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
  }
  n.Out(0, y);
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
