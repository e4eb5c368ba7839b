// Regions of images: roi_align, non_max_suppression.
#include <algorithm>
#include <array>
#include <cmath>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: x is [N, C, H, W]. c2: rois [R, 4] and batch_indices [R]. c3: sizes and mode.
Status InferRoiAlign(InferContext& ctx) {
  const std::int64_t h = ctx.attrs().Int("output_height"), w = ctx.attrs().Int("output_width");
  const std::string& mode = ctx.attrs().String("mode");
  if (h < 1 || w < 1 || h > (1 << 20) || w > (1 << 20) || ctx.attrs().Int("sampling_ratio") < 0 ||
      ctx.attrs().Int("sampling_ratio") > (1 << 10))
    return ctx.Fail(3, "got results of " + std::to_string(h) + " x " + std::to_string(w) + " and sampling_ratio " +
                           std::to_string(ctx.attrs().Int("sampling_ratio")));
  if (mode != "average" && mode != "maximum")
    return ctx.Fail(3, "got mode \"" + mode + "\", expected average or maximum");
  if (ctx.ranked(0) && ctx.rank(0) != 4)
    return ctx.Fail(1, "got x " + ctx.shape(0).to_string() + ", expected [N, C, H, W]");
  const bool rois = ctx.ranked(1) && (ctx.rank(1) != 2 || Differ(ctx.shape(1)[1], 4));
  const bool indices = ctx.ranked(2) && ctx.rank(2) != 1;
  const bool count = ctx.ranked(1) && ctx.ranked(2) && !rois && !indices && Differ(ctx.shape(1)[0], ctx.shape(2)[0]);
  if (rois || indices || count)
    return ctx.Fail(2, "got rois " + ctx.type(1).to_string() + " and batch_indices " + ctx.type(2).to_string() +
                           ", expected [R, 4] and [R]");
  const Dim r = ctx.ranked(1) ? ctx.shape(1)[0] : ctx.ranked(2) ? ctx.shape(2)[0] : ctx.FreshDim();
  ctx.Set(0, ctx.dtype(0), Shape({r, ctx.ranked(0) ? ctx.shape(0)[1] : ctx.FreshDim(), h, w}));
  return {};
}

// Four neighbours of a place with their weights; all 0 beyond the border.
struct Bilinear {
  std::array<std::size_t, 4> at = {0, 0, 0, 0};
  std::array<double, 4> weight = {0, 0, 0, 0};
};
Bilinear At(double y, double x, std::int64_t height, std::int64_t width) {
  Bilinear out;
  if (!(y >= -1 && y <= static_cast<double>(height) && x >= -1 && x <= static_cast<double>(width))) return out;
  const auto split = [](double v, std::int64_t size, std::int64_t* low, std::int64_t* high) {
    v = std::max(v, 0.0);
    *low = std::min(static_cast<std::int64_t>(v), size - 1);
    *high = std::min(*low + 1, size - 1);
    return *high == *low ? 0.0 : v - static_cast<double>(*low);
  };
  std::int64_t y0 = 0, y1 = 0, x0 = 0, x1 = 0;
  const double fy = split(y, height, &y0, &y1), fx = split(x, width, &x0, &x1);
  out.at = {Size(y0 * width + x0), Size(y0 * width + x1), Size(y1 * width + x0), Size(y1 * width + x1)};
  out.weight = {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx};
  return out;
}

Status EvalRoiAlign(EvalContext& ctx) {
  const std::vector<std::int64_t>& dims = ctx.in(0).dims();
  const std::int64_t channels = dims[1], height = dims[2], width = dims[3];
  const std::int64_t out_h = ctx.attrs().Int("output_height"), out_w = ctx.attrs().Int("output_width");
  const std::int64_t ratio = ctx.attrs().Int("sampling_ratio");
  const bool aligned = ctx.attrs().Bool("aligned"), average = ctx.attrs().String("mode") == "average";
  const double scale = ctx.attrs().Float("spatial_scale");
  const std::vector<double> x = ToDoubles(ctx.in(0)), rois = ToDoubles(ctx.in(1));
  const std::vector<std::int64_t> batch = ToInts(ctx.in(2));
  if (height < 1 || width < 1) return ctx.Fail("got an image without elements");
  std::vector<double> out;
  for (std::size_t r = 0; r < batch.size(); ++r) {
    if (batch[r] < 0 || batch[r] >= dims[0])
      return ctx.Fail("got image " + std::to_string(batch[r]) + " of " + std::to_string(dims[0]));
    const double offset = aligned ? 0.5 : 0.0;
    const double left = rois[4 * r] * scale - offset, top = rois[4 * r + 1] * scale - offset;
    double w = rois[4 * r + 2] * scale - offset - left, h = rois[4 * r + 3] * scale - offset - top;
    if (!aligned) {
      w = std::max(w, 1.0);
      h = std::max(h, 1.0);
    }
    const double bin_h = h / static_cast<double>(out_h), bin_w = w / static_cast<double>(out_w);
    const auto samples = [&](double bin) {  // at most one for each element of an image
      return ratio > 0 ? ratio : static_cast<std::int64_t>(std::clamp(std::ceil(bin), 0.0, 65536.0));
    };
    const std::int64_t count_h = samples(bin_h), count_w = samples(bin_w);
    const double count = static_cast<double>(std::max<std::int64_t>(count_h * count_w, 1));
    for (std::int64_t c = 0; c < channels; ++c) {
      const double* image = x.data() + (batch[r] * channels + c) * height * width;
      for (std::int64_t oy = 0; oy < out_h; ++oy)
        for (std::int64_t ox = 0; ox < out_w; ++ox) {
          double sum = 0, most = count_h * count_w > 0 ? -HUGE_VAL : 0;
          for (std::int64_t sy = 0; sy < count_h; ++sy)
            for (std::int64_t sx = 0; sx < count_w; ++sx) {
              const auto place = [](double start, double bin, std::int64_t o, std::int64_t s, std::int64_t n) {
                return start + bin * (static_cast<double>(o) + (static_cast<double>(s) + 0.5) / static_cast<double>(n));
              };
              const Bilinear b =
                  At(place(top, bin_h, oy, sy, count_h), place(left, bin_w, ox, sx, count_w), height, width);
              for (std::size_t k = 0; k < 4; ++k) {
                const double part = b.weight[k] * image[b.at[k]];
                sum += part;
                most = std::max(most, part);
              }
            }
          out.push_back(average ? sum / count : most);
        }
    }
  }
  ctx.Set(0, FromDoubles(ctx.out_dtype(), ctx.out_dims(), out));
  return {};
}

std::vector<Sample> RoiAlignSamples() {
  const Literal x = Random({2, 2, 6, 5}, 1), rois = Values({3, 4}, {0.5, 1, 4, 4.5, 0, 0, 2, 1.25, 1, 2, 9, 7}),
                batch = Ints({3}, {0, 1, 1});
  const auto sample = [&](const char* name, const char* mode, std::int64_t ratio, bool aligned, double scale) {
    return Sample{.name = name,
                  .inputs = {x, rois, batch},
                  .attrs = {{"output_height", std::int64_t{2}},
                            {"output_width", std::int64_t{3}},
                            {"sampling_ratio", ratio},
                            {"spatial_scale", scale},
                            {"mode", std::string(mode)},
                            {"aligned", aligned}},
                  .gradient = false};
  };
  Sample mode = sample("mode", "median", 2, true, 1), shape = sample("rois", "average", 2, true, 1), rank = shape;
  mode.error = "c3";
  shape.inputs[1] = Random({3, 5});
  shape.error = "c2";
  rank.name = "rank";
  rank.inputs[0] = Random({2, 6, 5});
  rank.error = "c1";
  return {sample("average", "average", 2, true, 1),
          sample("plain", "average", 2, false, 0.5),
          sample("adaptive", "average", 0, true, 1),
          sample("maximum", "maximum", 2, true, 1),
          mode,
          shape,
          rank};
}

// c1: boxes [N, B, 4] and scores [N, K, B].
Status InferSuppression(InferContext& ctx) {
  const bool boxes = ctx.ranked(0) && (ctx.rank(0) != 3 || Differ(ctx.shape(0)[2], 4));
  const bool scores = ctx.ranked(1) && ctx.rank(1) != 3;
  const bool sizes = ctx.ranked(0) && ctx.ranked(1) && !boxes && !scores &&
                     (Differ(ctx.shape(0)[0], ctx.shape(1)[0]) || Differ(ctx.shape(0)[1], ctx.shape(1)[2]));
  if (boxes || scores || sizes)
    return ctx.Fail(1, "got boxes " + ctx.type(0).to_string() + " and scores " + ctx.type(1).to_string() +
                           ", expected [N, B, 4] and [N, K, B]");
  for (int i = 2; i <= 4; ++i)  // c2: scalars
    if (ctx.has(i) && ctx.ranked(i) && ctx.rank(i) != 0)
      return ctx.Fail(2, "got " + ctx.type(i).to_string() + ", expected a scalar");
  ctx.Set(0, DType::kI64, Shape({ctx.FreshDim(), 3}));
  return {};
}

struct Box {
  double y0, x0, y1, x1;
  double area() const { return (y1 - y0) * (x1 - x0); }
};
Box BoxOf(const double* v, bool center) {
  if (center) return {v[1] - v[3] / 2, v[0] - v[2] / 2, v[1] + v[3] / 2, v[0] + v[2] / 2};
  return {std::min(v[0], v[2]), std::min(v[1], v[3]), std::max(v[0], v[2]), std::max(v[1], v[3])};
}
bool Overlap(const Box& a, const Box& b, double threshold) {
  const double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(w > 0 && h > 0) || !(a.area() > 0 && b.area() > 0)) return false;
  // As f32 would: a quotient that is the threshold there is not above it.
  return static_cast<float>(w * h / (a.area() + b.area() - w * h)) > static_cast<float>(threshold);
}

Status EvalSuppression(EvalContext& ctx) {
  const std::vector<double> boxes = ToDoubles(ctx.in(0)), scores = ToDoubles(ctx.in(1));
  const std::vector<std::int64_t>& dims = ctx.in(1).dims();
  const std::int64_t batch = dims[0], classes = dims[1], count = dims[2];
  const std::int64_t most = ctx.has(2) ? ToInts(ctx.in(2))[0] : 0;
  const double iou = ctx.has(3) ? ctx.in(3).at(0) : 0;
  const bool center = ctx.attrs().Bool("center_point_box");
  std::vector<std::int64_t> out;
  for (std::int64_t n = 0; n < batch; ++n)
    for (std::int64_t k = 0; k < classes; ++k) {
      const double* score = scores.data() + (n * classes + k) * count;
      std::vector<std::int64_t> order;
      for (std::int64_t i = 0; i < count; ++i)
        if (!ctx.has(4) || score[i] > ctx.in(4).at(0)) order.push_back(i);
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return score[a] > score[b]; });
      std::vector<Box> kept;
      for (const std::int64_t i : order) {
        if (static_cast<std::int64_t>(kept.size()) >= most) break;
        const Box box = BoxOf(boxes.data() + (n * count + i) * 4, center);
        if (std::any_of(kept.begin(), kept.end(), [&](const Box& other) { return Overlap(box, other, iou); })) continue;
        kept.push_back(box);
        for (const std::int64_t v : {n, k, i}) out.push_back(v);
      }
    }
  ctx.Set(0, Literal::from<std::int64_t>({static_cast<std::int64_t>(out.size() / 3), 3},
                                         std::span<const std::int64_t>(out)));
  return {};
}

std::vector<Sample> SuppressionSamples() {
  const Literal boxes = Values({1, 6, 4}, {0, 0,  1, 1,  0, 0.1,  1, 1.1,  0, -0.1, 1, 0.9,
                                           0, 10, 1, 11, 0, 10.1, 1, 11.1, 0, 100,  1, 101}),
                scores = Values({1, 2, 6}, {0.875, 0.75, 0.625, 0.9375, 0.5, 0.25, 0.25, 0.5, 0.75, 0.125, 0.375, 1}),
                most = Ints({}, {3}), iou = Values({}, {0.5});
  return {{.name = "plain", .inputs = {boxes, scores, most, iou}, .gradient = false},
          {.name = "scores", .inputs = {boxes, scores, most, iou, Values({}, {0.5})}, .gradient = false},
          {.name = "center",
           .inputs = {boxes, scores, most, iou},
           .attrs = {{"center_point_box", true}},
           .gradient = false},
          {.name = "none", .inputs = {boxes, scores}, .gradient = false},
          {.name = "ties",
           .inputs = {boxes, Values({1, 1, 6}, {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}), most, iou},
           .gradient = false},
          {.name = "shapes", .inputs = {boxes, Random({1, 6}), most, iou}, .error = "c1"},
          {.name = "vector", .inputs = {boxes, scores, Ints({1}, {3}), iou}, .error = "c2"}};
}

constinit const OpDef kOps[] = {
    {.name = "roi_align",
     .summary =
         "Regions of images [N, C, H, W] resampled to one size: each result is the mean of bilinear samples of its "
         "bin, or the largest weighted neighbour of them.",
     .inputs =
         {{.name = "x", .dtypes = kFloatSet, .flags = kNotDifferentiable},
          {.name = "rois", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[R, 4]: left, top, right, bottom"},
          {.name = "batch_indices", .type = "I", .dtypes = kIndexSet, .flags = kNotDifferentiable, .doc = "[R]"}},
     .outputs = {{.name = "y", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[R, C, height, width]"}},
     .attrs = {IntAttr("output_height", 1), IntAttr("output_width", 1),
               IntAttr("sampling_ratio", 0, "samples of a bin along an axis; 0: one for each element that it covers"),
               FloatAttr("spatial_scale", 1.0, "from the coordinates of rois to elements of x"),
               StringAttr("mode", "average", "average or maximum"),
               BoolAttr("aligned", true, "coordinates are those of element edges; else of centres, at least one wide")},
     .traits = kAccumulates,
     .infer = InferRoiAlign,
     .eval = EvalRoiAlign,
     .samples = RoiAlignSamples},
    {.name = "non_max_suppression",
     .summary = "Boxes by falling score, without those that overlap a kept one of their class too much: "
                "[n, (image, class, box)].",
     .inputs = {{.name = "boxes",
                 .dtypes = kFloatSet,
                 .flags = kNotDifferentiable,
                 .doc = "[N, B, 4]: y, x of two opposite corners"},
                {.name = "scores", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[N, K, B]"},
                {.name = "max_output",
                 .type = "I",
                 .dtypes = kIndexSet,
                 .flags = kOptional | kNotDifferentiable,
                 .doc = "how many of a class and image; 0 when left out"},
                {.name = "iou_threshold",
                 .dtypes = kFloatSet,
                 .flags = kOptional | kNotDifferentiable,
                 .doc = "an overlap (intersection / union) above it is too much; 0 when left out"},
                {.name = "score_threshold",
                 .dtypes = kFloatSet,
                 .flags = kOptional | kNotDifferentiable,
                 .doc = "only scores above it"}},
     .outputs = {{.name = "indices", .type = "O", .dtypes = Only(DType::kI64), .flags = kNotDifferentiable}},
     .attrs = {BoolAttr("center_point_box", false, "boxes are x and y of the centre, width, height")},
     .traits = kExact | kDiscrete,
     .infer = InferSuppression,
     .eval = EvalSuppression,
     .samples = SuppressionSamples},
};

}  // namespace
extern const std::span<const OpDef> detection_ops;
constinit const std::span<const OpDef> detection_ops{kOps};
}  // namespace tenon::ir::ops
