// Attention (opset 23; 25: windows) and rotary embedding.
#include "formats/onnx/ops/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "formats/onnx/data_type.h"
#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/run_time.h"

namespace tenon::onnx {
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

// The mask where windows are given: a query stands at p = i + the keys before it and sees those from p - left to
// p + right; -1, or more than any sequence is long: all on that side. q is [.., length, depth], its batch first.
Result<Value> Windowed(NodeContext& n, Value mask, const Shape& q, const Dim& total) {
  constexpr std::int64_t kLongest = std::int64_t{1} << 40;
  std::int64_t left = n.Int("left_window_size", -1), right = n.Int("right_window_size", -1);
  if (left < -1 || right < -1) return n.Fail(fmt::format("windows of {} and {}, expected -1 or more", left, right));
  if (left > kLongest) left = -1;
  if (right > kLongest) right = -1;
  if (left < 0 && right < 0) return mask;
  Ex place = n.Iota(q[-2], DType::kI64);
  if (n.has(4)) place = place + DimValue(n, n.in(4), 2);
  if (n.has(6)) {
    const Ex before = n.ex(n.b.Cast(n.in(6), DType::kI64)) - DimValue(n, n.in(0), q.rank() - 2);
    place = place + n.Reshape(before, {q[0], 1, 1});
  }
  const std::vector<Dim> column = n.has(6) ? std::vector<Dim>{q[0], 1, q[-2], 1} : std::vector<Dim>{q[-2], 1};
  place = n.Reshape(place, column);
  const Ex key = n.Iota(total, DType::kI64);
  Ex seen;
  if (left >= 0) seen = Op("greater_equal", key, place - static_cast<double>(left));
  if (right >= 0) {
    const Ex within = Op("less_equal", key, place + static_cast<double>(right));
    seen = left >= 0 ? Op("logical_and", seen, within) : within;
  }
  if (!mask.valid()) return seen.v;
  if (n.dtype(mask) == DType::kBool) return Op("logical_and", n.ex(mask), seen).v;
  return Select(seen, n.ex(mask), n.Scalar(-std::numeric_limits<double>::infinity(), n.dtype(mask))).v;
}

Status Attention(NodeContext& n) {
  if (n.has(6) && (n.has(4) || n.has(5))) return n.Fail("nonpad_kv_seqlen beside past keys and values");
  TENON_ASSIGN_OR_RETURN(const Shape q, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape k, n.ShapeOf(n.in(1)));
  if (q.rank() < 3 || k.rank() < 3)
    return n.Fail(fmt::format("Q {} and K {}, expected rank 3 or 4", q.to_string(), k.to_string()));
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
  TENON_ASSIGN_OR_RETURN(mask, Windowed(n, mask, q, total));
  const Value lengths = n.has(6) ? n.b.Cast(n.in(6), DType::kI64) : Value();
  const std::vector<Value> outputs =
      n.b.AddAll("attention", {n.in(0), n.in(1), n.in(2), mask, n.in(4), n.in(5), lengths}, std::move(attrs));
  for (std::size_t i = 0; i < outputs.size(); ++i) n.Out(static_cast<int>(i), outputs[i]);
  return {};
}

// Caches are [positions, D / 2], or [B, S, D / 2] without position_ids.
Status RotaryEmbedding(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  n.Out(0, n.Add("rotary_embedding", n.inputs(),
                 {{"interleaved", n.Int("interleaved", 0) != 0},
                  {"rotary_dim", n.Int("rotary_embedding_dim", 0)},
                  {"heads", rank == 3 ? n.Int("num_heads", 0) : 0}}));
  return {};
}

const OpRow kRows[] = {
    {"Attention", 3, 7, 4,
     "is_causal:i kv_num_heads:i left_window_size:i q_num_heads:i qk_matmul_output_mode:i right_window_size:i scale:f "
     "softcap:f softmax_precision:i",
     Attention},
    {"RotaryEmbedding", 3, 4, 1, "interleaved:i num_heads:i rotary_embedding_dim:i", RotaryEmbedding},
};

}  // namespace
const std::span<const OpRow> kAttentionRows = kRows;
}  // namespace tenon::onnx
