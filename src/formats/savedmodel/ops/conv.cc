// Convolution, pooling, batch normalisation.
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Ints = std::vector<std::int64_t>;

/// Where data_format puts the axes: "NHWC", "NCHW", "NDHWC", "NCDHW".
struct Layout {
  std::string name;
  bool channels_last = true;
  int spatial = 2;  // number of spatial axes
  int channel_axis() const { return channels_last ? spatial + 1 : 1; }
  int first() const { return channels_last ? 1 : 2; }
  /// The entries of the spatial axes; all 1 when the list is empty.
  Ints Spatial(const Ints& list) const {
    if (list.size() != static_cast<std::size_t>(spatial) + 2) return Ints(static_cast<std::size_t>(spatial), 1);
    return Ints(list.begin() + first(), list.begin() + first() + spatial);
  }
};

Layout LayoutOf(const OpContext& c, int spatial) {
  Layout layout;
  layout.spatial = spatial;
  layout.name = c.String("data_format", spatial == 3 ? "NDHWC" : "NHWC");
  layout.channels_last = layout.name.size() > 1 && layout.name[1] != 'C';
  return layout;
}

/// strides, padding and dilations of a window as our attributes.
Status Window(const OpContext& c, const Layout& layout, bool dilated, ir::Attrs& attrs) {
  const Ints strides = c.Ints("strides"), dilations = c.Ints("dilations");
  const auto outer = [&](const Ints& list) {  // entries of batch and channel must be 1
    return list.size() == static_cast<std::size_t>(layout.spatial) + 2 &&
           (list[0] != 1 || list[static_cast<std::size_t>(layout.channel_axis())] != 1);
  };
  if (outer(strides) || outer(dilations)) return c.Unsupported("strides or dilations over batch or channels");
  attrs.Set("strides", layout.Spatial(strides));
  if (dilated) attrs.Set("dilations", layout.Spatial(dilations));
  const std::string padding = c.String("padding", "VALID");
  if (padding == "SAME") {
    attrs.Set("auto_pad", std::string("same_upper"));
  } else if (padding == "VALID") {
    attrs.Set("auto_pad", std::string("valid"));
  } else if (padding == "EXPLICIT") {
    const Ints all = c.Ints("explicit_paddings");
    if (all.size() != 2 * static_cast<std::size_t>(layout.spatial + 2))
      return c.Fail("explicit_paddings has the wrong length");
    attrs.Set("padding", Ints(all.begin() + 2 * layout.first(), all.begin() + 2 * (layout.first() + layout.spatial)));
  } else {
    return c.Fail(fmt::format("got padding {:?}, expected SAME, VALID or EXPLICIT", padding));
  }
  attrs.Set("layout", layout.name);
  return {};
}

/// The number of a dim that must be known.
std::int64_t Known(OpContext& c, Value v, int axis, std::string_view what) {
  if (c.rank(v) <= axis) return 0;
  const Dim dim = c.shape(v)[axis];
  if (!dim.is_symbolic() && dim.value() > 0) return dim.value();
  c.b.SetStatus(c.Unsupported(fmt::format("{} is {}, expected a number above 0", what, dim.to_string())));
  return 0;
}

std::string KernelLayout(int spatial) { return spatial == 3 ? "DHWIO" : "HWIO"; }

Status Conv(OpContext& c) {
  const int spatial = c.node.op == "Conv3D" ? 3 : 2;
  const Layout layout = LayoutOf(c, spatial);
  const Value x = c.in(0), kernel = c.in(1);
  ir::Attrs attrs{{"kernel_layout", KernelLayout(spatial)}};
  TENON_RETURN_IF_ERROR(Window(c, layout, true, attrs));
  const std::int64_t in = Known(c, x, layout.channel_axis(), "the number of channels");
  const std::int64_t each = Known(c, kernel, spatial, "the kernel's number of channels");
  if (!c.b.ok()) return {};
  if (in % each != 0) return c.Fail(fmt::format("{} channels for a kernel of {}", in, each));
  attrs.Set("groups", in / each);
  c.Set(c.b.Add("conv", {x, kernel}, std::move(attrs)));
  return {};
}

/// The kernel [H, W, channels, multiplier] is that of a convolution of one group for each channel.
Status Depthwise(OpContext& c) {
  const Layout layout = LayoutOf(c, 2);
  const Value x = c.in(0);
  Value kernel = c.in(1);
  ir::Attrs attrs{{"kernel_layout", std::string("HWIO")}};
  TENON_RETURN_IF_ERROR(Window(c, layout, true, attrs));
  const std::int64_t channels = Known(c, kernel, 2, "the kernel's number of channels");
  const std::int64_t multiplier = Known(c, kernel, 3, "the kernel's multiplier");
  if (!c.b.ok()) return {};
  const Shape& shape = c.shape(kernel);
  kernel = c.b.Reshape(kernel, Shape{shape[0], shape[1], 1, channels * multiplier});
  attrs.Set("groups", channels);
  c.Set(c.b.Add("conv", {x, kernel}, std::move(attrs)));
  return {};
}

/// Transposed convolution: the gradient of a convolution with respect to its input, of the size given on input 0.
Status ConvTranspose(OpContext& c) {
  const int spatial = c.node.op.starts_with("Conv3D") ? 3 : 2;
  const Layout layout = LayoutOf(c, spatial);
  const auto sizes = c.dims(0);
  if (!sizes) return c.Unsupported("to a size that is known only at run time");
  const Value kernel = c.in(1), dy = c.in(2);
  ir::Attrs attrs{{"kernel_layout", KernelLayout(spatial)}};
  TENON_RETURN_IF_ERROR(Window(c, layout, true, attrs));
  const std::int64_t each = Known(c, kernel, spatial, "the kernel's number of channels");
  if (!c.b.ok()) return {};
  const auto channel = static_cast<std::size_t>(layout.channel_axis());
  if (sizes->size() != static_cast<std::size_t>(spatial) + 2 || (*sizes)[channel].is_symbolic())
    return c.Fail("its sizes do not fit its rank");
  attrs.Set("groups", (*sizes)[channel].value() / each);
  const Value like = c.b.Add("broadcast_to", {c.b.Scalar(0, c.b.dtype(dy))}, {{"dims", Shape(*sizes)}});
  c.Set(c.b.Add("conv_input_grad", {dy, kernel, like}, std::move(attrs)));
  return {};
}

Status Pool(OpContext& c) {
  const Layout layout = LayoutOf(c, c.node.op.ends_with("3D") ? 3 : 2);
  const Ints window = c.Ints("ksize");
  if (window.size() != static_cast<std::size_t>(layout.spatial) + 2) return c.Fail("ksize has the wrong length");
  if (window[0] != 1 || window[static_cast<std::size_t>(layout.channel_axis())] != 1)
    return c.Unsupported("a window over batch or channels");
  ir::Attrs attrs{{"window", layout.Spatial(window)}};
  TENON_RETURN_IF_ERROR(Window(c, layout, false, attrs));
  c.Set(c.b.Add(c.node.op.starts_with("Max") ? "max_pool" : "avg_pool", {c.in(0)}, std::move(attrs)));
  return {};
}

/// The maximum of each window and where it stands: (row * width + column) * channels + channel, on request counted
/// through the whole batch.
Status PoolArgmax(OpContext& c) {
  const Layout layout = LayoutOf(c, 2);
  const Ints window = c.Ints("ksize");
  const Value x = c.in(0);
  if (c.rank(x) != 4 || window.size() != 4 || layout.name != "NHWC") return c.Unsupported("of other than NHWC images");
  if (window[0] != 1 || window[3] != 1) return c.Unsupported("a window over batch or channels");
  ir::Attrs attrs{{"window", layout.Spatial(window)}};
  TENON_RETURN_IF_ERROR(Window(c, layout, false, attrs));
  c.Set(0, c.b.Add("max_pool", {x}, attrs));
  std::vector<Dim> dims = c.shape(x).dims();
  if (!c.Bool("include_batch_in_index", false)) dims[0] = 1;
  const Dim count = Shape(dims).size();
  Value place = c.b.Add("iota", {}, {{"dims", Shape{count}}, {"axis", std::int64_t{0}}, {"dtype", DType::kF64}});
  place = c.b.Add("broadcast_to", {c.b.Reshape(place, Shape(dims))}, {{"dims", c.shape(x)}});
  c.Set(1, c.b.Cast(c.b.Add("max_pool_gather", {place, c.b.Cast(x, DType::kF64)}, attrs),
                    c.Type("Targmax").value_or(DType::kI64)));
  return {};
}

/// MaxPoolV2: the window and strides are inputs.
Status PoolV2(OpContext& c) {
  const Layout layout = LayoutOf(c, 2);
  const Ints window = c.ints(1), strides = c.ints(2);
  if (!c.b.ok()) return {};
  ir::Attrs attrs{{"window", layout.Spatial(window)}};
  TENON_RETURN_IF_ERROR(Window(c, layout, false, attrs));
  attrs.Set("strides", layout.Spatial(strides));
  c.Set(c.b.Add("max_pool", {c.in(0)}, std::move(attrs)));
  return {};
}

Status FusedBatchNorm(OpContext& c) {
  const std::string format = c.String("data_format", "NHWC");
  const std::int64_t axis = format.size() > 1 && format[1] == 'C' ? 1 : -1;
  const double epsilon = c.Float("epsilon", 1e-4f);
  Value x = c.in(0);
  const Value scale = c.in(1), offset = c.in(2), mean = c.in(3), variance = c.in(4);
  if (!c.b.ok()) return {};
  const DType dtype = c.b.dtype(x), statistics = c.b.dtype(scale);
  x = c.b.Cast(x, statistics);  // half inputs, float statistics
  if (!c.Bool("is_training", true)) {
    const Value y = c.b.Add("batch_norm", {x, mean, variance, scale, offset}, {{"axis", axis}, {"epsilon", epsilon}});
    c.Set(0, c.b.Cast(y, dtype));
    c.Set(1, mean);
    c.Set(2, variance);
    return {};
  }
  const std::vector<Value> out =
      c.b.AddAll("batch_norm_training", {x, scale, offset}, {{"axis", axis}, {"epsilon", epsilon}});
  if (out.size() < 3) return {};
  // The variance it gives is the unbiased one: n / (n - 1) of the population's.
  Dim count = 1;
  const int channel = axis < 0 ? c.rank(x) - 1 : 1;
  for (int d = 0; d < c.rank(x); ++d)
    if (d != channel) count = count * c.shape(x)[d];
  if (count.is_symbolic()) return c.Unsupported("training over a batch whose size is known only at run time");
  const auto n = static_cast<double>(count.value());
  Value new_mean = out[1];
  Value new_variance = c.b.Add("multiply", {out[2], c.b.Scalar(n / std::max(n - 1, 1.0), statistics)});
  if (const double factor = c.Float("exponential_avg_factor", 1.0f); factor != 1) {
    const auto blend = [&](Value before, Value now) {
      return c.b.Add("add", {c.b.Add("multiply", {before, c.b.Scalar(1 - factor, statistics)}),
                             c.b.Add("multiply", {now, c.b.Scalar(factor, statistics)})});
    };
    new_mean = blend(mean, new_mean);
    new_variance = blend(variance, new_variance);
  }
  c.Set(0, c.b.Cast(out[0], dtype));
  c.Set(1, new_mean);
  c.Set(2, new_variance);
  return {};
}

/// y = x / (bias + alpha * sum of squares over 2r + 1 neighbouring channels)^beta
Status LocalResponse(OpContext& c) {
  const Value x = c.in(0);
  const std::int64_t radius = c.Int("depth_radius", 5);
  const int rank = c.rank(x);
  if (rank < 1 || radius < 0 || radius > 64) return c.Unsupported("a radius above 64");
  std::vector<Dim> pad(static_cast<std::size_t>(rank), Dim(0));
  pad.back() = radius;
  const Value squares = c.b.Add("pad", {c.b.Add("square", {x})}, {{"low", Shape(pad)}, {"high", Shape(pad)}});
  Value sum;
  for (std::int64_t k = 0; k <= 2 * radius && c.b.ok(); ++k) {
    std::vector<Dim> starts(static_cast<std::size_t>(rank), Dim(0)), limits = c.shape(x).dims();
    starts.back() = k;
    limits.back() = limits.back() + k;
    const Value part = c.b.Add("slice", {squares}, {{"starts", Shape(starts)}, {"limits", Shape(limits)}});
    sum = k == 0 ? part : c.b.Add("add", {sum, part});
  }
  const DType dtype = c.b.dtype(x);
  const Value scaled = c.b.Add("add", {c.b.Add("multiply", {sum, c.b.Scalar(c.Float("alpha", 1), dtype)}),
                                       c.b.Scalar(c.Float("bias", 1), dtype)});
  c.Set(c.b.Add("divide", {x, c.b.Add("power", {scaled, c.b.Scalar(c.Float("beta", 0.5f), dtype)})}));
  return {};
}

constexpr Rule kRules[] = {
    {"Conv2D", Conv},
    {"Conv3D", Conv},
    {"DepthwiseConv2dNative", Depthwise},
    {"Conv2DBackpropInput", ConvTranspose},
    {"Conv3DBackpropInputV2", ConvTranspose},
    {"MaxPool", Pool},
    {"MaxPool3D", Pool},
    {"AvgPool", Pool},
    {"AvgPool3D", Pool},
    {"MaxPoolV2", PoolV2},
    {"MaxPoolWithArgmax", PoolArgmax},
    {"FusedBatchNorm", FusedBatchNorm},
    {"FusedBatchNormV2", FusedBatchNorm},
    {"FusedBatchNormV3", FusedBatchNorm},
    {"LRN", LocalResponse},
};

}  // namespace

std::span<const Rule> ConvRules() { return kRules; }

}  // namespace tenon::savedmodel
