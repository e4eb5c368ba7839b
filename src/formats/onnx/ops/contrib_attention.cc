// The attention family of com.microsoft.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/run_time.h"

namespace tenon::onnx {
namespace {

constexpr std::string_view kDomain = "com.microsoft";
constexpr DType kInt = DType::kI64;

Ex Wide(NodeContext& n, int i) { return n.ex(n.b.Cast(n.in(i), kInt)); }
Ex Count(NodeContext& n, Value v, int axis) { return n.Reshape(n.SliceAxis(n.ShapeValue(v), 0, axis, axis + 1), {}); }
Ex Join(NodeContext& n, Value a, Value b, int axis) {
  return n.Apply("concat", {a, b}, {{"axis", std::int64_t{axis}}});
}

// [B, S, heads * D] -> [B, heads, S, D]; a value of rank 4 is that already.
Result<Ex> SplitHeads(NodeContext& n, Value v, std::int64_t heads) {
  TENON_ASSIGN_OR_RETURN(const Shape s, n.ShapeOf(v));
  if (s.rank() == 4) return n.ex(v);
  if (s.rank() != 3 || heads < 1 || s[2].is_symbolic() || s[2].value() % heads != 0)
    return n.Fail(fmt::format("{} heads for {}", heads, s.to_string()));
  return n.Transpose(n.Reshape(v, {s[0], s[1], heads, s[2].value() / heads}), {0, 2, 1, 3});
}

// The reverse.
Ex JoinHeads(NodeContext& n, Ex v) {
  if (!n.b.ok()) return v;
  const Shape s = n.b.shape(v);
  return n.Reshape(n.Transpose(v, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
}

// What is added to the scores [B, H, S, T] for a mask of 0 (masked) and 1, or of lengths.
Result<Ex> MaskBias(NodeContext& n, int i, const Dim& total, DType dtype) {
  TENON_ASSIGN_OR_RETURN(const Shape s, n.ShapeOf(n.in(i)));
  const Ex low = n.Scalar(n.Float("mask_filter_value", -10000), dtype), zero = n.Scalar(0, dtype);
  const Ex mask = Wide(n, i);
  Ex keep;
  if (s.rank() == 1) {  // lengths
    keep = Op("less", n.Iota(total, kInt), n.Reshape(mask, {s[0], 1, 1, 1}));
  } else if (s.rank() == 2) {
    keep = Op("not_equal", n.Reshape(mask, {s[0], 1, 1, s[1]}), n.Scalar(0, kInt));
  } else if (s.rank() == 3) {
    keep = Op("not_equal", n.Reshape(mask, {s[0], 1, s[1], s[2]}), n.Scalar(0, kInt));
  } else {
    return n.Unsupported(fmt::format("a mask {}", s.to_string()));
  }
  return Select(keep, zero, low);
}

struct Scores {
  Ex q, k, v;           // [B, heads, S or T, D]; those of k and v may serve several of q
  Ex bias, bias2;       // added, when valid
  Ex allowed;           // bool, when valid
  bool causal = false;  // S and T are the same, and query i sees key j <= i
  double scale = 0;     // 0: 1 / sqrt(D)
  double cap = 0;
};
Ex Attend(NodeContext& n, const Scores& s) {
  Ex mask = s.bias;
  if (s.bias2.v.valid()) mask = mask.v.valid() ? mask + s.bias2 : s.bias2;
  if (s.allowed.v.valid()) {
    const auto hidden = [&] { return n.Scalar(-std::numeric_limits<double>::infinity(), mask.dtype()); };
    mask = mask.v.valid() ? Select(s.allowed, mask, hidden()) : s.allowed;
  }
  ir::Attrs attrs = {{"causal", s.causal}, {"softcap", std::max(s.cap, 0.0)}};
  if (s.scale != 0) attrs.Set("scale", s.scale);
  return n.Apply("attention", {s.q, s.k, s.v, mask}, std::move(attrs));
}

// Query i sees key j <= i + T - S.
void Causal(NodeContext& n, Scores* s) {
  if (!n.b.ok()) return;
  const Shape qs = n.b.shape(s->q), ks = n.b.shape(s->k);
  s->causal = Dim::equal(qs[2], ks[2]) == Truth::kYes;
  if (s->causal) return;
  const Ex shift = Count(n, s->k, 2) - Count(n, s->q, 2);
  s->allowed = Op("less_equal", n.Iota(ks[2], kInt), n.Reshape(n.Iota(qs[2], kInt), {qs[2], 1}) + shift);
}

// x W + b cut into queries, keys and values; past and present are [2, B, H, P, D].
Status Attention(NodeContext& n) {
  if (n.has(6)) return n.Unsupported("past_sequence_length");
  if (n.Int("do_rotary", 0) != 0 || n.Int("past_present_share_buffer", 0) != 0)
    return n.Unsupported("do_rotary or past_present_share_buffer");
  TENON_ASSIGN_OR_RETURN(const Shape weights, n.ShapeOf(n.in(1)));
  const std::int64_t heads = n.Int("num_heads", 0);
  if (weights.rank() != 2 || weights[1].is_symbolic()) return n.Unsupported("weights of unknown size");
  Ints sizes = n.IntList("qkv_hidden_sizes");
  if (sizes.empty()) sizes.assign(3, weights[1].value() / 3);
  if (sizes.size() != 3 || sizes[0] < 1 || sizes[2] < 1 || sizes[0] != sizes[1] ||
      sizes[0] + sizes[1] + sizes[2] != weights[1].value())
    return n.Fail(fmt::format("weights {} and qkv_hidden_sizes of {} entries", weights.to_string(), sizes.size()));
  Ex all = n.Apply("matmul", {n.in(0), n.in(1)});
  if (n.has(2)) all = all + n.x(2);
  Scores s;
  TENON_ASSIGN_OR_RETURN(s.q, SplitHeads(n, n.SliceAxis(all, 2, 0, sizes[0]), heads));
  TENON_ASSIGN_OR_RETURN(s.k, SplitHeads(n, n.SliceAxis(all, 2, sizes[0], sizes[0] + sizes[1]), heads));
  TENON_ASSIGN_OR_RETURN(s.v, SplitHeads(n, n.SliceAxis(all, 2, sizes[0] + sizes[1], weights[1]), heads));
  if (n.has(4)) {
    const auto old = [&](std::int64_t i) {
      return n.Apply("squeeze", {n.SliceAxis(n.in(4), 0, i, i + 1)}, {{"axes", Ints{0}}});
    };
    s.k = Join(n, old(0), s.k, 2);
    s.v = Join(n, old(1), s.v, 2);
  }
  TENON_RETURN_IF_ERROR(n.b.status());
  if (n.wants(1)) {
    const auto whole = [&](Ex x) { return n.Add("expand_dims", {x}, {{"axes", Ints{0}}}); };
    n.Out(1, Join(n, whole(s.k), whole(s.v), 0));
  }
  if (n.has(3)) {
    TENON_ASSIGN_OR_RETURN(s.bias, MaskBias(n, 3, n.b.shape(s.k)[2], n.dtype(0)));
  }
  if (n.has(5)) s.bias2 = n.x(5);
  if (n.Int("unidirectional", 0) != 0) Causal(n, &s);
  s.scale = n.Float("scale", 0);
  n.Out(0, JoinHeads(n, Attend(n, s)));
  return {};
}

// query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value.
Status MultiHeadAttention(NodeContext& n) {
  const std::int64_t heads = n.Int("num_heads", 0);
  TENON_ASSIGN_OR_RETURN(const Shape query, n.ShapeOf(n.in(0)));
  if (n.num_inputs() > 8) return n.Unsupported("past_sequence_length or cache_indirection");
  // Packed: [B, S, heads, 3, D] for all three, [B, T, heads, 2, D] for keys and values.
  const auto part = [&](int i, std::int64_t k) {
    return n.Transpose(n.Add("squeeze", {n.SliceAxis(n.in(i), 3, k, k + 1)}, {{"axes", Ints{3}}}), {0, 2, 1, 3});
  };
  Ex q = n.x(0), k = n.x(1), v = n.x(2);
  Shape key = query;
  if (query.rank() == 5) {
    if (n.has(1) || n.has(2) || n.has(3)) return n.Unsupported("a bias, keys or values beside packed ones");
    q = part(0, 0);
    k = part(0, 1);
    v = part(0, 2);
  } else {
    if (query.rank() != 3 || !n.has(1)) return n.Fail(fmt::format("query {}", query.to_string()));
    TENON_ASSIGN_OR_RETURN(key, n.ShapeOf(n.in(1)));
    if (key.rank() == 5) {
      k = part(1, 0);
      v = part(1, 1);
    } else if (!n.has(2)) {
      return n.Fail("the values are left out");
    }
  }
  if (n.has(3) && key.rank() == 5) return n.Unsupported("a bias beside packed keys and values");
  if (n.has(3)) {  // the biases of q, k and v behind each other
    TENON_ASSIGN_OR_RETURN(const Shape value, n.ShapeOf(n.in(2)));
    const Dim width = query[2], end = width * 2 + (value.rank() == 3 ? value[2] : width);
    q = q + n.SliceAxis(n.in(3), 0, 0, width);
    if (key.rank() == 3) {
      k = k + n.SliceAxis(n.in(3), 0, width, width * 2);
      v = v + n.SliceAxis(n.in(3), 0, width * 2, end);
    }
  }
  Scores s;
  TENON_ASSIGN_OR_RETURN(s.q, SplitHeads(n, q, heads));
  TENON_ASSIGN_OR_RETURN(s.k, SplitHeads(n, k, heads));
  TENON_ASSIGN_OR_RETURN(s.v, SplitHeads(n, v, heads));
  if (n.has(6) && n.has(7)) {
    s.k = Join(n, n.in(6), s.k, 2);
    s.v = Join(n, n.in(7), s.v, 2);
  }
  TENON_RETURN_IF_ERROR(n.b.status());
  if (n.wants(1)) n.Out(1, s.k);
  if (n.wants(2)) n.Out(2, s.v);
  if (n.has(4)) {
    TENON_ASSIGN_OR_RETURN(s.bias, MaskBias(n, 4, n.b.shape(s.k)[2], n.dtype(0)));
  }
  if (n.has(5)) s.bias2 = n.x(5);
  if (n.Int("unidirectional", 0) != 0) Causal(n, &s);
  s.scale = n.Float("scale", 0);
  n.Out(0, JoinHeads(n, Attend(n, s)));
  return {};
}

// query, key, value, past_key, past_value, seqlens_k (total lengths - 1), total_sequence_length, cos_cache, sin_cache.
// Always causal; the new keys of sequence b stand from its old length on.
Status GroupQueryAttention(NodeContext& n) {
  for (int i = 9; i < n.num_inputs(); ++i)
    if (n.has(i)) return n.Unsupported("position_ids, attention_bias or head_sink");
  if (n.Int("smooth_softmax", 0) != 0) return n.Unsupported("smooth_softmax");
  const std::int64_t heads = n.Int("num_heads", 0), kv_heads = n.Int("kv_num_heads", 0);
  if (heads < 1 || kv_heads < 1 || heads % kv_heads != 0)
    return n.Fail(fmt::format("{} query heads for {} key heads", heads, kv_heads));
  TENON_ASSIGN_OR_RETURN(const Shape query, n.ShapeOf(n.in(0)));
  if (query.rank() != 3 || query[2].is_symbolic()) return n.Fail(fmt::format("query {}", query.to_string()));
  Scores s;
  if (n.has(1) && n.has(2)) {
    TENON_ASSIGN_OR_RETURN(s.q, SplitHeads(n, n.in(0), heads));
    TENON_ASSIGN_OR_RETURN(s.k, SplitHeads(n, n.in(1), kv_heads));
    TENON_ASSIGN_OR_RETURN(s.v, SplitHeads(n, n.in(2), kv_heads));
  } else {  // packed behind each other
    const std::int64_t depth = query[2].value() / (heads + 2 * kv_heads), at = heads * depth,
                       behind = at + kv_heads * depth;
    TENON_ASSIGN_OR_RETURN(s.q, SplitHeads(n, n.SliceAxis(n.in(0), 2, 0, at), heads));
    TENON_ASSIGN_OR_RETURN(s.k, SplitHeads(n, n.SliceAxis(n.in(0), 2, at, behind), kv_heads));
    TENON_ASSIGN_OR_RETURN(s.v, SplitHeads(n, n.SliceAxis(n.in(0), 2, behind, query[2]), kv_heads));
  }
  TENON_RETURN_IF_ERROR(n.b.status());
  const Dim batch = query[0], steps = query[1];
  // How long each sequence was: [B, 1].
  const Ex total = n.Reshape(Wide(n, 5), {batch, 1}) + 1.0;
  const Ex before = Op("maximum", total - Count(n, n.in(0), 1), n.Scalar(0, kInt));
  const Ex positions = before + n.Iota(steps, kInt);  // [B, S]
  if (n.Int("do_rotary", 0) != 0) {
    if (!n.has(7) || !n.has(8)) return n.Fail("do_rotary without caches");
    TENON_ASSIGN_OR_RETURN(const Shape cache, n.ShapeOf(n.in(7)));
    if (cache.rank() != 2 || cache[1].is_symbolic()) return n.Unsupported("caches of unknown size");
    const ir::Attrs attrs = {{"interleaved", n.Int("rotary_interleaved", 0) != 0},
                             {"rotary_dim", cache[1].value() * 2}};
    s.q = n.Apply("rotary_embedding", {s.q, n.in(7), n.in(8), positions}, attrs);
    s.k = n.Apply("rotary_embedding", {s.k, n.in(7), n.in(8), positions}, attrs);
  }
  if (n.has(3) && n.has(4)) {
    TENON_ASSIGN_OR_RETURN(const Shape past, n.ShapeOf(n.in(3)));
    // The new rows go to their places in the old ones, made longer; a buffer that was long enough keeps its length.
    Dim length = past[2] + steps;
    if (n.has(6)) {
      TENON_ASSIGN_OR_RETURN(const Dim whole, DimOf(n, n.in(6), "total_sequence_length"));
      length = Dim::max(whole, past[2]);
    }
    const auto extend = [&](int i, Ex fresh) {
      const Ex room = Join(n, n.in(i), n.b.ZerosLike(fresh), 2);
      const auto turned = [&](Value x) { return n.Transpose(x, {0, 2, 1, 3}); };
      const Ex rows = n.Broadcast(n.Reshape(n.Iota(batch, kInt), {batch, 1, 1}), {batch, steps, 1});
      const Value places = Join(n, rows, n.Reshape(positions, {batch, steps, 1}), 2);
      const Ex all = turned(n.Add("scatter_nd", {turned(room), places, turned(fresh)}));
      return length == past[2] + steps ? all : n.SliceAxis(all, 2, 0, length);
    };
    s.k = extend(3, s.k);
    s.v = extend(4, s.v);
  }
  TENON_RETURN_IF_ERROR(n.b.status());
  if (n.wants(1)) n.Out(1, s.k);
  if (n.wants(2)) n.Out(2, s.v);
  const Ex at = n.Reshape(positions, {batch, 1, steps, 1}), column = n.Iota(n.b.shape(s.k)[2], kInt);
  s.allowed = Op("less_equal", column, at);
  if (const std::int64_t window = n.Int("local_window_size", -1); window > 0)
    s.allowed = Op("logical_and", s.allowed, Op("greater", column, at - static_cast<double>(window)));
  s.scale = n.Float("scale", 0);
  s.cap = n.Float("softcap", 0);
  n.Out(0, JoinHeads(n, Attend(n, s)));
  return {};
}

// input, position_ids ([1]: the first position; [B, S]), cos_cache, sin_cache.
Status RotaryEmbedding(NodeContext& n) {
  if (n.Int("is_packed_batching", 0) != 0) return n.Unsupported("is_packed_batching");
  TENON_ASSIGN_OR_RETURN(const Shape whole, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape ids, n.ShapeOf(n.in(1)));
  TENON_ASSIGN_OR_RETURN(const Shape cache, n.ShapeOf(n.in(2)));
  if (cache.rank() != 2 || cache[1].is_symbolic()) return n.Unsupported("caches of unknown size");
  const std::int64_t part = cache[1].value() * 2;
  std::int64_t heads = n.Int("num_heads", 0);
  if (heads == 0 && whole.rank() == 3 && !whole[2].is_symbolic() && part > 0) heads = whole[2].value() / part;
  if (whole.rank() != 3 && whole.rank() != 4) return n.Fail(fmt::format("{} heads for {}", heads, whole.to_string()));
  const Dim steps = whole[whole.rank() == 3 ? 1 : 2];
  Ex positions = Wide(n, 1);
  if (ids.rank() != 2) positions = n.Reshape(positions, {1, 1}) + n.Reshape(n.Iota(steps, kInt), {1, steps});
  n.Out(0, n.Add("rotary_embedding", {n.in(0), n.in(2), n.in(3), positions},
                 {{"interleaved", n.Int("interleaved", 0) != 0},
                  {"rotary_dim", part},
                  {"heads", whole.rank() == 3 ? heads : 0}}));
  return {};
}

// input_ids, segment_ids, word, position and segment embeddings, gamma, beta, mask, position_ids.
Status EmbedLayerNormalization(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape ids, n.ShapeOf(n.in(0)));
  if (ids.rank() != 2) return n.Fail(fmt::format("input_ids {}", ids.to_string()));
  const auto rows = [&](int table, Value index) {
    return n.Apply("gather", {n.in(table), index}, {{"axis", std::int64_t{0}}});
  };
  Ex sum = rows(2, n.in(0)) + rows(3, n.has(8) ? n.in(8) : n.Iota(ids[1], kInt).v);
  if (n.has(1) && n.has(4)) sum = sum + rows(4, n.in(1));
  n.Out(0, n.Add("layer_norm", {sum, n.in(5), n.in(6)},
                 {{"axis", std::int64_t{-1}}, {"epsilon", n.Float("epsilon", 1e-12)}}));
  if (n.wants(1)) {  // how many of each sequence are no padding
    const Ex mask = n.has(7) ? n.ex(n.b.Cast(n.in(7), DType::kI32)) : n.Broadcast(n.Scalar(0, DType::kI32), ids.dims());
    n.Out(1, n.Reduce("reduce_sum", mask, {1}, false));
  }
  n.Out(2, sum);
  return {};
}

constexpr std::string_view kMask = "mask_filter_value:f num_heads:i scale:f unidirectional:i";

const OpRow kRows[] = {
    {"Attention",
     2,
     7,
     2,
     "mask_filter_value:f num_heads:i scale:f unidirectional:i do_rotary:i past_present_share_buffer:i "
     "qkv_hidden_sizes:is rotary_embedding_dim:i",
     Attention,
     {},
     kDomain},
    {"MultiHeadAttention", 1, 10, 4, kMask, MultiHeadAttention, {}, kDomain},
    {"GroupQueryAttention",
     7,
     14,
     4,
     "do_rotary:i kv_num_heads:i local_window_size:i num_heads:i rotary_interleaved:i scale:f smooth_softmax:i "
     "softcap:f "
     "qk_output:i k_quant_type:s v_quant_type:s kv_cache_bit_width:i",
     GroupQueryAttention,
     {},
     kDomain},
    {"RotaryEmbedding",
     4,
     4,
     1,
     "interleaved:i is_packed_batching:i num_heads:i rotary_embedding_dim:i scale:f",
     RotaryEmbedding,
     {},
     kDomain},
    {"EmbedLayerNormalization", 7, 9, 3, "epsilon:f mask_index_type:i", EmbedLayerNormalization, {}, kDomain},
};

}  // namespace
const std::span<const OpRow> kContribAttentionRows = kRows;
}  // namespace tenon::onnx
