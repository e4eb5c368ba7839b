// dot_general and conv of i32: rows and columns are brought into 16 bits, which holds what quantized models multiply
// (integers of 8 bits less a zero point), and multiplied in panels of columns. Rows with larger numbers, or all of them
// when the second operand has larger ones, are computed one by one. Sums wrap as the reference's do.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "backends/cpu/kernels/integer_kernels.h"
#include "backends/cpu/kernels/loop_kernels.h"
#include "backends/cpu/steps/steps.h"
#include "backends/cpu/steps/window.h"
#include "runtime/parallel.h"

namespace tenon::cpu {

extern const IntegerKernels kIntegerKernels_avx512, kIntegerKernels_avx2, kIntegerKernels_baseline;

const IntegerKernels& GetIntegerKernels() {
  static const IntegerKernels& chosen = [&]() -> const IntegerKernels& {
    const std::string_view isa = GetLoopKernels().isa;
    if (isa == "avx512") return kIntegerKernels_avx512;
    return isa == "avx2" ? kIntegerKernels_avx2 : kIntegerKernels_baseline;
  }();
  return chosen;
}

namespace {

using Dims = std::vector<std::int64_t>;

std::size_t At(std::int64_t i) { return static_cast<std::size_t>(i); }

// The windows of a convolution over x.
struct Window {
  std::vector<WindowAxis> axes;
  Dims steps;                                   // of the spatial axes in x
  std::int64_t image = 0;                       // elements from image to image
  std::int64_t channels = 1, channel_step = 1;  // of one group
};

// z[g, m, n] = sum over k of x[x_group[g] + row m, k] * y[y_group[g] + y_column[n] + y_k[k]], for places in elements.
struct Product {
  std::int64_t groups = 1, m = 1, n = 1, k = 1;
  Dims y_group, y_column, y_k;
  Dims x_group;
  // The rows of x: places of m and of k; for a convolution, where a window may reach outside, `window` in their place.
  Dims x_row, x_k;
  std::optional<Window> window;
  // z: the place of (g, m, n) is z_group[g] + z_row(m) + n * z_column.
  Dims z_group;
  std::int64_t z_row = 0, z_column = 1, z_image = 0, positions = 1;  // of a convolution: positions of one image
};

class IntegerStep : public runtime::Step {
 public:
  /// `panels`: those of all groups when y is a constant, else -1.
  IntegerStep(Product p, BufferId x, BufferId y, BufferId panels, BufferId z, BufferId scratch, std::string text)
      : p_(std::move(p)), x_(x), y_(y), panels_(panels), z_(z), scratch_(scratch), text_(std::move(text)) {
    reads = {x, y};
    if (panels >= 0) reads.push_back(panels);
    writes = {z, scratch};
  }
  std::string Describe() const override { return text_; }

  // Rows at a time: their 16-bit form stays in the cache.
  static std::int64_t RowBlock(const Product& p) { return std::clamp<std::int64_t>((1 << 17) / p.k / 8 * 8, 8, 64); }
  static std::int64_t Pairs(const Product& p) { return (p.k + 1) / 2; }
  static std::int64_t Panels(const Product& p) {
    const std::int64_t columns = GetIntegerKernels().columns;
    return (p.n + columns - 1) / columns;
  }
  static int Parts(const Product& p) {
    const double work = static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
    const std::int64_t blocks = (p.m + RowBlock(p) - 1) / RowBlock(p);
    return static_cast<int>(
        std::clamp<std::int64_t>(static_cast<std::int64_t>(work / 1e5), 1, std::min<std::int64_t>(blocks, 16)));
  }
  // Bytes: the panels of one group, then for each part a row of i32, its rows of i16, and a tile of results.
  static std::size_t PanelBytes(const Product& p) {
    return Round(At(Panels(p) * GetIntegerKernels().columns * Pairs(p)) * 4);
  }
  static std::size_t PartBytes(const Product& p) {
    return Round(At(2 * Pairs(p)) * 4) + Round(At(RowBlock(p) * 2 * Pairs(p)) * 2) +
           Round(At(RowBlock(p) * GetIntegerKernels().columns) * 4);
  }
  static std::size_t ScratchBytes(const Product& p) { return PanelBytes(p) + At(Parts(p)) * PartBytes(p); }

  // The columns of a group as panels [k / 2][column][k % 2]; false when an element does not fit.
  static bool Pack(const Product& p, const std::int32_t* y, std::int16_t* to) {
    const std::int64_t columns = GetIntegerKernels().columns, pairs = Pairs(p);
    std::memset(to, 0, PanelBytes(p));
    std::uint32_t outside = 0;
    for (std::int64_t n = 0; n < p.n; ++n) {
      std::int16_t* panel = to + n / columns * columns * 2 * pairs + n % columns * 2;
      const std::int32_t* from = y + p.y_column[At(n)];
      for (std::int64_t k = 0; k < p.k; ++k) {
        const std::int32_t v = from[p.y_k[At(k)]];
        outside |= (static_cast<std::uint32_t>(v) + 32768U) >> 16;
        panel[k / 2 * 2 * columns + k % 2] = static_cast<std::int16_t>(v);
      }
    }
    return outside == 0;
  }

  Status Run(const runtime::StepContext& ctx) const override {
    const auto *x = ctx.get<std::int32_t>(x_), *y = ctx.get<std::int32_t>(y_);
    auto* z = ctx.get<std::int32_t>(z_);
    auto* scratch = ctx.get<std::byte>(scratch_);
    auto* panels = reinterpret_cast<std::int16_t*>(scratch);
    const int parts = Parts(p_);
    for (std::int64_t g = 0; g < p_.groups; ++g) {
      if (panels_ >= 0) panels = ctx.get<std::int16_t>(panels_) + At(g) * PanelBytes(p_) / 2;
      const bool narrow = panels_ >= 0 || Pack(p_, y + p_.y_group[At(g)], panels);
      runtime::ForEachPart(ctx.threads, parts, [&](int part) {
        std::byte* own = scratch + PanelBytes(p_) + At(part) * PartBytes(p_);
        const std::int64_t blocks = (p_.m + RowBlock(p_) - 1) / RowBlock(p_);
        for (std::int64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b)
          Rows(g, b * RowBlock(p_), std::min(RowBlock(p_), p_.m - b * RowBlock(p_)), x, y, z, panels, narrow, own);
      });
    }
    return {};
  }

 private:
  static std::size_t Round(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

  // Row m of x: the K elements, from x itself where they lie together.
  const std::int32_t* Row(std::int64_t g, std::int64_t m, const std::int32_t* x, std::int32_t* to) const {
    x += p_.x_group[At(g)];
    if (!p_.window) {
      x += p_.x_row[At(m)];
      if (contiguous_) return x;
      for (std::int64_t k = 0; k < p_.k; ++k) to[k] = x[p_.x_k[At(k)]];
      return to;
    }
    const Window& w = *p_.window;
    x += m / p_.positions * w.image;
    const std::size_t rank = w.axes.size();
    std::int64_t place[8], tap[8] = {};
    std::int64_t rest = m % p_.positions;
    for (std::size_t a = rank; a-- > 0; rest /= w.axes[a].out) place[a] = rest % w.axes[a].out;
    for (std::int64_t k = 0; k < p_.k; k += w.channels) {
      std::int64_t at = 0;
      bool inside = true;
      for (std::size_t a = 0; a < rank; ++a) {
        const std::int64_t i = w.axes[a].position(place[a], tap[a]);
        inside = inside && i >= 0 && i < w.axes[a].in;
        at += i * w.steps[a];
      }
      if (!inside) {
        std::memset(to + k, 0, At(w.channels) * 4);
      } else if (w.channel_step == 1) {
        std::memcpy(to + k, x + at, At(w.channels) * 4);
      } else {
        for (std::int64_t c = 0; c < w.channels; ++c) to[k + c] = x[at + c * w.channel_step];
      }
      for (std::size_t a = rank; a-- > 0;) {
        if (++tap[a] < w.axes[a].window) break;
        tap[a] = 0;
      }
    }
    return to;
  }
  std::int32_t* Target(std::int64_t g, std::int64_t m, std::int32_t* z) const {
    return z + p_.z_group[At(g)] + m / p_.positions * p_.z_image + m % p_.positions * p_.z_row;
  }

  void Rows(std::int64_t g, std::int64_t first, std::int64_t count, const std::int32_t* x, const std::int32_t* y,
            std::int32_t* z, const std::int16_t* panels, bool narrow, std::byte* own) const {
    const IntegerKernels& kernels = GetIntegerKernels();
    const std::int64_t pairs = Pairs(p_), lda = 2 * pairs;
    auto* row = reinterpret_cast<std::int32_t*>(own);
    auto* rows = reinterpret_cast<std::int16_t*>(own + Round(At(lda) * 4));
    auto* tile = reinterpret_cast<std::int32_t*>(own + Round(At(lda) * 4) + Round(At(RowBlock(p_) * lda) * 2));
    for (std::int64_t m = 0; m < count; ++m) {
      std::int16_t* to = rows + m * lda;
      to[lda - 1] = 0;
      narrow = kernels.narrow(to, Row(g, first + m, x, row), p_.k) && narrow;
    }
    if (!narrow) return WideRows(g, first, count, x, y + p_.y_group[At(g)], z, row);
    for (std::int64_t panel = 0; panel < Panels(p_); ++panel) {
      const std::int64_t n0 = panel * kernels.columns, n1 = std::min(p_.n, n0 + kernels.columns);
      kernels.product(tile, rows, lda, panels + n0 * lda, pairs, count);
      for (std::int64_t m = 0; m < count; ++m) {
        const std::int32_t* from = tile + m * kernels.columns;
        std::int32_t* to = Target(g, first + m, z) + n0 * p_.z_column;
        if (p_.z_column == 1) {
          std::memcpy(to, from, At(n1 - n0) * 4);
        } else {
          for (std::int64_t n = n0; n < n1; ++n) to[(n - n0) * p_.z_column] = from[n - n0];
        }
      }
    }
  }
  void WideRows(std::int64_t g, std::int64_t first, std::int64_t count, const std::int32_t* x, const std::int32_t* y,
                std::int32_t* z, std::int32_t* row) const {
    for (std::int64_t m = first; m < first + count; ++m) {
      const std::int32_t* a = Row(g, m, x, row);
      for (std::int64_t n = 0; n < p_.n; ++n) {
        const std::int32_t* b = y + p_.y_column[At(n)];
        std::uint32_t sum = 0;
        for (std::int64_t k = 0; k < p_.k; ++k)
          sum += static_cast<std::uint32_t>(a[k]) * static_cast<std::uint32_t>(b[p_.y_k[At(k)]]);
        Target(g, m, z)[n * p_.z_column] = static_cast<std::int32_t>(sum);
      }
    }
  }

  Product p_;
  bool contiguous_ = std::ranges::all_of(p_.x_k, [i = std::int64_t{0}](std::int64_t at) mutable { return at == i++; });
  BufferId x_, y_, panels_, z_, scratch_;
  std::string text_;
};

// As many channels as groups: all channels of a position at once where they stand last, else plane by plane.
class DepthwiseStep : public runtime::Step {
 public:
  /// `last`: the channels stand last in x and z.
  DepthwiseStep(Product p, bool last, BufferId x, BufferId y, BufferId z, BufferId scratch, std::string text)
      : p_(std::move(p)), last_(last), x_(x), y_(y), z_(z), scratch_(scratch), text_(std::move(text)) {
    reads = {x, y};
    writes = {z, scratch};
  }
  std::string Describe() const override { return text_; }
  Status Run(const runtime::StepContext& ctx) const override {
    const auto *x = ctx.get<std::int32_t>(x_), *y = ctx.get<std::int32_t>(y_);
    auto* z = ctx.get<std::int32_t>(z_);
    auto* weights = ctx.get<std::int32_t>(scratch_);  // [tap, channel]
    if (!last_) {
      const std::int64_t planes = p_.m / p_.positions * p_.groups;
      const int parts = static_cast<int>(
          std::clamp<std::int64_t>(p_.m * p_.k * p_.groups / 100000, 1, std::min<std::int64_t>(planes, 16)));
      runtime::ForEachPart(ctx.threads, parts, [&](int part) {
        for (std::int64_t i = planes * part / parts; i < planes * (part + 1) / parts; ++i)
          Plane(i / p_.groups, i % p_.groups, x, y, z);
      });
      return {};
    }
    for (std::int64_t k = 0; k < p_.k; ++k)
      for (std::int64_t c = 0; c < p_.groups; ++c) weights[k * p_.groups + c] = y[p_.y_group[At(c)] + p_.y_k[At(k)]];
    const Window& w = *p_.window;
    const std::size_t rank = w.axes.size();
    const int parts = static_cast<int>(std::clamp<std::int64_t>(p_.m * p_.k * p_.groups / 100000, 1, 16));
    runtime::ForEachPart(ctx.threads, parts, [&](int part) {
      std::int64_t taps[kMostTaps], which[kMostTaps], place[8];
      for (std::int64_t m = p_.m * part / parts; m < p_.m * (part + 1) / parts; ++m) {
        std::int64_t rest = m % p_.positions, count = 0;
        for (std::size_t a = rank; a-- > 0; rest /= w.axes[a].out) place[a] = rest % w.axes[a].out;
        for (std::int64_t k = 0; k < p_.k; ++k) {
          std::int64_t at = m / p_.positions * w.image, tap = k;
          bool inside = true;
          for (std::size_t a = rank; a-- > 0; tap /= w.axes[a].window) {
            const std::int64_t i = w.axes[a].position(place[a], tap % w.axes[a].window);
            inside = inside && i >= 0 && i < w.axes[a].in;
            at += i * w.steps[a];
          }
          if (inside) taps[count] = at, which[count++] = k;
        }
        GetIntegerKernels().depthwise(z + m * p_.groups, x, weights, taps, which, count, p_.groups);
      }
    });
    return {};
  }
  static constexpr std::int64_t kMostTaps = 128;

 private:
  // One channel of one image, a line of the last axis at a time.
  void Plane(std::int64_t image, std::int64_t c, const std::int32_t* x, const std::int32_t* y, std::int32_t* z) const {
    const Window& w = *p_.window;
    const std::size_t rank = w.axes.size();
    const WindowAxis& line = w.axes[rank - 1];
    x += image * w.image + p_.x_group[At(c)];
    y += p_.y_group[At(c)];
    z += image * p_.z_image + p_.z_group[At(c)];
    for (std::int64_t first = 0; first < p_.positions; first += line.out) {
      auto* to = reinterpret_cast<std::uint32_t*>(z + first);
      std::fill_n(to, line.out, 0U);
      for (std::int64_t k = 0; k < p_.k; ++k) {
        std::int64_t at = 0, rest = first / line.out, tap = k / line.window;
        bool inside = true;
        for (std::size_t a = rank - 1; a-- > 0; rest /= w.axes[a].out, tap /= w.axes[a].window) {
          const std::int64_t i = w.axes[a].position(rest % w.axes[a].out, tap % w.axes[a].window);
          inside = inside && i >= 0 && i < w.axes[a].in;
          at += i * w.steps[a];
        }
        if (!inside) continue;
        const std::int64_t shift = line.position(0, k % line.window);
        const std::int64_t begin = shift >= 0 ? 0 : (-shift + line.stride - 1) / line.stride,
                           end = shift >= line.in ? 0 : std::min(line.out, (line.in - 1 - shift) / line.stride + 1);
        const auto by = static_cast<std::uint32_t>(y[p_.y_k[At(k)]]);
        const std::int32_t* from = x + at + shift;
        for (std::int64_t o = begin; o < end; ++o) to[o] += by * static_cast<std::uint32_t>(from[o * line.stride]);
      }
    }
  }

  Product p_;
  bool last_;
  BufferId x_, y_, z_, scratch_;
  std::string text_;
};

Dims Steps(const Dims& dims) {
  Dims steps(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) steps[i - 1] = steps[i] * dims[i];
  return steps;
}
// The places of all indices over some axes, the last one fastest.
Dims Places(const Dims& dims, const Dims& axes) {
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

std::string Text(const char* what, const Product& p) {
  return std::string(what) + " i32 " + (p.groups > 1 ? std::to_string(p.groups) + "x" : "") + std::to_string(p.m) +
         "x" + std::to_string(p.n) + "x" + std::to_string(p.k);
}

// The panels of all groups of a constant whose numbers fit; -1 else.
BufferId ConstantPanels(PlanBuilder& b, Value y, const Product& p) {
  const Literal* literal = b.ConstantOf(y);
  if (literal == nullptr || !b.MayPack()) return -1;
  const auto pack = [&] {
    Buffer all = Buffer::allocate(At(p.groups) * IntegerStep::PanelBytes(p), false);
    for (std::int64_t g = 0; g < p.groups; ++g)
      if (!IntegerStep::Pack(
              p, literal->data<std::int32_t>().data() + p.y_group[At(g)],
              reinterpret_cast<std::int16_t*>(all.mutable_data()) + At(g) * IntegerStep::PanelBytes(p) / 2))
        return Buffer();
    return all;
  };
  // All places: other orders of the same axes, and other views of the same memory, may end at the same ones.
  std::string key = "panels " + std::to_string(p.groups) + " " + std::to_string(p.n) + " " + std::to_string(p.k) + " ";
  for (const Dims* places : {&p.y_group, &p.y_column, &p.y_k})
    key.append(reinterpret_cast<const char*>(places->data()), places->size() * sizeof(std::int64_t));
  const Buffer panels = b.packed() != nullptr ? b.packed()->Get(literal->buffer(), key, pack) : pack();
  return panels.size() == 0 ? -1 : b.Constant(panels);
}

void AddStep(PlanBuilder& b, std::int32_t id, Product p, const char* what) {
  const ir::Node& n = b.graph().node(id);
  b.KeepApart({id, 0});
  const BufferId x = b.In(n.inputs[0]), y = b.In(n.inputs[1]), panels = ConstantPanels(b, n.inputs[1], p),
                 z = b.Out({id, 0});
  const BufferId scratch = b.Scratch(IntegerStep::ScratchBytes(p));
  std::string text = Text(what, p);
  b.Add(std::make_unique<IntegerStep>(std::move(p), x, y, panels, z, scratch, std::move(text)));
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
  Product p;
  p.x_group = Places(x, xb), p.x_k = Places(x, xc), p.x_row = Places(x, Others(xb, xc, x.size()));
  p.y_group = Places(y, yb), p.y_k = Places(y, yc), p.y_column = Places(y, Others(yb, yc, y.size()));
  p.groups = static_cast<std::int64_t>(p.x_group.size()), p.m = static_cast<std::int64_t>(p.x_row.size());
  p.n = static_cast<std::int64_t>(p.y_column.size()), p.k = static_cast<std::int64_t>(p.x_k.size());
  p.positions = p.m, p.z_row = p.n;
  for (std::int64_t g = 0; g < p.groups; ++g) p.z_group.push_back(g * p.m * p.n);
  AddStep(b, id, std::move(p), "product");
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
  Product p;
  p.groups = n.attrs.Int("groups");
  const std::int64_t channels = kernel[At(taps.channel)], outs = kernel[At(taps.batch)] / p.groups;
  Window& w = p.window.emplace();
  Dims window, k_axes;
  for (const int a : taps.spatial) window.push_back(kernel[At(a)]), k_axes.push_back(a);
  w.axes = ResolveWindows(n.attrs, data, x, z, window, false);
  for (const int a : data.spatial) w.steps.push_back(x_steps[At(a)]), p.positions *= z[At(a)];
  w.image = x_steps[At(data.batch)], w.channels = channels, w.channel_step = x_steps[At(data.channel)];
  k_axes.push_back(taps.channel);
  p.y_k = Places(kernel, k_axes);
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
  if (channels == 1 && outs == 1 && (last || lines) && p.k <= DepthwiseStep::kMostTaps) {
    b.KeepApart(out);
    const BufferId in = b.In(n.inputs[0]), weights = b.In(n.inputs[1]), to = b.Out(out);
    const BufferId scratch = b.Scratch(At(p.k * p.groups) * 4);
    std::string text = Text("depthwise conv", p);
    b.Add(std::make_unique<DepthwiseStep>(std::move(p), last, in, weights, to, scratch, std::move(text)));
    return std::string();
  }
  AddStep(b, id, std::move(p), "conv");
  return std::string();
}

}  // namespace tenon::cpu
