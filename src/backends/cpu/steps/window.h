// Sliding windows with numbers: the geometry of a convolution or pooling node.
#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "ir/attr.h"

namespace tenon::cpu {

/// Where the axes of a data or kernel layout stand. For kernels `batch` is O and `channel` is I.
struct Layout {
  int batch = 0, channel = 0;
  std::vector<int> spatial;  // outermost first
};
Layout DataLayout(std::string_view text);    // NHWC, NCHW, …
Layout KernelLayout(std::string_view text);  // HWIO, OIHW, …

struct WindowAxis {
  std::int64_t in = 1, out = 1, window = 1, stride = 1, dilation = 1;
  std::int64_t low = 0, high = 0;  // padding as the attributes say; with ceil_mode windows may reach past it
  std::int64_t position(std::int64_t o, std::int64_t k) const { return o * stride + k * dilation - low; }
  std::int64_t reach() const { return (window - 1) * dilation + 1; }
  /// The high padding that the last window needs; may be negative.
  std::int64_t needed_high() const { return (out - 1) * stride + reach() - in - low; }
};
/// Of each spatial axis. `default_to_window`: an empty strides list means the window (pooling), else 1.
std::vector<WindowAxis> ResolveWindows(const ir::Attrs& attrs, const Layout& layout,
                                       const std::vector<std::int64_t>& in, const std::vector<std::int64_t>& out,
                                       const std::vector<std::int64_t>& window, bool default_to_window);

}  // namespace tenon::cpu
