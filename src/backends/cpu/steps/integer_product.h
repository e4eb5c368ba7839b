// Products of i32 tensors as places in memory: what dot_general and conv, whatever their axes, have in common, and the
// steps that compute them. Sums wrap modulo 2^32.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backends/cpu/emit/plan_builder.h"
#include "backends/cpu/steps/window.h"

namespace tenon::cpu {

using Places = std::vector<std::int64_t>;

/// The windows of a convolution over x.
struct IntegerWindow {
  std::vector<WindowAxis> axes;
  Places steps;                                 // of the spatial axes in x
  std::int64_t image = 0;                       // elements from image to image
  std::int64_t channels = 1, channel_step = 1;  // of one group
};

/// z[g, m, n] = sum over k of x[x_group[g] + row m, k] * y[y_group[g] + y_column[n] + y_k[k]], for places in elements.
struct IntegerProduct {
  std::int64_t groups = 1, m = 1, n = 1, k = 1;
  Places y_group, y_column, y_k;
  Places x_group;
  // The rows of x: places of m and of k; for a convolution, where a window may reach outside, `window` in their place.
  Places x_row, x_k;
  std::optional<IntegerWindow> window;
  // z: the place of (g, m, n) is z_group[g] + z_row(m) + n * z_column.
  Places z_group;
  std::int64_t z_row = 0, z_column = 1, z_image = 0, positions = 1;  // of a convolution: positions of one image
};

/// Rows and columns are brought into 16 bits, which holds what quantized models multiply (integers of 8 bits less a
/// zero point), and multiplied in panels of columns. Rows with larger numbers, or all of them when the second operand
/// has larger ones, are computed one by one. `what` begins the text of the step.
void AddIntegerProduct(PlanBuilder& b, std::int32_t node, IntegerProduct product, const char* what);

/// A convolution with one input and one output channel a group. All channels of a position at once where the channels
/// stand last in x and z (`last`), else plane by plane; then the elements of the last spatial axis lie together. At
/// most kMostDepthwiseTaps taps.
inline constexpr std::int64_t kMostDepthwiseTaps = 128;
void AddIntegerDepthwise(PlanBuilder& b, std::int32_t node, IntegerProduct product, bool last);

/// "product i32 4x8x16": groups where there are several, then m, n and k.
std::string ProductText(const char* what, const IntegerProduct& product);

}  // namespace tenon::cpu
