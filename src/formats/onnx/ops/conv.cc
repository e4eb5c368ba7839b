// Convolutions.
#include <fmt/format.h>

#include <algorithm>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/window.h"

namespace tenon::onnx {
namespace {

constexpr std::int64_t kMaxAmount = std::int64_t{1} << 31;

Result<Ints> PerAxis(NodeContext& n, std::string_view name, int spatial, std::int64_t otherwise, std::int64_t least) {
  Ints list = n.IntList(name);
  if (list.empty()) list.assign(static_cast<std::size_t>(spatial), otherwise);
  if (static_cast<int>(list.size()) != spatial)
    return n.Fail(fmt::format("{} has {} entries for {} spatial axes", name, list.size(), spatial));
  for (const std::int64_t i : list)
    if (i < least || i >= kMaxAmount) return n.Fail(fmt::format("{} holds {}, expected {} or more", name, i, least));
  return list;
}

}  // namespace

Ints Window::Padding() const {
  Ints out;
  if (auto_pad != "explicit") return out;
  for (std::size_t i = 0; i < low.size(); ++i) {
    out.push_back(low[i]);
    out.push_back(high[i]);
  }
  return out;
}

bool Window::PadsNothing() const {
  if (auto_pad != "explicit") return auto_pad == "valid";
  for (const std::int64_t i : Padding())
    if (i != 0) return false;
  return true;
}

Result<Window> ReadWindow(NodeContext& n, Value x, const Ints& kernel) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(x));
  Window w;
  w.spatial = rank - 2;
  if (w.spatial < 1) return n.Fail(fmt::format("got rank {}, expected at least 3", rank));
  if (w.spatial > 3) return n.Unsupported(fmt::format("{} spatial axes", w.spatial));
  w.layout = w.spatial == 1 ? "NCW" : w.spatial == 2 ? "NCHW" : "NCDHW";
  w.kernel_layout = w.spatial == 1 ? "OIW" : w.spatial == 2 ? "OIHW" : "OIDHW";
  if (kernel.empty() && !n.HasAttr("kernel_shape")) return n.Fail("the attribute \"kernel_shape\" is missing");
  w.kernel = kernel;
  if (n.HasAttr("kernel_shape")) {
    TENON_ASSIGN_OR_RETURN(w.kernel, PerAxis(n, "kernel_shape", w.spatial, 1, 1));
    if (!kernel.empty() && w.kernel != kernel)
      return n.Fail(fmt::format("kernel_shape is {}, but the weights' is {}", Shape(std::span(w.kernel)).to_string(),
                                Shape(std::span(kernel)).to_string()));
  }
  TENON_ASSIGN_OR_RETURN(w.strides, PerAxis(n, "strides", w.spatial, 1, 1));
  TENON_ASSIGN_OR_RETURN(w.dilations, PerAxis(n, "dilations", w.spatial, 1, 1));
  const std::string auto_pad = n.String("auto_pad", "NOTSET");
  if (auto_pad == "NOTSET") w.auto_pad = "explicit";
  if (auto_pad == "SAME_UPPER") w.auto_pad = "same_upper";
  if (auto_pad == "SAME_LOWER") w.auto_pad = "same_lower";
  if (auto_pad == "VALID") w.auto_pad = "valid";
  if (w.auto_pad.empty()) return n.Fail(fmt::format("auto_pad is \"{}\"", auto_pad));
  const auto axes = static_cast<std::size_t>(w.spatial);
  Ints pads = n.IntList("pads");
  if (pads.empty() || w.auto_pad != "explicit") pads.assign(2 * axes, 0);
  if (pads.size() != 2 * axes) return n.Fail(fmt::format("{} pads for {} spatial axes", pads.size(), axes));
  for (const std::int64_t i : pads)
    if (i < 0 || i >= kMaxAmount) return n.Fail(fmt::format("a pad of {}", i));
  w.low.assign(pads.begin(), pads.begin() + w.spatial);
  w.high.assign(pads.begin() + w.spatial, pads.end());
  return w;
}

Ex ChannelShape(NodeContext& n, Value v, int rank) {
  if (!n.b.ok()) return n.ex({});
  std::vector<Dim> dims(static_cast<std::size_t>(rank - 1), Dim(1));
  dims[0] = n.b.shape(v).size();
  return n.Reshape(v, std::move(dims));
}

namespace {

// Weights [out, in / groups, k…] or, transposed, [in, out / groups, k…].
struct Weights {
  Shape shape;
  Ints kernel;
  std::int64_t groups = 1;
};

Result<Weights> ReadWeights(NodeContext& n, Value x, Value w, bool transposed) {
  Weights out;
  TENON_ASSIGN_OR_RETURN(const Shape x_shape, n.ShapeOf(x));
  TENON_ASSIGN_OR_RETURN(out.shape, n.ShapeOf(w));
  if (out.shape.rank() != x_shape.rank())
    return n.Fail(fmt::format("weights of rank {} for an input of rank {}", out.shape.rank(), x_shape.rank()));
  if (x_shape.rank() < 3) return n.Fail(fmt::format("got rank {}, expected at least 3", x_shape.rank()));
  out.groups = n.Int("group", 1);
  if (out.groups < 1) return n.Fail(fmt::format("group is {}", out.groups));
  for (int i = 2; i < out.shape.rank(); ++i) {
    if (out.shape[i].is_symbolic()) return n.Unsupported("a kernel of unknown size");
    out.kernel.push_back(out.shape[i].value());
  }
  const Dim channels = x_shape[1], wanted = transposed ? out.shape[0] : out.shape[1] * out.groups;
  if (Dim::equal(channels, wanted) == Truth::kNo)
    return n.Fail(fmt::format("{} input channels, but the weights {} and {} groups need {}", channels.to_string(),
                              out.shape.to_string(), out.groups, wanted.to_string()));
  if (!out.shape[0].is_symbolic() && out.shape[0].value() % out.groups != 0)
    return n.Fail(fmt::format("{} groups do not divide {} channels", out.groups, out.shape[0].value()));
  return out;
}

ir::Attrs ConvAttrs(const Window& w, std::int64_t groups) {
  return {{"strides", w.strides},   {"padding", w.Padding()}, {"dilations", w.dilations},        {"groups", groups},
          {"auto_pad", w.auto_pad}, {"layout", w.layout},     {"kernel_layout", w.kernel_layout}};
}

Status Conv(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Weights weights, ReadWeights(n, n.in(0), n.in(1), false));
  TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, n.in(0), weights.kernel));
  Ex y = n.Apply("conv", {n.in(0), n.in(1)}, ConvAttrs(w, weights.groups));
  if (n.has(2)) y = y + ChannelShape(n, n.in(2), w.spatial + 2);
  n.Out(0, y);
  return {};
}

// int8 by int8 to int32, zero points taken off first (padding then stands for the zero point).
Status ConvInteger(NodeContext& n) {
  const auto centred = [&](int i, int zero) {
    const Ex x = n.ex(n.b.Cast(n.in(i), DType::kI32));
    if (!n.has(zero)) return x;
    const Ex z = n.ex(n.b.Cast(n.in(zero), DType::kI32));
    if (!n.b.ok() || n.b.shape(z).rank() == 0 || i == 0) return x - z;
    std::vector<Dim> dims(n.b.shape(x).dims().size(), Dim(1));
    dims[0] = n.b.shape(z)[0];
    return x - n.Reshape(z, std::move(dims));
  };
  TENON_ASSIGN_OR_RETURN(const Weights weights, ReadWeights(n, n.in(0), n.in(1), false));
  TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, n.in(0), weights.kernel));
  n.Out(0, n.Add("conv", {centred(0, 2), centred(1, 3)}, ConvAttrs(w, weights.groups)));
  return {};
}

// The gradient of a convolution by its input: out = stride (in - 1) + output_padding + dilated kernel - padding.
Status ConvTranspose(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Weights weights, ReadWeights(n, n.in(0), n.in(1), true));
  TENON_ASSIGN_OR_RETURN(Window w, ReadWindow(n, n.in(0), weights.kernel));
  TENON_ASSIGN_OR_RETURN(const Ints extra, PerAxis(n, "output_padding", w.spatial, 0, 0));
  const Ints output_shape = n.IntList("output_shape");
  const Shape x = n.b.shape(n.in(0));
  std::vector<Dim> dims = {x[0], weights.shape[1] * weights.groups};
  for (int i = 0; i < w.spatial; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const Dim full = w.strides[k] * (x[i + 2] - 1) + extra[k] + (weights.kernel[k] - 1) * w.dilations[k] + 1;
    if (output_shape.empty() && w.auto_pad.rfind("same", 0) != 0) {
      dims.push_back(full - w.low[k] - w.high[k]);
      continue;
    }
    if (!output_shape.empty() && static_cast<int>(output_shape.size()) < w.spatial)
      return n.Fail(fmt::format("output_shape has {} entries", output_shape.size()));
    const Dim wanted = output_shape.empty()
                           ? x[i + 2] * w.strides[k]
                           : Dim(output_shape[output_shape.size() - static_cast<std::size_t>(w.spatial) + k]);
    const Dim total = full - wanted;
    if (total.is_symbolic()) return n.Unsupported(fmt::format("output_shape with a padding of {}", total.to_string()));
    // Less than nothing to cut off: what the input does not reach stays 0, at the end.
    const std::int64_t cut = std::max<std::int64_t>(total.value(), 0), half = cut / 2;
    w.low[k] = w.auto_pad == "same_upper" ? half : cut - half;
    w.high[k] = cut - w.low[k];
    dims.push_back(wanted);
  }
  w.auto_pad = "explicit";
  const Ex like = n.Broadcast(n.Scalar(0, n.dtype(0)), dims);
  Ex y = n.Apply("conv_input_grad", {n.in(0), n.in(1), like}, ConvAttrs(w, weights.groups));
  if (n.has(2)) y = y + ChannelShape(n, n.in(2), w.spatial + 2);
  n.Out(0, y);
  return {};
}

constexpr std::string_view kAttrs = "auto_pad:s dilations:is group:i kernel_shape:is pads:is strides:is";

const OpRow kRows[] = {
    {"Conv", 2, 3, 1, kAttrs, Conv},
    {"ConvInteger", 2, 4, 1, kAttrs, ConvInteger},
    {"ConvTranspose", 2, 3, 1,
     "auto_pad:s dilations:is group:i kernel_shape:is pads:is strides:is output_padding:is output_shape:is",
     ConvTranspose},
};

}  // namespace
const std::span<const OpRow> kConvRows = kRows;
}  // namespace tenon::onnx
