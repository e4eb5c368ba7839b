// combined_non_max_suppression: the best boxes of all classes of an image, as TensorFlow's op of that name gives them.
#include <algorithm>
#include <numeric>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: boxes [N, B, Q, 4]. c2: scores [N, B, C], Q is 1 or C. c3: limits of 0 or more.
Status InferCombined(InferContext& ctx) {
  if (ctx.ranked(0) && (ctx.rank(0) != 4 || Differ(ctx.shape(0)[3], 4)))
    return ctx.Fail(1, "got boxes " + ctx.type(0).to_string() + ", expected [N, B, Q, 4]");
  if (ctx.ranked(1) && ctx.rank(1) != 3)
    return ctx.Fail(2, "got scores " + ctx.type(1).to_string() + ", expected [N, B, C]");
  if (ctx.ranked(0) && ctx.ranked(1)) {
    const Shape &b = ctx.shape(0), &s = ctx.shape(1);
    if (Differ(b[0], s[0]) || Differ(b[1], s[1]) || (Differ(b[2], 1) && Differ(b[2], s[2])))
      return ctx.Fail(2, "got scores " + s.to_string() + " of boxes " + b.to_string());
  }
  const std::int64_t each = ctx.attrs().Int("max_per_class"), total = ctx.attrs().Int("max_total");
  if (each < 0 || total < 0 || total > (1 << 24))
    return ctx.Fail(3, "got max_per_class " + std::to_string(each) + " and max_total " + std::to_string(total));
  const Dim n = ctx.ranked(0) ? ctx.shape(0)[0] : ctx.FreshDim();
  Dim kept = total;
  if (ctx.attrs().Bool("pad_per_class"))
    kept = ctx.ranked(1) ? Dim::min(total, ctx.shape(1)[2] * Dim(each)) : ctx.FreshDim();
  ctx.Set(0, ctx.dtype(0), {n, kept, 4});
  ctx.Set(1, ctx.dtype(0), {n, kept});
  ctx.Set(2, ctx.dtype(0), {n, kept});
  ctx.Set(3, DType::kI32, {n});
  return {};
}

struct Box {
  double top, left, bottom, right;
};
Box BoxAt(const double* b) {
  return {std::min(b[0], b[2]), std::min(b[1], b[3]), std::max(b[0], b[2]), std::max(b[1], b[3])};
}
double Area(const Box& b) { return (b.bottom - b.top) * (b.right - b.left); }
bool Overlap(const Box& a, const Box& b, double threshold) {
  if (!(Area(a) > 0) || !(Area(b) > 0)) return false;
  const Box both{std::max(a.top, b.top), std::max(a.left, b.left), std::min(a.bottom, b.bottom),
                 std::min(a.right, b.right)};
  const double common = std::max(both.bottom - both.top, 0.0) * std::max(both.right - both.left, 0.0);
  // As f32 would: a quotient that is the threshold there is not above it.
  return static_cast<float>(common / (Area(a) + Area(b) - common)) > static_cast<float>(threshold);
}

struct Kept {
  double score;
  const double* box;
  std::int64_t kind;
};

Status EvalCombined(EvalContext& ctx) {
  const std::vector<std::int64_t>&bd = ctx.in(0).dims(), &sd = ctx.in(1).dims();
  const std::int64_t images = bd[0], count = bd[1], kinds = sd[2];
  if (sd[0] != images || sd[1] != count || (bd[2] != 1 && bd[2] != kinds))
    return ctx.Fail("got boxes and scores that do not fit");
  const std::int64_t each = ctx.attrs().Int("max_per_class");
  const double iou = ctx.attrs().Float("iou_threshold"), least = ctx.attrs().Float("score_threshold");
  std::int64_t room = ctx.attrs().Int("max_total");
  if (ctx.attrs().Bool("pad_per_class") && (each == 0 || kinds <= room / each)) room = each * kinds;
  TENON_RETURN_IF_ERROR(checked_size(std::vector<std::int64_t>{images, room, 4}).status());
  const std::vector<double> boxes = ToDoubles(ctx.in(0)), scores = ToDoubles(ctx.in(1));
  std::vector<double> out_boxes(Size(images * room * 4)), out_scores(Size(images * room)),
      out_kinds(Size(images * room));
  std::vector<std::int64_t> valid;
  for (std::int64_t image = 0; image < images; ++image) {
    std::vector<Kept> all;
    for (std::int64_t kind = 0; kind < kinds; ++kind) {
      const auto score = [&](std::int64_t i) { return scores[Size((image * count + i) * kinds + kind)]; };
      const auto box = [&](std::int64_t i) {
        return &boxes[Size(((image * count + i) * bd[2] + (bd[2] == 1 ? 0 : kind)) * 4)];
      };
      std::vector<std::int64_t> order;
      for (std::int64_t i = 0; i < count; ++i)
        if (score(i) > least) order.push_back(i);
      std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return score(a) > score(b); });
      std::vector<Box> chosen;
      for (const std::int64_t i : order) {
        if (static_cast<std::int64_t>(chosen.size()) >= each) break;
        const Box candidate = BoxAt(box(i));
        if (std::any_of(chosen.begin(), chosen.end(), [&](const Box& b) { return Overlap(candidate, b, iou); }))
          continue;
        chosen.push_back(candidate);
        all.push_back({score(i), box(i), kind});
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const Kept& a, const Kept& b) { return a.score > b.score; });
    if (all.size() > Size(room)) all.resize(Size(room));
    for (std::size_t k = 0; k < all.size(); ++k) {
      const std::size_t at = Size(image * room) + k;
      out_scores[at] = all[k].score;
      out_kinds[at] = static_cast<double>(all[k].kind);
      for (std::size_t d = 0; d < 4; ++d)
        out_boxes[4 * at + d] = ctx.attrs().Bool("clip_boxes") ? std::clamp(all[k].box[d], 0.0, 1.0) : all[k].box[d];
    }
    valid.push_back(static_cast<std::int64_t>(all.size()));
  }
  const DType dtype = ctx.in(0).dtype();
  ctx.Set(0, FromDoubles(dtype, {images, room, 4}, out_boxes));
  ctx.Set(1, FromDoubles(dtype, {images, room}, out_scores));
  ctx.Set(2, FromDoubles(dtype, {images, room}, out_kinds));
  ctx.Set(3, FromInts(DType::kI32, {images}, valid));
  return {};
}

std::vector<Sample> CombinedSamples() {
  const Literal boxes =
      Values({1, 4, 1, 4}, {0, 0, 0.5, 0.5, 0, 0.0625, 0.5, 0.5625, 0.5, 0.5, 1.25, 1, 0.25, 0.25, 0.75, 0.75});
  const Literal scores = Values({1, 4, 2}, {0.875, 0.125, 0.75, 0.5, 0.625, 0.25, 0.375, 0.6875});
  const Literal own = Values({1, 2, 2, 4}, {0, 0, 1, 1, 0, 0, 0.5, 0.5, 0, 0, 1, 0.875, 0.5, 0.5, 1, 1});
  const auto attrs = [](std::int64_t each, std::int64_t total, bool pad, bool clip) {
    return Attrs{{"max_per_class", each},     {"max_total", total},   {"iou_threshold", 0.5},
                 {"score_threshold", 0.1875}, {"pad_per_class", pad}, {"clip_boxes", clip}};
  };
  return {
      {.name = "shared", .inputs = {boxes, scores}, .attrs = attrs(3, 5, false, true)},
      {.name = "unclipped", .inputs = {boxes, scores}, .attrs = attrs(2, 3, false, false)},
      {.name = "per_class", .inputs = {boxes, scores}, .attrs = attrs(1, 9, true, true)},
      {.name = "own", .inputs = {own, Values({1, 2, 2}, {0.5, 0.25, 0.75, 0.625})}, .attrs = attrs(2, 4, false, true)},
      {.name = "flat", .inputs = {Random({3, 4}, 1), scores}, .attrs = attrs(1, 1, false, true), .error = "c1"},
      {.name = "many", .inputs = {boxes, Random({1, 3, 2}, 1)}, .attrs = attrs(1, 1, false, true), .error = "c2"},
      {.name = "negative", .inputs = {boxes, scores}, .attrs = attrs(-1, 1, false, true), .error = "c3"}};
}

constinit const OpDef kOps[] = {
    {.name = "combined_non_max_suppression",
     .summary = "Of every image the boxes of best score, over all classes, without those that overlap a better one of "
                "their class too much; filled up with zeros.",
     .inputs = {{.name = "boxes",
                 .dtypes = kFloatSet,
                 .flags = kNotDifferentiable,
                 .doc = "[N, B, Q, 4]: y, x of two opposite corners; Q is 1 or the number of classes"},
                {.name = "scores", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[N, B, C]"}},
     .outputs =
         {{.name = "best", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[N, K, 4]"},
          {.name = "best_scores", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[N, K]"},
          {.name = "classes", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[N, K]"},
          {.name = "count", .type = "I", .dtypes = Only(DType::kI32), .flags = kNotDifferentiable, .doc = "[N]"}},
     .attrs = {Required("max_per_class", AttrKind::kInt, "how many of a class at most"),
               Required("max_total", AttrKind::kInt, "K: how many of an image at most"),
               FloatAttr("iou_threshold", 0.5, "an overlap (intersection / union) above it is too much"),
               FloatAttr("score_threshold", 0, "only scores above it"),
               BoolAttr("pad_per_class", false, "K is not above max_per_class times C"),
               BoolAttr("clip_boxes", true, "coordinates of the result stay in [0, 1]")},
     .traits = kDiscrete | kExact,
     .infer = InferCombined,
     .eval = EvalCombined,
     .samples = CombinedSamples},
};

}  // namespace
extern const std::span<const OpDef> detection_combined_ops;
constinit const std::span<const OpDef> detection_combined_ops{kOps};
}  // namespace tenon::ir::ops
