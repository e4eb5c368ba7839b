// Sliding windows: what convolution and pooling share. Layouts name the axes of data (N batch, C channel, spatial D, H,
// W) and of kernels (I input channel, O output channel, spatial).
#pragma once
#include <array>
#include <optional>
#include <string_view>

#include "ops/array_util.h"

namespace tenon::ir::ops {

struct DataLayout {
  int batch = 0, channel = 0;
  std::vector<int> spatial;  // axes, outermost first
  int rank() const { return static_cast<int>(spatial.size()) + 2; }
};
/// NWC, NCW, NHWC, NCHW, NDHWC, NCDHW; nothing for another text.
std::optional<DataLayout> ParseDataLayout(std::string_view text);
/// WIO, OIW, HWIO, OIHW, DHWIO, OIDHW: `batch` is O, `channel` is I.
std::optional<DataLayout> ParseKernelLayout(std::string_view text);

/// The window attributes of a record, shared by convolution and pooling.
inline constexpr AttrSpec kStridesAttr = IntsAttr("strides", "one per spatial axis");
inline constexpr AttrSpec kPaddingAttr =
    IntsAttr("padding", "[low, high] of each spatial axis in turn; empty: none. Only with auto_pad explicit");
inline constexpr AttrSpec kDilationsAttr = IntsAttr("dilations", "steps between taps; empty: all 1");
inline constexpr AttrSpec kAutoPadAttr = StringAttr("auto_pad", "explicit",
                                                    "explicit; valid: none; same_upper, same_lower: ceil(in / stride) "
                                                    "results, an odd padding more at the end, beginning");
inline constexpr AttrSpec kLayoutAttr = StringAttr("layout", "NHWC", "axes of the data: N[D[H]]WC or NC[D[H]]W");

/// Checks strides, padding, dilations and auto_pad for that many spatial axes: the error of constraint 2.
Status CheckWindow(const InferContext& ctx, std::size_t spatial);
/// The result dim of spatial axis i: with `in` elements, a window of `window` taps and the attributes of the context.
/// `ceil_mode` lets a last window start inside the data or the low padding and reach past the high padding. The error
/// of constraint 3 when the window is known not to fit.
Result<Dim> WindowedDim(const InferContext& ctx, std::size_t i, const Dim& in, const Dim& window,
                        const Dim& default_stride, bool ceil_mode);

/// One spatial axis with numbers: result o, tap k reads position o * stride + k * dilation - low.
struct WindowAxis {
  std::int64_t in = 1, out = 1, window = 1, stride = 1, dilation = 1, low = 0, high = 0;
  std::int64_t position(std::int64_t o, std::int64_t k) const { return o * stride + k * dilation - low; }
};
/// Of spatial axis i. `stride` is what an empty list means.
WindowAxis ResolveWindow(const Attrs& attrs, std::size_t i, std::int64_t in, std::int64_t out, std::int64_t window,
                         std::int64_t default_stride);

/// Three spatial axes (missing leading ones have one element) with the element steps of each array along them.
struct Steps {
  std::int64_t batch = 0, channel = 0;
  std::array<std::int64_t, 3> spatial = {0, 0, 0};
};
Steps StepsOf(std::span<const std::int64_t> dims, const DataLayout& layout);

}  // namespace tenon::ir::ops
