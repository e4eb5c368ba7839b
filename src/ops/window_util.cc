#include "ops/window_util.h"

#include <algorithm>

namespace tenon::ir::ops {
namespace {

std::optional<DataLayout> Parse(std::string_view text, std::initializer_list<std::string_view> allowed, char batch,
                                char channel) {
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) return std::nullopt;
  DataLayout layout;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int axis = static_cast<int>(i);
    if (text[i] == batch)
      layout.batch = axis;
    else if (text[i] == channel)
      layout.channel = axis;
    else
      layout.spatial.push_back(axis);
  }
  return layout;
}

std::int64_t At(const std::vector<std::int64_t>& list, std::size_t i, std::int64_t otherwise) {
  return list.empty() ? otherwise : list[i];
}

}  // namespace

std::optional<DataLayout> ParseDataLayout(std::string_view text) {
  return Parse(text, {"NWC", "NCW", "NHWC", "NCHW", "NDHWC", "NCDHW"}, 'N', 'C');
}
std::optional<DataLayout> ParseKernelLayout(std::string_view text) {
  return Parse(text, {"WIO", "OIW", "HWIO", "OIHW", "DHWIO", "OIDHW"}, 'O', 'I');
}

Status CheckWindow(const InferContext& ctx, std::size_t spatial) {
  const Attrs& a = ctx.attrs();
  const auto check = [&](std::string_view name, std::size_t want, std::int64_t least) -> Status {
    const std::vector<std::int64_t>& list = a.Ints(name);
    if (!list.empty() && list.size() != want)
      return ctx.Fail(
          2, "got " + std::to_string(list.size()) + " " + std::string(name) + ", expected " + std::to_string(want));
    for (const std::int64_t v : list)
      if (v < least || v > (std::int64_t{1} << 31))
        return ctx.Fail(2, "got " + std::to_string(v) + " in " + std::string(name) + ", expected " +
                               std::to_string(least) + " or more (and at most 2^31)");
    return {};
  };
  TENON_RETURN_IF_ERROR(check("strides", spatial, 1));
  TENON_RETURN_IF_ERROR(check("dilations", spatial, 1));
  TENON_RETURN_IF_ERROR(check("padding", 2 * spatial, 0));
  const std::string& pad = a.String("auto_pad");
  if (pad != "explicit" && pad != "valid" && pad != "same_upper" && pad != "same_lower")
    return ctx.Fail(2, "got auto_pad \"" + pad + "\", expected explicit, valid, same_upper or same_lower");
  if (pad != "explicit" && !a.Ints("padding").empty())
    return ctx.Fail(2, "got padding beside auto_pad \"" + pad + "\", expected one of them");
  return {};
}

Result<Dim> WindowedDim(const InferContext& ctx, std::size_t i, const Dim& in, const Dim& window,
                        const Dim& default_stride, bool ceil_mode) {
  const Attrs& a = ctx.attrs();
  const std::string& pad = a.String("auto_pad");
  const Dim stride = a.Ints("strides").empty() ? default_stride : Dim(a.Ints("strides")[i]);
  if (pad == "same_upper" || pad == "same_lower") return Dim::ceil_div(in, stride);
  const std::int64_t low = At(a.Ints("padding"), 2 * i, 0), high = At(a.Ints("padding"), 2 * i + 1, 0);
  const Dim extent = (window - 1) * At(a.Ints("dilations"), i, 1) + 1;
  const Dim room = in + low + high - extent;
  if (KnownLess(ceil_mode ? room + stride - 1 : room, 0))
    return ctx.Fail(3, "got " + in.to_string() + " elements with padding " + std::to_string(low) + " and " +
                           std::to_string(high) + " at spatial axis " + std::to_string(i) +
                           " for a window that spans " + extent.to_string() + ", expected at least as many");
  if (!ceil_mode) return Dim::floor_div(room, stride) + 1;
  return Dim::min(Dim::ceil_div(room, stride) + 1, Dim::floor_div(in + low - 1, stride) + 1);
}

WindowAxis ResolveWindow(const Attrs& attrs, std::size_t i, std::int64_t in, std::int64_t out, std::int64_t window,
                         std::int64_t default_stride) {
  WindowAxis w;
  w.in = in;
  w.out = out;
  w.window = window;
  w.stride = At(attrs.Ints("strides"), i, default_stride);
  w.dilation = At(attrs.Ints("dilations"), i, 1);
  const std::string& pad = attrs.String("auto_pad");
  if (pad == "explicit") {
    w.low = At(attrs.Ints("padding"), 2 * i, 0);
    w.high = At(attrs.Ints("padding"), 2 * i + 1, 0);
  } else if (pad != "valid") {
    const std::int64_t total = std::max<std::int64_t>((out - 1) * w.stride + (window - 1) * w.dilation + 1 - in, 0);
    w.low = pad == "same_upper" ? total / 2 : total - total / 2;
    w.high = total - w.low;
  }
  return w;
}

Steps StepsOf(std::span<const std::int64_t> dims, const DataLayout& layout) {
  const std::vector<std::int64_t> strides = Strides(dims);
  Steps s;
  s.batch = strides[static_cast<std::size_t>(layout.batch)];
  s.channel = strides[static_cast<std::size_t>(layout.channel)];
  const std::size_t missing = 3 - layout.spatial.size();
  for (std::size_t i = 0; i < layout.spatial.size(); ++i)
    s.spatial[missing + i] = strides[static_cast<std::size_t>(layout.spatial[i])];
  return s;
}

}  // namespace tenon::ir::ops
