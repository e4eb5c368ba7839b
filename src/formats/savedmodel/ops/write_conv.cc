// Convolution, pooling and batch normalisation -> TensorFlow. Everything is written channels last (its CPU kernels know
// nothing else); one spatial axis becomes two, the first of size 1.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/status_macros.h"
#include "formats/savedmodel/writer.h"

namespace tenon::savedmodel {
namespace {

using Longs = std::vector<std::int64_t>;

Attrs PermAttrs(DType dtype) { return {{"T", TypeAttr(dtype)}, {"Tperm", TypeAttr(DType::kI32)}}; }

/// The window of a node: numbers for each spatial axis, one axis made two.
struct Window {
  int spatial = 2;  // of the node
  bool channels_last = true;
  Longs strides, dilations, taps;
  Longs low, high;  // explicit padding; empty with SAME
  bool same = false;

  bool padded() const {
    return std::ranges::any_of(low, [](std::int64_t p) { return p != 0; }) ||
           std::ranges::any_of(high, [](std::int64_t p) { return p != 0; });
  }
  int axes() const { return std::max(spatial, 2); }
  /// 1, the spatial entries, 1.
  Longs Full(const Longs& list) const {
    Longs out{1};
    out.insert(out.end(), list.begin(), list.end());
    out.push_back(1);
    return out;
  }
};

/// Prefixes an entry for the axis that is added to one spatial axis.
void Widen(Longs& list, int spatial, std::int64_t entry) {
  if (spatial == 1) list.insert(list.begin(), entry);
}

Dim SpatialDim(const ir::Type& type, const Window& w, int i) { return type.shape()[(w.channels_last ? 1 : 2) + i]; }

/// Reads the attributes. `in` and `out` are the types of data before and after the window.
Result<Window> WindowOf(WriteContext& c, const ir::Type& in, const ir::Type& out, Longs taps) {
  Window w;
  const std::string& layout = c.attrs().String("layout");
  w.spatial = static_cast<int>(layout.size()) - 2;
  w.channels_last = layout[1] != 'C';
  w.taps = std::move(taps);
  const auto count = static_cast<std::size_t>(w.spatial);
  w.strides = c.attrs().Ints("strides");
  if (w.strides.empty()) w.strides = c.node.op->name.find("pool") != std::string_view::npos ? w.taps : Longs(count, 1);
  w.dilations = c.attrs().Ints("dilations");
  if (w.dilations.empty()) w.dilations.assign(count, 1);
  const std::string& mode = c.attrs().String("auto_pad");
  const Longs& padding = c.attrs().Ints("padding");
  w.same = mode == "same_upper";
  const bool ceil = c.attrs().Has("ceil_mode") && c.attrs().Bool("ceil_mode");
  for (std::size_t i = 0; !w.same && i < count; ++i) {
    w.low.push_back(mode == "explicit" && !padding.empty() ? padding[2 * i] : 0);
    w.high.push_back(mode == "explicit" && !padding.empty() ? padding[2 * i + 1] : 0);
    if (mode != "same_lower" && !ceil) continue;
    const Dim before = SpatialDim(in, w, static_cast<int>(i)), after = SpatialDim(out, w, static_cast<int>(i));
    if (before.is_symbolic() || after.is_symbolic())
      return c.Unsupported(mode == "same_lower" ? "same_lower padding of a dim that is known only at run time"
                                                : "ceil_mode over a dim that is known only at run time");
    const std::int64_t span = (w.taps[i] - 1) * w.dilations[i] + 1;
    const std::int64_t needed = (after.value() - 1) * w.strides[i] + span - before.value();
    if (mode == "same_lower") {
      const std::int64_t total = std::max<std::int64_t>(needed, 0);
      w.low[i] = (total + 1) / 2;
      w.high[i] = total / 2;
    }
  }
  Widen(w.strides, w.spatial, 1);
  Widen(w.dilations, w.spatial, 1);
  Widen(w.taps, w.spatial, 1);
  if (!w.same) Widen(w.low, w.spatial, 0);
  if (!w.same) Widen(w.high, w.spatial, 0);
  return w;
}

/// x with channels last and at least two spatial axes.
std::string Data(WriteContext& c, std::string value, DType dtype, const Window& w) {
  if (!w.channels_last) {
    Longs order{0};
    for (int d = 0; d < w.spatial; ++d) order.push_back(d + 2);
    order.push_back(1);
    value = c.w.Emit("Transpose", {value, c.w.Ints(order)}, PermAttrs(dtype));
  }
  if (w.spatial == 1)
    value = c.w.Emit("ExpandDims", {value, c.w.Int(1)}, {{"T", TypeAttr(dtype)}, {"Tdim", TypeAttr(DType::kI32)}});
  return value;
}

/// The reverse, for a result.
std::string Back(WriteContext& c, std::string value, DType dtype, const Window& w) {
  if (w.spatial == 1) value = c.w.Emit("Squeeze", {value}, {{"T", TypeAttr(dtype)}, {"squeeze_dims", IntsAttr({1})}});
  if (!w.channels_last) {
    Longs order{0, w.spatial + 1};
    for (int d = 0; d < w.spatial; ++d) order.push_back(d + 1);
    value = c.w.Emit("Transpose", {value, c.w.Ints(order)}, PermAttrs(dtype));
  }
  return value;
}

/// The kernel as [spatial…, in, out].
std::string Kernel(WriteContext& c, int input, const Window& w) {
  std::string value = c.in(input);
  const DType dtype = c.dtype(input);
  if (c.attrs().String("kernel_layout")[0] == 'O') {
    Longs order;
    for (int d = 0; d < w.spatial; ++d) order.push_back(d + 2);
    order.push_back(1);
    order.push_back(0);
    value = c.w.Emit("Transpose", {value, c.w.Ints(order)}, PermAttrs(dtype));
  }
  if (w.spatial == 1)
    value = c.w.Emit("ExpandDims", {value, c.w.Int(0)}, {{"T", TypeAttr(dtype)}, {"Tdim", TypeAttr(DType::kI32)}});
  return value;
}

std::string PadWith(WriteContext& c, const std::string& value, DType dtype, const Longs& low, const Longs& high,
                    double fill) {
  std::vector<std::int32_t> amounts{0, 0};
  for (std::size_t d = 0; d < low.size(); ++d) {
    amounts.push_back(static_cast<std::int32_t>(low[d]));
    amounts.push_back(static_cast<std::int32_t>(high[d]));
  }
  amounts.insert(amounts.end(), {0, 0});
  const std::string table =
      c.w.Const(Literal::from<std::int32_t>({static_cast<std::int64_t>(low.size()) + 2, 2}, amounts));
  return c.w.Emit("PadV2", {value, table, c.w.Scalar(fill, dtype)},
                  {{"T", TypeAttr(dtype)}, {"Tpaddings", TypeAttr(DType::kI32)}});
}

/// The kernel's dims as (spatial taps, in per group, out); nullopt when one is symbolic.
struct KernelDims {
  Longs taps;
  std::int64_t in = 0, out = 0;
};
Result<KernelDims> DimsOf(WriteContext& c, int input) {
  if (!c.type(input).is_static()) return c.Unsupported("a kernel whose dims are known only at run time");
  const Longs dims = c.shape(input).values();
  KernelDims k;
  if (c.attrs().String("kernel_layout")[0] == 'O') {
    k = {Longs(dims.begin() + 2, dims.end()), dims[1], dims[0]};
  } else {
    k = {Longs(dims.begin(), dims.end() - 2), dims[dims.size() - 2], dims.back()};
  }
  return k;
}

/// padding, strides and dilations as attributes of a two-dimensional op.
void SetWindow(Attrs& attrs, const Window& w) {
  attrs["strides"] = IntsAttr(w.Full(w.strides));
  attrs["dilations"] = IntsAttr(w.Full(w.dilations));
  if (w.same || !w.padded()) {
    attrs["padding"] = StringAttr(w.same ? "SAME" : "VALID");
    return;
  }
  attrs["padding"] = StringAttr("EXPLICIT");
  Longs all{0, 0};
  for (std::size_t d = 0; d < w.low.size(); ++d) all.insert(all.end(), {w.low[d], w.high[d]});
  all.insert(all.end(), {0, 0});
  attrs["explicit_paddings"] = IntsAttr(all);
}

Status Conv(WriteContext& c) {
  if (!c.type().has_rank()) return c.Unsupported("data of unknown rank");
  TENON_ASSIGN_OR_RETURN(const KernelDims k, DimsOf(c, 1));
  TENON_ASSIGN_OR_RETURN(const Window w, WindowOf(c, c.type(), c.out_type(), k.taps));
  const DType dtype = c.dtype();
  const std::int64_t groups = c.attrs().Int("groups");
  std::string x = Data(c, c.in(0), dtype, w), kernel = Kernel(c, 1, w);
  const bool moved = w.spatial == 1 || !w.channels_last;
  const std::string_view name = moved ? std::string_view() : std::string_view(c.name());
  Attrs attrs{{"T", TypeAttr(dtype)}};
  std::string y;
  if (w.spatial == 3) {
    if (std::ranges::any_of(w.dilations, [](std::int64_t d) { return d != 1; }))
      return c.Unsupported("dilation in three dimensions");
    if (w.padded()) x = PadWith(c, x, dtype, w.low, w.high, 0);
    attrs["strides"] = IntsAttr(w.Full(w.strides));
    attrs["padding"] = StringAttr(w.same ? "SAME" : "VALID");
    y = c.w.Emit("Conv3D", {x, kernel}, std::move(attrs), name);
  } else {
    SetWindow(attrs, w);
    const bool plain = w.strides[0] == w.strides[1] && w.dilations == Longs{1, 1};
    if (groups > 1 && k.in == 1 && plain) {
      const Longs shape{w.taps[0], w.taps[1], groups, k.out / groups};
      kernel =
          c.w.Emit("Reshape", {kernel, c.w.Ints(shape)}, {{"T", TypeAttr(dtype)}, {"Tshape", TypeAttr(DType::kI32)}});
      y = c.w.Emit("DepthwiseConv2dNative", {x, kernel}, std::move(attrs), name);
    } else {
      y = c.w.Emit("Conv2D", {x, kernel}, std::move(attrs), name);
    }
  }
  c.Set(Back(c, y, dtype, w));
  return {};
}

Status ConvInputGrad(WriteContext& c) {
  if (!c.out_type().has_rank()) return c.Unsupported("data of unknown rank");
  TENON_ASSIGN_OR_RETURN(const KernelDims k, DimsOf(c, 1));
  TENON_ASSIGN_OR_RETURN(const Window w, WindowOf(c, c.out_type(), c.type(), k.taps));
  const DType dtype = c.dtype();
  const Shape& dims = c.out_type().shape();
  // The sizes of the result, channels last.
  std::vector<Dim> sizes{dims[0]};
  if (w.spatial == 1) sizes.emplace_back(1);
  for (int d = 0; d < w.spatial; ++d) sizes.push_back(SpatialDim(c.out_type(), w, d));
  sizes.push_back(dims[w.channels_last ? w.spatial + 1 : 1]);
  TENON_ASSIGN_OR_RETURN(const std::string size, c.w.ShapeVector(Shape(sizes)));
  if (c.attrs().Int("groups") != 1) return c.Unsupported("groups in a transposed convolution");
  const std::string dy = Data(c, c.in(0), dtype, w), kernel = Kernel(c, 1, w);
  Attrs attrs{{"T", TypeAttr(dtype)}};
  std::string dx;
  if (w.spatial == 3) {
    if (w.padded() || std::ranges::any_of(w.dilations, [](std::int64_t d) { return d != 1; }))
      return c.Unsupported("explicit padding or dilation in three dimensions");
    attrs["strides"] = IntsAttr(w.Full(w.strides));
    attrs["padding"] = StringAttr(w.same ? "SAME" : "VALID");
    dx = c.w.Emit("Conv3DBackpropInputV2", {size, kernel, dy}, std::move(attrs));
  } else {
    SetWindow(attrs, w);
    dx = c.w.Emit("Conv2DBackpropInput", {size, kernel, dy}, std::move(attrs));
  }
  c.Set(Back(c, dx, dtype, w));
  return {};
}

/// How far ceil_mode lets the last windows reach past the padding.
Longs Overhang(const WriteContext& c, const Window& w) {
  Longs extra(w.taps.size(), 0);
  if (w.same || !c.attrs().Bool("ceil_mode")) return extra;
  const auto skip = static_cast<std::size_t>(w.axes() - w.spatial);
  for (std::size_t i = skip; i < w.taps.size(); ++i) {
    const int axis = static_cast<int>(i - skip);
    const std::int64_t in = SpatialDim(c.type(), w, axis).value(), out = SpatialDim(c.out_type(), w, axis).value();
    extra[i] = std::max<std::int64_t>(0, (out - 1) * w.strides[i] + w.taps[i] - in - w.low[i] - w.high[i]);
  }
  return extra;
}

Status Pool(WriteContext& c) {
  if (!c.type().has_rank()) return c.Unsupported("data of unknown rank");
  TENON_ASSIGN_OR_RETURN(const Window w, WindowOf(c, c.type(), c.out_type(), c.attrs().Ints("window")));
  if (std::ranges::any_of(w.dilations, [](std::int64_t d) { return d != 1; })) return c.Unsupported("dilated windows");
  const bool max = c.node.op->name == "max_pool";
  const DType dtype = c.dtype();
  const bool include = !max && c.attrs().Bool("count_include_pad");
  if (include && w.same) return c.Unsupported("same padding whose taps count; give the padding in numbers");
  const Longs extra = Overhang(c, w), none(extra.size(), 0);
  const bool overhangs = extra != none;
  Attrs attrs{{"T", TypeAttr(dtype)},
              {"ksize", IntsAttr(w.Full(w.taps))},
              {"strides", IntsAttr(w.Full(w.strides))},
              {"padding", StringAttr(w.same ? "SAME" : "VALID")}};
  const std::string op = std::string(max ? "MaxPool" : "AvgPool") + (w.spatial == 3 ? "3D" : "");
  std::string x = Data(c, c.in(0), dtype, w);
  const std::string data = x;
  const double fill = max ? (is_float(dtype) ? -std::numeric_limits<double>::infinity() : -2147483648.0) : 0;
  if (max && (w.padded() || overhangs) && !is_float(dtype) && dtype != DType::kI32)
    return c.Unsupported("padded integers");
  if (w.padded()) x = PadWith(c, x, dtype, w.low, w.high, fill);
  if (overhangs) x = PadWith(c, x, dtype, none, extra, fill);
  const bool plain = w.spatial != 1 && w.channels_last;
  const bool counted = !max && !w.same && ((w.padded() && !include) || overhangs);
  std::string y = c.w.Emit(op, {x}, attrs, plain && !counted ? std::string_view(c.name()) : std::string_view());
  if (counted) {
    // Divide by the part of each window that counts: the average of ones that are padded with zeros.
    std::string ones = c.w.Emit("OnesLike", {data}, {{"T", TypeAttr(dtype)}});
    if (w.padded()) ones = PadWith(c, ones, dtype, w.low, w.high, include ? 1 : 0);
    if (overhangs) ones = PadWith(c, ones, dtype, none, extra, 0);
    y = c.w.Emit("RealDiv", {y, c.w.Emit(op, {ones}, attrs)}, {{"T", TypeAttr(dtype)}},
                 plain ? std::string_view(c.name()) : std::string_view());
  }
  c.Set(Back(c, y, dtype, w));
  return {};
}

Status BatchNorm(WriteContext& c) {
  const std::string node = c.w.Node("FusedBatchNormV3", {c.in(0), c.in(3), c.in(4), c.in(1), c.in(2)},
                                    {{"T", TypeAttr(c.dtype())},
                                     {"U", TypeAttr(DType::kF32)},
                                     {"epsilon", FloatAttr(c.attrs().Float("epsilon"))},
                                     {"is_training", BoolAttr(false)}},
                                    c.name());
  c.Set(node + ":y:0");
  return {};
}
/// The fused op is for images in float; everything else is computed from its formula.
bool CanBatchNorm(const ir::Graph& graph, const ir::Node& node) {
  if (node.inputs.size() < 5) return false;
  for (const ir::Value v : node.inputs)
    if (!v.valid() || graph.type(v).dtype() != DType::kF32) return false;
  const ir::Type& type = graph.type(node.inputs[0]);
  const std::int64_t axis = node.attrs.Int("axis");
  return type.has_rank() && type.rank() == 4 && (axis == -1 || axis == 3);
}

constexpr WriteRule kRules[] = {
    {"conv", Conv},     {"conv_input_grad", ConvInputGrad},      {"max_pool", Pool},
    {"avg_pool", Pool}, {"batch_norm", BatchNorm, CanBatchNorm},
};

}  // namespace

std::span<const WriteRule> WriteConvRules() { return kRules; }

}  // namespace tenon::savedmodel
