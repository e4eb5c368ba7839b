// Windows that slide over spatial axes: what convolutions and poolings share.
#pragma once
#include <string>

#include "formats/onnx/node_context.h"

namespace tenon::onnx {

/// The window attributes of a node over x of layout N, C, then one to three spatial axes.
struct Window {
  int spatial = 0;
  Ints kernel, strides, dilations;
  Ints low, high;        // explicit padding
  std::string auto_pad;  // "explicit", "same_upper", "same_lower", "valid"
  std::string layout, kernel_layout;

  /// [low0, high0, low1, high1, …]; empty unless the padding is explicit.
  Ints Padding() const;
  bool PadsNothing() const;
};

/// Reads and checks kernel_shape (or takes it from `kernel` when the attribute is left out), strides (1 each by
/// default), dilations, pads and auto_pad.
Result<Window> ReadWindow(NodeContext& n, Value x, const Ints& kernel);

/// Bias of shape [C] made ready to be added to N, C, spatial.
Ex ChannelShape(NodeContext& n, Value v, int rank);

}  // namespace tenon::onnx
