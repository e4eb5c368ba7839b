// Rotary embedding: pairs of features turned by an angle that belongs to their position.
#include "ops/attention_util.h"

namespace tenon::ir::ops {
namespace {

enum : int { kX, kCos, kSin, kPositions };

// Half of the features that turn, of so many.
Dim Half(const Attrs& attrs, const Dim& depth) {
  const std::int64_t part = attrs.Int("rotary_dim");
  return part > 0 ? Dim(part / 2) : Dim::floor_div(depth, 2);
}

// c1: x has rank 4, or rank 3 and a number of heads that divides its features. c2: the features that turn are an even
// number of those that are there. c3: cos and sin have a row for each position and a column for each pair. c4:
// positions are [batch, length].
Status InferRotary(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(InferSameAsFirst(ctx));
  const std::int64_t part = ctx.attrs().Int("rotary_dim");
  if (part < 0 || part % 2 != 0)
    return ctx.Fail(2, "got rotary_dim " + std::to_string(part) + ", expected an even number, or 0 for all features");
  if (!ctx.ranked(kX)) return {};
  TENON_ASSIGN_OR_RETURN(const std::vector<Dim> x, HeadDims(ctx, kX, ctx.attrs().Int("heads")));
  if (!x[3].is_symbolic() && (part == 0 ? x[3].value() % 2 != 0 : x[3].value() < part))
    return ctx.Fail(2, "got rotary_dim " + std::to_string(part) + " for " + x[3].to_string() +
                           " features, expected an even number of them");
  const Dim half = Half(ctx.attrs(), x[3]);
  const auto broadcasts = [](const Dim& d, const Dim& to) { return d == Dim(1) || !Differ(d, to); };
  const bool looked_up = ctx.has(kPositions);
  for (const int i : {kCos, kSin}) {
    if (!ctx.ranked(i)) continue;
    const Shape& s = ctx.shape(i);
    const Shape want = looked_up ? Shape{Dim::symbol("positions"), half} : Shape{x[0], x[2], half};
    if (s.rank() != want.rank() || Differ(s[-1], half) ||
        (!looked_up && (!broadcasts(s[0], x[0]) || Differ(s[1], x[2]))))
      return ctx.Fail(
          3, std::string(i == kCos ? "got cos " : "got sin ") + s.to_string() + ", expected " + want.to_string());
  }
  if (ctx.ranked(kCos) && ctx.ranked(kSin) && Differ(ctx.shape(kCos)[0], ctx.shape(kSin)[0]))
    return ctx.Fail(3, "got cos " + ctx.shape(kCos).to_string() + " and sin " + ctx.shape(kSin).to_string() +
                           ", expected the same dims");
  if (looked_up && ctx.ranked(kPositions)) {
    const Shape& s = ctx.shape(kPositions);
    if (s.rank() != 2 || !broadcasts(s[0], x[0]) || Differ(s[1], x[2]))
      return ctx.Fail(4, "got positions " + s.to_string() + ", expected " + Shape{x[0], x[2]}.to_string());
  }
  return {};
}

Status EvalRotary(EvalContext& ctx) {
  const HeadView x(ctx.in(kX).dims(), ctx.attrs().Int("heads"));
  const std::vector<double> cosine = ToDoubles(ctx.in(kCos)), sine = ToDoubles(ctx.in(kSin));
  const std::vector<std::int64_t> at = ctx.has(kPositions) ? ToInts(ctx.in(kPositions)) : std::vector<std::int64_t>();
  const std::int64_t half = Half(ctx.attrs(), x.depth).value();
  const Literal& table = ctx.has(kPositions) ? ctx.in(kPositions) : ctx.in(kCos);
  const bool each = table.dims()[0] == x.batch, neighbours = ctx.attrs().Bool("interleaved");
  std::vector<double> v = ToDoubles(ctx.in(kX));
  for (std::int64_t b = 0; b < x.batch; ++b)
    for (std::int64_t i = 0; i < x.length; ++i) {
      std::int64_t row = (each ? b : 0) * x.length + i;
      if (ctx.has(kPositions)) {
        const std::int64_t count = ctx.in(kCos).dims()[0], position = at[Size(row)];
        if (position < -count || position >= count)
          return ctx.Fail("got position " + std::to_string(position) + " for " + std::to_string(count) + " rows");
        row = position < 0 ? position + count : position;
      }
      for (std::int64_t h = 0; h < x.heads; ++h)
        for (std::int64_t p = 0; p < half; ++p) {
          const double c = cosine[Size(row * half + p)], s = sine[Size(row * half + p)];
          double& first = v[x.At(b, h, i) + Size(neighbours ? 2 * p : p)];
          double& second = v[x.At(b, h, i) + Size(neighbours ? 2 * p + 1 : p + half)];
          const double old = first;
          first = old * c - second * s;
          second = old * s + second * c;
        }
    }
  ctx.Set(0, FromDoubles(ctx.in(kX).dtype(), ctx.in(kX).dims(), v));
  return {};
}

// [start, limit) of the last axis.
Ex Part(Ex x, const Dim& start, const Dim& limit) {
  Builder& b = *x.b;
  if (!b.ok()) return x;
  std::vector<Dim> limits = b.shape(x).dims(), starts(limits.size(), Dim(0));
  starts.back() = start;
  limits.back() = limit;
  return Op("slice", x, {{"starts", Shape(std::move(starts))}, {"limits", Shape(std::move(limits))}});
}

Status LowerRotary(LowerContext& ctx) {
  Builder& b = ctx.b;
  if (!b.ranked(ctx.in(kX))) return Status(Code::kFailedPrecondition, "rotary_embedding: needs the rank of its input");
  const std::int64_t heads = ctx.attrs().Int("heads");
  const Shape whole = b.shape(ctx.in(kX));
  // Packed heads need not move: [batch, length, heads, depth].
  Ex x = ctx.in(kX);
  if (heads > 0) x = b(b.Reshape(x, Shape{whole[0], whole[1], Dim(heads), Dim::floor_div(whole[2], heads)}));
  TENON_RETURN_IF_ERROR(b.status());
  const Shape s = b.shape(x);
  const Dim depth = s[3], half = Half(ctx.attrs(), depth), part = half * 2;
  const auto angle = [&](int i) {
    Ex table = ctx.in(i);
    if (ctx.has(kPositions)) table = Op("gather", table, ctx.in(kPositions), {{"axis", std::int64_t{0}}});
    return ExpandDims(table, {heads > 0 ? 2 : 1});
  };
  const Ex cosine = angle(kCos), sine = angle(kSin);
  const bool all = ctx.attrs().Int("rotary_dim") == 0 || part == depth, neighbours = ctx.attrs().Bool("interleaved");
  const Ex turned = all ? x : Part(x, 0, part);
  const auto join = [&](Ex p, Ex q) { return Op("concat", p, q, {{"axis", std::int64_t{-1}}}); };
  Ex first, second;
  if (neighbours) {
    const Ex pairs = b(b.Reshape(turned, Shape{s[0], s[1], s[2], half, Dim(2)}));
    first = Squeeze(Part(pairs, 0, 1), {-1});
    second = Squeeze(Part(pairs, 1, 2), {-1});
  } else {
    first = Part(turned, 0, half);
    second = Part(turned, half, part);
  }
  const Ex a = first * cosine - second * sine, c = first * sine + second * cosine;
  Ex y = neighbours ? b(b.Reshape(join(ExpandDims(a, {-1}), ExpandDims(c, {-1})), Shape{s[0], s[1], s[2], part}))
                    : join(a, c);
  if (!all) y = join(y, Part(x, part, depth));
  ctx.Set(0, b.Reshape(y, whole));
  return {};
}

std::vector<Sample> RotarySamples() {
  const Literal x = Random({2, 3, 4, 6}, 1), cosine = Random({2, 4, 3}, 2, -1, 1), sine = Random({2, 4, 3}, 3, -1, 1);
  const Literal cosines = Random({7, 3}, 4, -1, 1), sines = Random({7, 3}, 5, -1, 1);
  const Literal positions = Ints({2, 4}, {0, 1, 2, 3, 6, 4, 4, 0});
  const std::optional<Literal> none;
  const Literal packed = Random({2, 4, 12}, 1), small = Random({2, 4, 2}, 2, -1, 1);
  return {
      {.name = "plain", .inputs = {x, cosine, sine}},
      {.name = "positions", .inputs = {x, cosines, sines, positions}},
      {.name = "one_row_of_positions", .inputs = {x, cosines, sines, Ints({1, 4}, {3, 4, 5, -1})}},
      {.name = "one_table", .inputs = {x, Random({1, 4, 3}, 2, -1, 1), Random({1, 4, 3}, 3, -1, 1)}},
      {.name = "interleaved", .inputs = {x, cosine, sine}, .attrs = {{"interleaved", true}}},
      {.name = "part", .inputs = {x, small, small}, .attrs = {{"rotary_dim", std::int64_t{4}}}},
      {.name = "part_interleaved",
       .inputs = {x, small, small},
       .attrs = {{"rotary_dim", std::int64_t{4}}, {"interleaved", true}}},
      {.name = "packed", .inputs = {packed, cosines, sines, positions}, .attrs = {{"heads", std::int64_t{2}}}},
      {.name = "packed_interleaved",
       .inputs = {packed, small, small},
       .attrs = {{"heads", std::int64_t{3}}, {"interleaved", true}}},
      {.name = "empty", .inputs = {Random({2, 3, 0, 6}, 1), cosines, sines, Ints({2, 0}, {})}},
      {.name = "rank", .inputs = {packed, cosine, sine}, .error = "c1"},
      {.name = "heads", .inputs = {packed, cosine, sine}, .attrs = {{"heads", std::int64_t{5}}}, .error = "c1"},
      {.name = "odd", .inputs = {x, cosine, sine}, .attrs = {{"rotary_dim", std::int64_t{3}}}, .error = "c2"},
      {.name = "too_many", .inputs = {x, cosine, sine}, .attrs = {{"rotary_dim", std::int64_t{8}}}, .error = "c2"},
      {.name = "columns", .inputs = {x, small, small}, .error = "c3"},
      {.name = "table_rank", .inputs = {x, cosine, sine, positions}, .error = "c3"},
      {.name = "unlike", .inputs = {x, cosines, Random({6, 3}, 5), positions}, .error = "c3"},
      {.name = "positions_rank", .inputs = {x, cosines, sines, Ints({4}, {0, 1, 2, 3})}, .error = "c4"},
  };
}

constinit const OpDef kOps[] = {
    {.name = "rotary_embedding",
     .summary =
         "Pairs (a, b) of features become (a cos - b sin, a sin + b cos), the angles by position and pair; a is in "
         "the first half of the features that turn and b in the second, or they are neighbours.",
     .inputs = {{.name = "x", .dtypes = kFloatSet, .doc = "[batch, heads, length, depth]"},
                {.name = "cos",
                 .dtypes = kFloatSet,
                 .doc = "[batch or 1, length, pairs]; with positions: [any number, pairs]"},
                {.name = "sin", .dtypes = kFloatSet, .doc = "as cos"},
                {.name = "positions",
                 .type = "I",
                 .dtypes = kIndexSet,
                 .flags = kOptional | kNotDifferentiable,
                 .doc = "[batch or 1, length]: rows of cos and sin; below 0: from the end"}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {BoolAttr("interleaved", false, "the features of a pair are neighbours"),
               IntAttr("rotary_dim", 0, "how many features turn, the first ones; 0: all"),
               IntAttr("heads", 0, "above 0: x and y are [batch, length, heads depth]")},
     .traits = kAccumulates,
     .infer = InferRotary,
     .eval = EvalRotary,
     .lower = LowerRotary,
     .samples = RotarySamples},
};

}  // namespace
extern const std::span<const OpDef> rotary_embedding_ops;
constinit const std::span<const OpDef> rotary_embedding_ops{kOps};
}  // namespace tenon::ir::ops
