// dot_general and conv of i32 as products of places in memory.
#include <algorithm>

#include "backends/cpu/steps/integer_product.h"
#include "backends/cpu/steps/steps.h"

namespace tenon::cpu {
namespace {

using Dims = std::vector<std::int64_t>;

std::size_t At(std::int64_t i) { return static_cast<std::size_t>(i); }

Dims Steps(const Dims& dims) {
  Dims steps(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) steps[i - 1] = steps[i] * dims[i];
  return steps;
}
// The places of all indices over some axes, the last one fastest.
Places PlacesOf(const Dims& dims, const Dims& axes) {
  const Dims steps = Steps(dims);
  Dims places = {0};
  for (const std::int64_t a : axes) {
    Dims next;
    next.reserve(places.size() * At(dims[At(a)]));
    for (const std::int64_t p : places)
      for (std::int64_t i = 0; i < dims[At(a)]; ++i) next.push_back(p + i * steps[At(a)]);
    places = std::move(next);
  }
  return places;
}
Dims Axes(const Dims& given, std::size_t rank) {
  Dims out;
  for (const std::int64_t a : given) out.push_back(a < 0 ? a + static_cast<std::int64_t>(rank) : a);
  return out;
}
Dims Others(const Dims& a, const Dims& b, std::size_t rank) {
  Dims out;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(rank); ++i)
    if (std::ranges::find(a, i) == a.end() && std::ranges::find(b, i) == b.end()) out.push_back(i);
  return out;
}
}  // namespace

Result<std::string> EmitIntegerDot(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value out{id, 0};
  if (b.dtype(out) != DType::kI32 || b.dtype(n.inputs[0]) != DType::kI32) return std::string("not i32");
  const Dims x = b.dims(n.inputs[0]), y = b.dims(n.inputs[1]);
  if (b.elements(n.inputs[0]) == 0 || b.elements(n.inputs[1]) == 0) return std::string("nothing to compute");
  const Dims xc = Axes(n.attrs.Ints("lhs_contract"), x.size()), yc = Axes(n.attrs.Ints("rhs_contract"), y.size()),
             xb = Axes(n.attrs.Ints("lhs_batch"), x.size()), yb = Axes(n.attrs.Ints("rhs_batch"), y.size());
  IntegerProduct p;
  p.x_group = PlacesOf(x, xb), p.x_k = PlacesOf(x, xc), p.x_row = PlacesOf(x, Others(xb, xc, x.size()));
  p.y_group = PlacesOf(y, yb), p.y_k = PlacesOf(y, yc), p.y_column = PlacesOf(y, Others(yb, yc, y.size()));
  p.groups = static_cast<std::int64_t>(p.x_group.size()), p.m = static_cast<std::int64_t>(p.x_row.size());
  p.n = static_cast<std::int64_t>(p.y_column.size()), p.k = static_cast<std::int64_t>(p.x_k.size());
  p.positions = p.m, p.z_row = p.n;
  for (std::int64_t g = 0; g < p.groups; ++g) p.z_group.push_back(g * p.m * p.n);
  AddIntegerProduct(b, id, std::move(p), "product");
  return std::string();
}

Result<std::string> EmitIntegerConv(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value out{id, 0};
  if (b.dtype(out) != DType::kI32 || b.dtype(n.inputs[0]) != DType::kI32) return std::string("not i32");
  if (b.elements(n.inputs[0]) == 0 || b.elements(n.inputs[1]) == 0 || b.elements(out) == 0)
    return std::string("nothing to compute");
  const Dims x = b.dims(n.inputs[0]), kernel = b.dims(n.inputs[1]), z = b.dims(out);
  const Dims x_steps = Steps(x), k_steps = Steps(kernel), z_steps = Steps(z);
  const Layout data = DataLayout(n.attrs.String("layout")), taps = KernelLayout(n.attrs.String("kernel_layout"));
  if (data.spatial.empty() || data.spatial.size() > 8) return std::string("no or more than 8 spatial axes");
  IntegerProduct p;
  p.groups = n.attrs.Int("groups");
  const std::int64_t channels = kernel[At(taps.channel)], outs = kernel[At(taps.batch)] / p.groups;
  IntegerWindow& w = p.window.emplace();
  Dims window, k_axes;
  for (const int a : taps.spatial) window.push_back(kernel[At(a)]), k_axes.push_back(a);
  w.axes = ResolveWindows(n.attrs, data, x, z, window, false);
  for (const int a : data.spatial) w.steps.push_back(x_steps[At(a)]), p.positions *= z[At(a)];
  w.image = x_steps[At(data.batch)], w.channels = channels, w.channel_step = x_steps[At(data.channel)];
  k_axes.push_back(taps.channel);
  p.y_k = PlacesOf(kernel, k_axes);
  p.k = static_cast<std::int64_t>(p.y_k.size()), p.n = outs, p.m = x[At(data.batch)] * p.positions;
  for (std::int64_t o = 0; o < outs; ++o) p.y_column.push_back(o * k_steps[At(taps.batch)]);
  p.z_column = z_steps[At(data.channel)], p.z_image = z_steps[At(data.batch)];
  p.z_row = z_steps[At(data.spatial.back())];  // the spatial axes stand together
  for (std::int64_t g = 0; g < p.groups; ++g) {
    p.x_group.push_back(g * channels * w.channel_step);
    p.y_group.push_back(g * outs * k_steps[At(taps.batch)]);
    p.z_group.push_back(g * outs * p.z_column);
  }
  const bool last = w.channel_step == 1 && p.z_column == 1, lines = w.steps.back() == 1 && p.z_row == 1;
  if (channels == 1 && outs == 1 && (last || lines) && p.k <= kMostDepthwiseTaps) {
    AddIntegerDepthwise(b, id, std::move(p), last);
    return std::string();
  }
  AddIntegerProduct(b, id, std::move(p), "conv");
  return std::string();
}

}  // namespace tenon::cpu
