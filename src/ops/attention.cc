// Scaled dot-product attention, with the masks, caches and side results of ONNX's operator; that of PyTorch and Keras
// is a part of it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/attention_util.h"

namespace tenon::ir::ops {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
enum : int { kQ, kK, kV, kMask, kPastKey, kPastValue, kLengths };
constexpr std::string_view kStages[] = {"product", "capped", "masked", "weights"};

bool Agree(const Dim& a, const Dim& b) { return !Differ(a, b); }

// c1: q, k and v have rank 4, or rank 3 and a number of heads that divides their features. c2: they agree in batch,
// length and depth. c3: the heads of q are a multiple of those of k and v. c4: the past has both parts, of the dims of
// k and v but for the length. c5: the mask broadcasts to the scores. c6: lengths has one element a batch, and no past
// beside it. c7: softcap is not negative. c8: scores names a stage.
Status InferAttention(InferContext& ctx) {
  if (ctx.attrs().Float("softcap") < 0)
    return ctx.Fail(7, "got softcap " + std::to_string(ctx.attrs().Float("softcap")) + ", expected 0 or more");
  if (const std::string& stage = ctx.attrs().String("scores");
      std::find(std::begin(kStages), std::end(kStages), stage) == std::end(kStages))
    return ctx.Fail(8, "got scores \"" + stage + "\", expected \"product\", \"capped\", \"masked\" or \"weights\"");
  if (ctx.has(kPastKey) != ctx.has(kPastValue))
    return ctx.Fail(4, "got one of past_key and past_value, expected both or neither");
  if (ctx.has(kLengths) && ctx.has(kPastKey)) return ctx.Fail(6, "got lengths beside past keys, expected one of them");
  if (!ctx.ranked(kQ) || !ctx.ranked(kK) || !ctx.ranked(kV)) {
    for (int i = 0; i < 4; ++i) ctx.SetUnknownRank(i, ctx.dtype(0));
    return {};
  }
  const std::int64_t q_heads = ctx.attrs().Int("q_heads"), kv_heads = ctx.attrs().Int("kv_heads");
  std::vector<Dim> q, k, v;
  TENON_ASSIGN_OR_RETURN(q, HeadDims(ctx, kQ, q_heads));
  TENON_ASSIGN_OR_RETURN(k, HeadDims(ctx, kK, kv_heads));
  TENON_ASSIGN_OR_RETURN(v, HeadDims(ctx, kV, kv_heads));
  if ((q_heads == 0) != (kv_heads == 0))
    return ctx.Fail(1, "got q_heads " + std::to_string(q_heads) + " and kv_heads " + std::to_string(kv_heads) +
                           ", expected both or neither");
  const auto text = [](const std::vector<Dim>& dims) { return Shape(dims).to_string(); };
  if (!Agree(q[0], k[0]) || !Agree(k[0], v[0]) || !Agree(k[1], v[1]) || !Agree(k[2], v[2]) || !Agree(q[3], k[3]))
    return ctx.Fail(2, "got q " + text(q) + ", k " + text(k) + " and v " + text(v) +
                           " as [batch, heads, length, depth], expected the same batch, the depth of q and k the same, "
                           "heads and length of k and v the same");
  const Dim kv = Merge(k[1], v[1]);
  if ((!kv.is_symbolic() && kv.value() < 1) ||
      (!kv.is_symbolic() && !q[1].is_symbolic() && q[1].value() % kv.value() != 0))
    return ctx.Fail(3, "got " + q[1].to_string() + " heads of q for " + kv.to_string() +
                           " of k and v, expected a multiple of them");
  const Dim batch = Merge(Merge(q[0], k[0]), v[0]);
  Dim total = Merge(k[2], v[2]);
  if (ctx.has(kPastKey)) {
    Dim past = ctx.FreshDim();
    for (const int i : {kPastKey, kPastValue}) {
      if (!ctx.ranked(i)) continue;
      const std::vector<Dim>& like = i == kPastKey ? k : v;
      const Shape& s = ctx.shape(i);
      if (s.rank() != 4 || !Agree(s[0], batch) || !Agree(s[1], kv) || !Agree(s[3], like[3]) ||
          (i == kPastValue && !Agree(s[2], past)))
        return ctx.Fail(4, std::string("got ") + (i == kPastKey ? "past_key " : "past_value ") + s.to_string() +
                               ", expected [batch, heads, past length, depth] of " + text(like) +
                               ", one past length for both");
      past = s[2];
    }
    total = past + total;
  }
  const Shape scores = {batch, q[1], q[2], total};
  if (ctx.has(kMask) && ctx.ranked(kMask)) {
    const Shape& mask = ctx.shape(kMask);
    bool fits = mask.rank() <= 4;
    for (int i = 1; fits && i <= mask.rank(); ++i) fits = mask[-i] == Dim(1) || Agree(mask[-i], scores[-i]);
    if (!fits)
      return ctx.Fail(
          5, "got a mask " + mask.to_string() + ", expected one that broadcasts to the scores, " + scores.to_string());
  }
  if (ctx.has(kLengths) && ctx.ranked(kLengths) && (ctx.rank(kLengths) != 1 || !Agree(ctx.shape(kLengths)[0], batch)))
    return ctx.Fail(6, "got lengths " + ctx.shape(kLengths).to_string() + ", expected [" + batch.to_string() +
                           "], one for each example");
  ctx.Set(0, ctx.dtype(0), q_heads > 0 ? Shape{batch, q[2], q[1] * v[3]} : Shape{batch, q[1], q[2], v[3]});
  ctx.Set(1, ctx.dtype(0), {batch, kv, total, Merge(q[3], k[3])});
  ctx.Set(2, ctx.dtype(0), {batch, kv, total, v[3]});
  ctx.Set(3, ctx.dtype(0), scores);
  return {};
}

// past and fresh behind each other: [batch, heads, total, depth].
std::vector<double> Present(const EvalContext& ctx, int fresh, int past, std::int64_t heads) {
  const HeadView view(ctx.in(fresh).dims(), heads);
  const std::vector<double> x = ToDoubles(ctx.in(fresh));
  const std::vector<double> old = ctx.has(past) ? ToDoubles(ctx.in(past)) : std::vector<double>();
  const std::int64_t before = ctx.has(past) ? ctx.in(past).dims()[2] * view.depth : 0;  // elements a head
  std::vector<double> y;
  for (std::int64_t b = 0; b < view.batch; ++b)
    for (std::int64_t h = 0; h < view.heads; ++h) {
      const auto from = old.begin() + (b * view.heads + h) * before;
      y.insert(y.end(), from, from + before);
      for (std::int64_t i = 0; i < view.length; ++i)
        for (std::int64_t d = 0; d < view.depth; ++d) y.push_back(x[view.At(b, h, i) + Size(d)]);
    }
  return y;
}

// In place: e^x over its sum. A line of -inf alone gives zeros.
void Softmax(std::span<double> line) {
  double largest = -kInf, sum = 0;
  for (const double x : line) largest = std::isnan(x) || x > largest ? x : largest;
  for (const double x : line) sum += std::exp(x - largest);
  for (double& x : line) x = largest == -kInf ? 0 : std::exp(x - largest) / sum;
}

Status EvalAttention(EvalContext& ctx) {
  const Attrs& attrs = ctx.attrs();
  const HeadView q(ctx.in(kQ).dims(), attrs.Int("q_heads")), k(ctx.in(kK).dims(), attrs.Int("kv_heads")),
      v(ctx.in(kV).dims(), attrs.Int("kv_heads"));
  const std::vector<double> queries = ToDoubles(ctx.in(kQ)), keys = Present(ctx, kK, kPastKey, attrs.Int("kv_heads")),
                            values = Present(ctx, kV, kPastValue, attrs.Int("kv_heads"));
  const std::int64_t past = ctx.has(kPastKey) ? ctx.in(kPastKey).dims()[2] : 0, total = past + k.length;
  const std::int64_t group = q.heads / k.heads;  // heads of q to one of k
  const double scale = attrs.Has("scale") ? attrs.Float("scale") : 1 / std::sqrt(static_cast<double>(q.depth)),
               cap = attrs.Float("softcap");
  const std::vector<std::int64_t> dims = {q.batch, q.heads, q.length, total};
  const std::vector<double> mask = ctx.has(kMask) ? ToDoubles(ctx.in(kMask)) : std::vector<double>();
  const std::vector<std::int64_t> at_mask =
      ctx.has(kMask) ? BroadcastIndices(ctx.in(kMask).dims(), dims) : std::vector<std::int64_t>();
  const bool choice = ctx.has(kMask) && ctx.in(kMask).dtype() == DType::kBool, causal = attrs.Bool("causal");
  const std::vector<std::int64_t> lengths = ctx.has(kLengths) ? ToInts(ctx.in(kLengths)) : std::vector<std::int64_t>();
  const std::string& stage = attrs.String("scores");
  std::vector<double> shown, line(Size(total)), y(Size(q.batch * q.heads * q.length * v.depth), 0.0);
  const HeadView out(ctx.out_dims(), attrs.Int("q_heads"));
  const auto show = [&](std::string_view name) {
    if (stage == name) shown.insert(shown.end(), line.begin(), line.end());
  };
  for (std::int64_t b = 0, row = 0; b < q.batch; ++b)
    for (std::int64_t h = 0; h < q.heads; ++h)
      for (std::int64_t i = 0; i < q.length; ++i, ++row) {
        const std::int64_t first = (b * k.heads + h / group) * total;  // row of the present keys and values
        for (std::int64_t j = 0; j < total; ++j) {
          double sum = 0;
          for (std::int64_t d = 0; d < q.depth; ++d)
            sum += queries[q.At(b, h, i) + Size(d)] * keys[Size((first + j) * q.depth + d)];
          line[Size(j)] = sum * scale;
        }
        show("product");
        if (cap > 0)
          for (double& x : line) x = std::tanh(x / cap) * cap;
        show("capped");
        for (std::int64_t j = 0; j < total; ++j) {
          const double m = mask.empty() ? 0 : mask[Size(at_mask[Size(row * total + j)])];
          // A length below 0 hides as 0 does.
          const std::int64_t last =
              i + (lengths.empty() ? past : std::max<std::int64_t>(lengths[Size(b)], 0) - q.length);
          const bool hidden = (causal && j > last) || (choice && m == 0) || (!lengths.empty() && j >= lengths[Size(b)]);
          line[Size(j)] = hidden ? -kInf : line[Size(j)] + (choice ? 0 : m);
        }
        show("masked");
        Softmax(line);
        show("weights");
        for (std::int64_t j = 0; j < total; ++j)
          for (std::int64_t d = 0; d < v.depth; ++d)
            y[out.At(b, h, i) + Size(d)] += line[Size(j)] * values[Size((first + j) * v.depth + d)];
      }
  const DType dtype = ctx.in(kQ).dtype();
  ctx.Set(0, FromDoubles(dtype, ctx.out_dims(), y));
  ctx.Set(1, FromDoubles(dtype, ctx.out_dims(1), keys));
  ctx.Set(2, FromDoubles(dtype, ctx.out_dims(2), values));
  ctx.Set(3, FromDoubles(dtype, dims, shown));
  return {};
}

// The length of an axis as an i64 scalar.
Ex Length(Ex x, std::int64_t axis) {
  Builder& b = *x.b;
  const Dim dim = b.shape(x)[static_cast<int>(axis)];
  if (!dim.is_symbolic()) return b(b.Constant(ScalarLiteral(static_cast<double>(dim.value()), DType::kI64)));
  return Op("reduce_prod", Op("gather", ShapeOf(x), Vector(b, {axis})));
}

// Which keys a query may see, as far as order, lengths and a boolean mask say; an invalid value: all.
Ex Allowed(LowerContext& ctx, Ex q, Ex k) {
  Builder& b = ctx.b;
  Ex allowed;
  const auto also = [&](Ex more) { allowed = allowed.b == nullptr ? more : Op("logical_and", allowed, more); };
  const auto count = [&](const Dim& n) {
    return b(b.Add("iota", {}, {{"dims", Shape{n}}, {"axis", std::int64_t{0}}, {"dtype", DType::kI64}}));
  };
  const Shape qs = b.shape(q), ks = b.shape(k);
  const auto lengths = [&] { return b(b.Reshape(b.Cast(ctx.in(kLengths), DType::kI64), Shape{qs[0], 1, 1, 1})); };
  if (ctx.attrs().Bool("causal")) {
    Ex last = b(b.Reshape(count(qs[2]), Shape{qs[2], 1}));
    if (ctx.has(kLengths)) last = last + (lengths() - Length(q, 2));
    if (ctx.has(kPastKey)) last = last + Length(ctx.in(kPastKey), 2);
    also(Op("less_equal", count(ks[2]), last));
  }
  if (ctx.has(kMask) && ctx.in(kMask).dtype() == DType::kBool) also(ctx.in(kMask));
  if (ctx.has(kLengths)) also(Op("less", count(ks[2]), lengths()));
  return allowed;
}

// softmax over the last axis, with zeros for a line of -inf alone.
Ex GuardedSoftmax(Ex x) {
  Builder& b = *x.b;
  const auto along = [](std::string_view op, Ex v) {
    return Op(op, v, {{"axes", std::vector<std::int64_t>{-1}}, {"keep_dims", true}});
  };
  const auto number = [&](double v) { return b(b.Scalar(v, x.dtype())); };
  const Ex most = Op("stop_gradient", along("reduce_max", x)), seen = Op("not_equal", most, number(-kInf));
  const Ex e = Op("exp", x - Select(seen, most, number(0)));
  return e / Select(seen, along("reduce_sum", e), number(1));
}

Status LowerAttention(LowerContext& ctx) {
  Builder& b = ctx.b;
  for (const int i : {kQ, kK, kV, kPastKey, kPastValue})
    if (ctx.has(i) && !b.ranked(ctx.in(i)))
      return Status(Code::kFailedPrecondition, "attention: needs the ranks of its inputs");
  const Attrs& attrs = ctx.attrs();
  const DType dtype = ctx.in(kQ).dtype();
  Ex q = HeadsOut(ctx.in(kQ), attrs.Int("q_heads")), k = HeadsOut(ctx.in(kK), attrs.Int("kv_heads")),
     v = HeadsOut(ctx.in(kV), attrs.Int("kv_heads"));
  if (ctx.has(kPastKey)) {
    k = Op("concat", ctx.in(kPastKey), k, {{"axis", std::int64_t{2}}});
    v = Op("concat", ctx.in(kPastValue), v, {{"axis", std::int64_t{2}}});
  }
  TENON_RETURN_IF_ERROR(b.status());
  ctx.Set(1, k);
  ctx.Set(2, v);
  const Shape qs = b.shape(q), ks = b.shape(k), scored = {qs[0], qs[1], qs[2], ks[2]};
  // Heads of q that share one of k stand behind each other as if they were more queries.
  const bool shared = Dim::equal(qs[1], ks[1]) != Truth::kYes;
  const auto gather = [&](Ex x, const Dim& last) {
    return shared ? b(b.Reshape(x, Shape{qs[0], ks[1], Dim::floor_div(qs[1], ks[1]) * qs[2], last})) : x;
  };
  const auto spread = [&](Ex x, Shape dims) { return shared ? b(b.Reshape(x, std::move(dims))) : x; };
  const auto scaled = [&](Ex x) {
    if (attrs.Has("scale")) return x * attrs.Float("scale");
    if (!qs[3].is_symbolic()) return x * (1 / std::sqrt(static_cast<double>(qs[3].value())));
    return x * Op("rsqrt", CountAlong(q, {3}));
  };
  // A product that is scaled is one step; in a narrow dtype it could leave the range before.
  const bool narrow = dtype == DType::kF16 || dtype == DType::kBF16;
  Ex scores = Op("matmul", gather(narrow ? scaled(q) : q, qs[3]), k, {{"transpose_y", true}});
  scores = spread(narrow ? scores : scaled(scores), scored);
  Ex shown = scores;
  const std::string& stage = attrs.String("scores");
  const auto show = [&](std::string_view name) { shown = stage == name ? scores : shown; };
  if (const double cap = attrs.Float("softcap"); cap > 0) scores = Op("tanh", scores / cap) * cap;
  show("capped");
  if (ctx.has(kMask) && ctx.in(kMask).dtype() != DType::kBool) scores = scores + b(b.Cast(ctx.in(kMask), dtype));
  const Ex low = b(b.Scalar(-kInf, dtype));
  if (const Ex allowed = Allowed(ctx, q, k); allowed.b != nullptr) scores = Select(allowed, scores, low);
  show("masked");
  if (attrs.Has("softmax_dtype")) scores = b(b.Cast(scores, attrs.Dtype("softmax_dtype")));
  // By its place alone a query always sees a key.
  scores = ctx.has(kMask) || ctx.has(kLengths) ? GuardedSoftmax(scores)
                                               : Op("softmax", scores, {{"axis", std::int64_t{-1}}});
  scores = b(b.Cast(scores, dtype));
  show("weights");
  TENON_RETURN_IF_ERROR(b.status());
  const Shape full = {qs[0], qs[1], qs[2], b.shape(v)[3]};
  const Ex y = spread(Op("matmul", gather(scores, ks[2]), v), full);
  ctx.Set(0, attrs.Int("q_heads") > 0 ? HeadsIn(y) : y);
  ctx.Set(3, shown);
  return {};
}

constinit const OpDef kOps[] = {
    {.name = "attention",
     .summary =
         "softmax(scale q k^T + mask) v for each head; y, the keys and values with the past ones in front, and the "
         "scores at one stage. A query that a mask or the lengths leave no key gives 0.",
     .inputs = {{.name = "q", .dtypes = kFloatSet, .doc = "[batch, heads, length, depth]"},
                {.name = "k",
                 .dtypes = kFloatSet,
                 .doc = "[batch, heads, length, depth]; each head serves as many "
                        "neighbouring heads of q as there are more of those"},
                {.name = "v", .dtypes = kFloatSet, .doc = "[batch, heads, length, depth], its own depth"},
                {.name = "mask",
                 .type = "M",
                 .dtypes = kFloatSet | kBoolSet,
                 .flags = kOptional,
                 .doc = "broadcasts to [batch, heads, length of q, length of k]: added to the scores, or false where a "
                        "key is hidden"},
                {.name = "past_key", .dtypes = kFloatSet, .flags = kOptional, .doc = "goes in front of k"},
                {.name = "past_value", .dtypes = kFloatSet, .flags = kOptional, .doc = "goes in front of v"},
                {.name = "lengths",
                 .type = "L",
                 .dtypes = kIndexSet,
                 .flags = kOptional | kNotDifferentiable,
                 .doc = "[batch]: how many keys of each example are no padding"}},
     .outputs = {{.name = "y", .dtypes = kFloatSet},
                 {.name = "present_key", .dtypes = kFloatSet},
                 {.name = "present_value", .dtypes = kFloatSet},
                 {.name = "scores", .dtypes = kFloatSet}},
     .attrs = {Absent("scale", AttrKind::kFloat, "absent: 1 / sqrt(depth)"),
               BoolAttr("causal", false,
                        "query i sees key j when j <= i + the past length, or i + lengths - the length of q"),
               FloatAttr("softcap", 0, "above 0: a score s becomes tanh(s / softcap) softcap, before the mask"),
               IntAttr("q_heads", 0, "above 0: q and y are [batch, length, heads depth]"),
               IntAttr("kv_heads", 0, "the same for k and v"),
               StringAttr("scores", "product",
                          "the stage of the output scores: product (scaled), capped, masked, weights"),
               Absent("softmax_dtype", AttrKind::kDType, "what the softmax is computed in; absent: that of q")},
     .traits = kAccumulates,
     .infer = InferAttention,
     .eval = EvalAttention,
     .lower = LowerAttention,
     .samples = AttentionSamples},
};

}  // namespace
extern const std::span<const OpDef> attention_ops;
constinit const std::span<const OpDef> attention_ops{kOps};
}  // namespace tenon::ir::ops
