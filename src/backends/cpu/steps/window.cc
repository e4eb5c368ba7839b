#include "backends/cpu/steps/window.h"

#include <algorithm>

namespace tenon::cpu {
namespace {

Layout Parse(std::string_view text, char batch, char channel) {
  Layout l;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == batch)
      l.batch = static_cast<int>(i);
    else if (text[i] == channel)
      l.channel = static_cast<int>(i);
    else
      l.spatial.push_back(static_cast<int>(i));
  }
  return l;
}

}  // namespace

Layout DataLayout(std::string_view text) { return Parse(text, 'N', 'C'); }
Layout KernelLayout(std::string_view text) { return Parse(text, 'O', 'I'); }

std::vector<WindowAxis> ResolveWindows(const ir::Attrs& attrs, const Layout& layout,
                                       const std::vector<std::int64_t>& in, const std::vector<std::int64_t>& out,
                                       const std::vector<std::int64_t>& window, bool default_to_window) {
  std::vector<WindowAxis> axes(layout.spatial.size());
  const auto at = [&](const char* name, std::size_t i, std::int64_t otherwise) {
    const std::vector<std::int64_t>& list = attrs.Ints(name);
    return list.empty() ? otherwise : list[i];
  };
  const std::string& mode = attrs.String("auto_pad");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    WindowAxis& a = axes[i];
    const auto axis = static_cast<std::size_t>(layout.spatial[i]);
    a.in = in[axis], a.out = out[axis], a.window = window[i];
    a.stride = at("strides", i, default_to_window ? a.window : 1);
    a.dilation = at("dilations", i, 1);
    if (mode == "explicit") {
      a.low = at("padding", 2 * i, 0), a.high = at("padding", 2 * i + 1, 0);
    } else if (mode != "valid") {
      const std::int64_t total = std::max<std::int64_t>((a.out - 1) * a.stride + a.reach() - a.in, 0);
      a.low = mode == "same_upper" ? total / 2 : total - total / 2;
      a.high = total - a.low;
    }
  }
  return axes;
}

}  // namespace tenon::cpu
