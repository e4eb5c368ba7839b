#include "ops/attention_util.h"

#include <limits>

namespace tenon::ir::ops {

Result<std::vector<Dim>> HeadDims(const InferContext& ctx, int i, std::int64_t heads) {
  const Shape& s = ctx.shape(i);
  if (heads == 0 && s.rank() == 4) return s.dims();
  if (heads > 0 && s.rank() == 3 && (s[2].is_symbolic() || s[2].value() % heads == 0))
    return std::vector<Dim>{s[0], Dim(heads), s[1], Dim::floor_div(s[2], heads)};
  return ctx.Fail(1,
                  "input \"" + std::string(ctx.op().inputs[Size(i)].name) + "\": got " + s.to_string() + " with " +
                      std::to_string(heads) +
                      " packed heads, expected [batch, heads, length, depth] and 0, or [batch, length, heads * depth]");
}

HeadView::HeadView(std::span<const std::int64_t> dims, std::int64_t packed_heads) : packed(packed_heads > 0) {
  batch = dims[0];
  heads = packed ? packed_heads : dims[1];
  length = packed ? dims[1] : dims[2];
  depth = packed ? dims[2] / packed_heads : dims[3];
}

Ex HeadsOut(Ex x, std::int64_t packed_heads) {
  Builder& b = *x.b;
  if (packed_heads == 0 || !b.ok()) return x;
  const Shape s = b.shape(x);
  return b(b.Transpose(b.Reshape(x, Shape{s[0], s[1], Dim(packed_heads), Dim::floor_div(s[2], packed_heads)}),
                       {0, 2, 1, 3}));
}

Ex HeadsIn(Ex x) {
  Builder& b = *x.b;
  if (!b.ok()) return x;
  const Shape s = b.shape(x);
  return b(b.Reshape(b.Transpose(x, {0, 2, 1, 3}), Shape{s[0], s[2], s[1] * s[3]}));
}

std::vector<Sample> AttentionSamples() {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const Literal q = Random({2, 2, 3, 4}, 1), k = Random({2, 2, 5, 4}, 2), v = Random({2, 2, 5, 3}, 3);
  const std::optional<Literal> none;
  const Literal additive = Random({2, 1, 3, 5}, 4), choice = Bools({3, 5}, {true, false, true, true, false,   //
                                                                            false, true, false, false, true,  //
                                                                            true, true, true, true, true});
  const Literal past_k = Random({2, 2, 2, 4}, 5), past_v = Random({2, 2, 2, 3}, 6);
  const Literal pq = Random({2, 3, 8}, 1), pk = Random({2, 5, 4}, 2), pv = Random({2, 5, 6}, 3);
  const Attrs packed = {{"q_heads", std::int64_t{4}}, {"kv_heads", std::int64_t{2}}};
  const auto scores = [](const char* stage) { return Attrs{{"scores", stage}, {"softcap", 1.5}}; };
  return {
      {.name = "plain", .inputs = {q, k, v}},
      {.name = "scale", .inputs = {q, k, v}, .attrs = {{"scale", 0.25}}},
      {.name = "causal", .inputs = {q, k, v}, .attrs = {{"causal", true}}},
      {.name = "additive", .inputs = {q, k, v, additive}, .attrs = scores("masked")},
      {.name = "choice", .inputs = {q, k, v, choice}},
      {.name = "choice_causal", .inputs = {q, k, v, choice}, .attrs = {{"causal", true}, {"scores", "weights"}}},
      // The second query sees nothing, the first all but one.
      {.name = "hidden",
       .inputs = {q, k, v,
                  Values({1, 1, 3, 5}, {0, -kInf, 1, 0, 0, -kInf, -kInf, -kInf, -kInf, -kInf, 0.5, 0, 0, 0, -1})},
       .attrs = {{"scores", "weights"}},
       .gradient = false},
      {.name = "masked_scores", .inputs = {q, k, v, choice}, .attrs = scores("masked"), .gradient = false},
      {.name = "capped", .inputs = {q, k, v}, .attrs = scores("capped")},
      {.name = "shared_heads", .inputs = {Random({2, 4, 3, 4}, 1), k, v, additive}},
      {.name = "past", .inputs = {q, k, v, none, past_k, past_v}, .attrs = {{"causal", true}}},
      {.name = "past_mask", .inputs = {q, k, v, Random({1, 7}, 7), past_k, past_v}},
      {.name = "lengths", .inputs = {q, k, v, none, none, none, Ints({2}, {5, 2})}, .attrs = {{"scores", "weights"}}},
      // The first example's first query has no key before it.
      {.name = "lengths_causal", .inputs = {q, k, v, none, none, none, Ints({2}, {2, 4})}, .attrs = {{"causal", true}}},
      {.name = "packed", .inputs = {pq, pk, pv}, .attrs = packed},
      {.name = "packed_past",
       .inputs = {pq, pk, pv, none, Random({2, 2, 1, 2}, 5), Random({2, 2, 1, 3}, 6)},
       .attrs = packed},
      {.name = "softmax_dtype", .inputs = {q, k, v}, .attrs = {{"softmax_dtype", DType::kF64}}, .gradient = false},
      {.name = "no_query", .inputs = {Random({2, 2, 0, 4}, 1), k, v}},
      {.name = "no_key", .inputs = {q, Random({2, 2, 0, 4}, 2), Random({2, 2, 0, 3}, 3), Random({3, 0}, 4)}},
      {.name = "rank", .inputs = {Random({2, 3, 4}, 1), k, v}, .error = "c1"},
      {.name = "heads",
       .inputs = {pq, pk, pv},
       .attrs = {{"q_heads", std::int64_t{3}}, {"kv_heads", std::int64_t{2}}},
       .error = "c1"},
      {.name = "depth", .inputs = {q, Random({2, 2, 5, 3}, 2), v}, .error = "c2"},
      {.name = "length", .inputs = {q, k, Random({2, 2, 4, 3}, 3)}, .error = "c2"},
      {.name = "no_multiple", .inputs = {Random({2, 3, 3, 4}, 1), k, v}, .error = "c3"},
      {.name = "half_a_past", .inputs = {q, k, v, none, past_k}, .error = "c4"},
      {.name = "past_depth", .inputs = {q, k, v, none, past_v, past_k}, .error = "c4"},
      {.name = "mask", .inputs = {q, k, v, Random({5, 3}, 4)}, .error = "c5"},
      {.name = "lengths_rank", .inputs = {q, k, v, none, none, none, Ints({2, 1}, {5, 2})}, .error = "c6"},
      {.name = "lengths_past", .inputs = {q, k, v, none, past_k, past_v, Ints({2}, {5, 2})}, .error = "c6"},
      {.name = "softcap", .inputs = {q, k, v}, .attrs = {{"softcap", -1.0}}, .error = "c7"},
      {.name = "stage", .inputs = {q, k, v}, .attrs = {{"scores", "raw"}}, .error = "c8"},
  };
}

}  // namespace tenon::ir::ops
