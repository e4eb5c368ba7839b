// Images read at computed places, regions, columns.
#include <fmt/format.h>

#include <limits>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/run_time.h"
#include "formats/onnx/ops/window.h"

namespace tenon::onnx {
namespace {

Status GridSample(NodeContext& n) {
  std::string mode = n.String("mode", n.opset < 20 ? "bilinear" : "linear");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  n.Out(0, n.Add("grid_sample", {n.in(0), n.in(1)},
                 {{"mode", mode},
                  {"padding_mode", n.String("padding_mode", "zeros")},
                  {"align_corners", n.Int("align_corners", 0) != 0}}));
  return {};
}

// theta [N, k, k + 1] times the places of an image of `size` [N, C, k spatial axes].
Status AffineGrid(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape theta, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const std::vector<Dim> size, DimsOf(n, n.in(1), "the size"));
  const int axes = static_cast<int>(size.size()) - 2;
  if (axes < 2 || axes > 3 || theta.rank() != 3 || Dim::equal(theta[1], axes) == Truth::kNo ||
      Dim::equal(theta[2], axes + 1) == Truth::kNo)
    return n.Fail(fmt::format("theta {} for a size of {} numbers", theta.to_string(), size.size()));
  const DType dtype = n.dtype(0);
  const bool align = n.Int("align_corners", 0) != 0;
  const std::vector<Dim> spatial(size.begin() + 2, size.end());
  const Dim places = Shape(spatial).size();
  std::vector<Value> columns;
  for (int i = axes; i-- > 0;) {  // x, y(, z), 1
    const auto at = static_cast<std::size_t>(i);
    const Ex count = n.ex(n.b.Cast(ElementOf(n, n.in(1), i + 2), dtype)), index = n.Iota(spatial[at], dtype);
    const Ex one = n.Scalar(1, dtype), zero = n.Scalar(0, dtype);
    const Ex line = align ? Select(Op("greater", count, one), index * 2.0 / Op("maximum", count - 1.0, one) - 1.0, zero)
                          : (index * 2.0 + 1.0) / count - 1.0;
    std::vector<Dim> dims(static_cast<std::size_t>(axes), Dim(1));
    dims[at] = spatial[at];
    columns.push_back(n.Reshape(n.Broadcast(n.Reshape(line, dims), spatial), {places, 1}));
  }
  columns.push_back(n.Broadcast(n.Scalar(1, dtype), {places, 1}));
  const Value base = n.Add("concat", std::move(columns), {{"axis", std::int64_t{1}}});
  const Ex grid = n.Apply("matmul", {base, n.in(0)}, {{"transpose_y", true}});  // [N, places, k]
  std::vector<Dim> dims = {theta[0]};
  dims.insert(dims.end(), spatial.begin(), spatial.end());
  dims.emplace_back(axes);
  n.Out(0, n.Reshape(grid, std::move(dims)));
  return {};
}

Status RoiAlign(NodeContext& n) {
  const std::string where =
      n.opset < 16 ? "output_half_pixel" : n.String("coordinate_transformation_mode", "half_pixel");
  if (where != "half_pixel" && where != "output_half_pixel")
    return n.Fail(fmt::format("coordinate_transformation_mode is \"{}\"", where));
  const std::string mode = n.String("mode", "avg");
  if (mode != "avg" && mode != "max") return n.Fail(fmt::format("mode is \"{}\", expected avg or max", mode));
  n.Out(0, n.Add("roi_align", {n.in(0), n.in(1), n.b.Cast(n.in(2), DType::kI64)},
                 {{"output_height", n.Int("output_height", 1)},
                  {"output_width", n.Int("output_width", 1)},
                  {"sampling_ratio", n.Int("sampling_ratio", 0)},
                  {"spatial_scale", n.Float("spatial_scale", 1)},
                  {"mode", std::string(mode == "avg" ? "average" : "maximum")},
                  {"aligned", where == "half_pixel"}}));
  return {};
}

// The largest element of each bin of a region (image, left, top, right, bottom in whole elements); 0 for an empty bin.
// First the rows of each bin, then its columns, are chosen by masks.
Status MaxRoiPool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape x, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape rois, n.ShapeOf(n.in(1)));
  const Ints pooled = n.IntList("pooled_shape");
  if (x.rank() != 4 || rois.rank() != 2 || Dim::equal(rois[1], 5) == Truth::kNo || pooled.size() != 2 ||
      pooled[0] < 1 || pooled[1] < 1 || pooled[0] > (1 << 16) || pooled[1] > (1 << 16))
    return n.Fail(
        fmt::format("x {}, rois {} and a pooled_shape of {} entries", x.to_string(), rois.to_string(), pooled.size()));
  const DType dtype = n.dtype(0);
  const Dim count = rois[0];
  const auto number = [&](double v) { return n.Scalar(v, dtype); };
  const auto column = [&](int i) { return n.Reshape(n.SliceAxis(n.in(1), 1, i, i + 1), {count, 1, 1}); };
  const auto rounded = [&](Ex v) {  // halves away from zero
    return Op("sign", v) * Op("floor", Op("abs", v) + 0.5);
  };
  const Value image = n.b.Cast(n.Reshape(n.SliceAxis(n.in(1), 1, 0, 1), {count}), DType::kI64);
  Ex y = n.Apply("gather", {n.in(0), image}, {{"axis", std::int64_t{0}}});  // [R, C, H, W]
  const Ex lowest = number(-std::numeric_limits<double>::infinity());
  for (const int axis : {0, 1}) {
    const Dim size = x[axis + 2], bins = pooled[static_cast<std::size_t>(axis)];
    const double scale = n.Float("spatial_scale", 1);
    const Ex start = rounded(column(2 - axis) * scale), end = rounded(column(4 - axis) * scale);
    const Ex each = Op("maximum", end - start + 1.0, number(1)) / static_cast<double>(bins.value());
    const Ex bin = n.Reshape(n.Iota(bins, dtype), {bins, 1}), at = n.Iota(size, dtype);
    const Ex inside = Op("logical_and", Op("greater_equal", at, Op("floor", bin * each) + start),
                         Op("less", at, Op("ceil", (bin + 1.0) * each) + start));  // [R, bins, size]
    const Dim wide = axis == 0 ? x[3] : Dim(pooled[0]);
    // The axis stands third (rows), then fourth behind the bins of the rows (columns).
    const Ex mask =
        axis == 0 ? n.Reshape(inside, {count, 1, bins, size, 1}) : n.Reshape(inside, {count, 1, 1, bins, size});
    y = axis == 0 ? n.Reshape(y, {count, x[1], 1, size, wide}) : n.Reshape(y, {count, x[1], wide, 1, size});
    y = n.Reduce("reduce_max", Select(mask, y, lowest), {axis == 0 ? 3 : 4}, false);
  }
  n.Out(0, Select(Op("equal", y, lowest), number(0), y));
  return {};
}

// The three limits are scalars or vectors of one element; one of none is left out.
Status NonMaxSuppression(NodeContext& n) {
  if (const std::int64_t center = n.Int("center_point_box", 0); center != 0 && center != 1)
    return n.Fail(fmt::format("center_point_box is {}", center));
  std::vector<Value> in = {n.in(0), n.in(1)};
  for (int i = 2; i < 5; ++i) {
    Value v = n.in(i);
    if (v.valid() && n.b.ranked(v) && n.b.shape(v).size() == Dim(0)) v = {};
    if (v.valid()) v = i == 2 ? ScalarOf(n, v) : n.Reshape(n.b.Cast(v, n.dtype(0)), {});
    in.push_back(v);
  }
  while (!in.back().valid()) in.pop_back();
  n.Out(0, n.Add("non_max_suppression", std::move(in), {{"center_point_box", n.Int("center_point_box", 0) != 0}}));
  return {};
}

Status Col2Im(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(std::vector<Dim> image, DimsOf(n, n.in(1), "image_shape"));
  TENON_ASSIGN_OR_RETURN(std::vector<Dim> block, DimsOf(n, n.in(2), "block_shape"));
  const std::size_t axes = block.size();
  const Ints pads = n.IntList("pads");
  if (!pads.empty() && pads.size() != 2 * axes)
    return n.Fail(fmt::format("{} pads for {} spatial axes", pads.size(), axes));
  Ints padding;  // ours alternates
  for (std::size_t i = 0; i < axes && !pads.empty(); ++i) {
    padding.push_back(pads[i]);
    padding.push_back(pads[axes + i]);
  }
  n.Out(0, n.Add("col2im", {n.in(0)},
                 {{"image_shape", Shape(std::move(image))},
                  {"block_shape", Shape(std::move(block))},
                  {"strides", n.IntList("strides")},
                  {"dilations", n.IntList("dilations")},
                  {"padding", padding}}));
  return {};
}

// Values written at the places that MaxPool's indices name, in the image that pooling of that window came from; a given
// output_shape adds zeros behind it.
Status MaxUnpool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, n.in(0), {}));
  TENON_ASSIGN_OR_RETURN(const Shape x, n.ShapeOf(n.in(0)));
  std::vector<Dim> dims = x.dims();
  for (std::size_t i = 0; i < w.kernel.size(); ++i)
    dims[i + 2] = (x.dims()[i + 2] - 1) * w.strides[i] - (w.low[i] + w.high[i]) + w.kernel[i];
  for (const Dim& d : dims)
    if (d.try_value().value_or(0) < 0)
      return n.Fail(fmt::format("{} unpools to {}", x.to_string(), Shape(dims).to_string()));
  const Value empty = n.Broadcast(n.Scalar(0, n.dtype(0)), {Shape(dims).size()});
  const Value places = n.Reshape(n.b.Cast(n.in(1), DType::kI64), {x.size(), 1});
  Ex y = n.Reshape(n.Add("scatter_nd", {empty, places, n.Reshape(n.in(0), {x.size()})}), dims);
  if (n.has(2)) {
    TENON_ASSIGN_OR_RETURN(const std::vector<Dim> want, DimsOf(n, n.in(2), "output_shape"));
    if (want.size() != dims.size()) return n.Fail(fmt::format("output_shape has {} entries", want.size()));
    std::vector<Dim> low(dims.size(), Dim(0)), high;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      high.push_back(want[i] - dims[i]);
      if (high[i].try_value().value_or(0) < 0)
        return n.Fail(fmt::format("output_shape {} for {}", Shape(want).to_string(), Shape(dims).to_string()));
    }
    y = n.Apply("pad", {y}, {{"low", Shape(low)}, {"high", Shape(high)}});
  }
  n.Out(0, y);
  return {};
}

// A convolution whose taps are moved by offsets [N, groups * kh * kw * 2, oh, ow] (y, x) and weighted by a mask: the
// taps are sampled, then multiplied with the weights as a matrix.
Status DeformConv(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape x, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape weights, n.ShapeOf(n.in(1)));
  TENON_ASSIGN_OR_RETURN(const Shape offset, n.ShapeOf(n.in(2)));
  if (x.rank() != 4 || weights.rank() != 4 || offset.rank() != 4)
    return n.Unsupported("an input that is not [N, C, H, W]");
  for (const Dim& d : weights.dims())
    if (d.is_symbolic()) return n.Unsupported("weights of unknown size");
  if (x[1].is_symbolic() || x[2].is_symbolic() || x[3].is_symbolic()) return n.Unsupported("an image of unknown size");
  const std::int64_t kh = weights[2].value(), kw = weights[3].value(), taps = kh * kw;
  TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, n.in(0), {kh, kw}));
  const std::int64_t channels = x[1].value(), outs = weights[0].value(), groups = n.Int("group", 1),
                     parts = n.Int("offset_group", 1);
  if (groups < 1 || parts < 1 || channels % groups != 0 || outs % groups != 0 || channels % parts != 0 ||
      weights[1] != Dim(channels / groups) || Dim::equal(offset[1], parts * taps * 2) == Truth::kNo)
    return n.Fail(fmt::format("x {}, weights {}, offset {}, group {}, offset_group {}", x.to_string(),
                              weights.to_string(), offset.to_string(), groups, parts));
  const DType place = DType::kF64;  // of coordinates: there and back without a trace in f32
  const Dim oh = offset[2], ow = offset[3], batch = x[0] * parts;
  const std::vector<Dim> grid_dims = {batch, kh, kw, oh, ow};
  // The place of each tap, in elements, then in the coordinates of grid_sample.
  const auto coordinate = [&](std::size_t i) {
    const Dim out = i == 0 ? oh : ow, taps_here = i == 0 ? kh : kw;
    std::vector<Dim> tap_dims = {1, 1, 1, 1, 1}, out_dims = tap_dims;
    tap_dims[1 + i] = taps_here;
    out_dims[3 + i] = out;
    const Ex tap = n.Reshape(n.Iota(taps_here, place) * static_cast<double>(w.dilations[i]), tap_dims);
    const Ex start =
        n.Reshape(n.Iota(out, place) * static_cast<double>(w.strides[i]) - static_cast<double>(w.low[i]), out_dims);
    const Ex moved = n.Reshape(n.SliceAxis(n.Reshape(n.b.Cast(n.in(2), place), {batch, taps, 2, oh, ow}), 2,
                                           static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1),
                               grid_dims);
    const double size = static_cast<double>(x[static_cast<int>(i) + 2].value());
    const Ex at = ((moved + (start + tap)) * 2.0 + 1.0) / size - 1.0;
    return n.Reshape(at, {batch, oh * taps, ow, 1});
  };
  const Value grid = n.Add("concat", {coordinate(1), coordinate(0)}, {{"axis", std::int64_t{-1}}});
  const Value image = n.Reshape(n.in(0), {batch, channels / parts, x[2], x[3]});
  Ex read = n.Apply("grid_sample", {image, grid});  // [batch, channels / parts, taps * oh, ow]
  if (n.has(4)) read = read * n.Reshape(n.in(4), {batch, 1, oh * taps, ow});
  const std::int64_t each = channels / groups;
  const Ex rows = n.Reshape(read, {x[0], groups, each * taps, oh * ow});
  Ex y = n.Apply("matmul", {n.Reshape(n.in(1), {groups, outs / groups, each * taps}), rows});
  y = n.Reshape(y, {x[0], outs, oh, ow});
  if (n.has(3)) y = y + ChannelShape(n, n.in(3), 4);
  n.Out(0, y);
  return {};
}

const OpRow kRows[] = {
    {"GridSample", 2, 2, 1, "align_corners:i mode:s padding_mode:s", GridSample},
    {"AffineGrid", 2, 2, 1, "align_corners:i", AffineGrid},
    {"RoiAlign", 3, 3, 1,
     "coordinate_transformation_mode:s mode:s output_height:i output_width:i sampling_ratio:i spatial_scale:f",
     RoiAlign},
    {"MaxRoiPool", 2, 2, 1, "pooled_shape:is spatial_scale:f", MaxRoiPool},
    {"NonMaxSuppression", 2, 5, 1, "center_point_box:i", NonMaxSuppression},
    {"Col2Im", 3, 3, 1, "dilations:is pads:is strides:is", Col2Im},
    {"MaxUnpool", 2, 3, 1, "kernel_shape:is pads:is strides:is", MaxUnpool},
    {"DeformConv", 3, 5, 1, "dilations:is group:i kernel_shape:is offset_group:i pads:is strides:is", DeformConv},
};

}  // namespace
const std::span<const OpRow> kVisionRows = kRows;
}  // namespace tenon::onnx
