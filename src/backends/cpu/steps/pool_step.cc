// Pooling: windows as lists of taps, all channels at a time. Channels-first data runs one channel at a time.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "backends/cpu/kernels/loop_kernels.h"
#include "backends/cpu/kernels/pool_kernels.h"
#include "backends/cpu/steps/steps.h"
#include "backends/cpu/steps/window.h"
#include "runtime/parallel.h"

namespace tenon::cpu {

extern const PoolKernels kPoolKernels_avx512, kPoolKernels_avx2, kPoolKernels_baseline;

const PoolKernels& GetPoolKernels() {
  static const PoolKernels& chosen = [&]() -> const PoolKernels& {
    const std::string_view isa = GetLoopKernels().isa;
    if (isa == "avx512") return kPoolKernels_avx512;
    return isa == "avx2" ? kPoolKernels_avx2 : kPoolKernels_baseline;
  }();
  return chosen;
}

namespace {

enum class Kind { kMax, kMaxGrad, kAvg, kAvgGrad };

// The windows of one image plane (all spatial axes), independent of batch and channel.
struct Windows {
  std::vector<std::int64_t> taps;       // offsets in x
  std::vector<std::int64_t> first, at;  // by window: its taps, its place in y
  std::vector<float> scale;             // 1 / number of elements of an average
};

class PoolStep : public runtime::Step {
 public:
  struct Geometry {
    std::int64_t planes = 1, channels = 1;  // a plane: one image, or one channel of one image
    std::int64_t x_plane = 0, y_plane = 0;  // elements from plane to plane
  };
  PoolStep(Kind kind, Geometry g, Windows w, BufferId x, BufferId dy, BufferId out, std::string text)
      : kind_(kind), g_(g), w_(std::move(w)), x_(x), dy_(dy), out_(out), text_(std::move(text)) {
    for (const BufferId id : {x, dy})
      if (id >= 0) reads.push_back(id);
    writes = {out};
  }
  std::string Describe() const override { return text_; }
  Status Run(const runtime::StepContext& ctx) const override {
    const PoolKernels& k = GetPoolKernels();
    const float* x = x_ >= 0 ? ctx.get<float>(x_) : nullptr;
    const float* dy = dy_ >= 0 ? ctx.get<float>(dy_) : nullptr;
    float* out = ctx.get<float>(out_);
    const std::int64_t work = g_.planes * g_.x_plane;
    const int parts =
        static_cast<int>(std::clamp<std::int64_t>(work / 65536, 1, std::min<std::int64_t>(g_.planes, 64)));
    runtime::ForEachPart(ctx.threads, parts, [&](int part) {
      const std::int64_t begin = g_.planes * part / parts, end = g_.planes * (part + 1) / parts;
      if (kind_ == Kind::kMaxGrad || kind_ == Kind::kAvgGrad)
        std::memset(out + begin * g_.x_plane, 0, static_cast<std::size_t>((end - begin) * g_.x_plane) * sizeof(float));
      for (std::int64_t p = begin; p < end; ++p) Plane(k, x, dy, out, p);
    });
    return {};
  }

 private:
  void Plane(const PoolKernels& k, const float* x, const float* dy, float* out, std::int64_t p) const {
    const std::int64_t xo = p * g_.x_plane, yo = p * g_.y_plane;
    for (std::size_t i = 0; i < w_.at.size(); ++i) {
      const std::int64_t* taps = w_.taps.data() + w_.first[i];
      const std::int64_t count = w_.first[i + 1] - w_.first[i], y = yo + w_.at[i];
      switch (kind_) {
        case Kind::kMax:
          k.max(out + y, x + xo, taps, count, g_.channels);
          break;
        case Kind::kMaxGrad:
          k.max_grad(out + xo, dy + y, x + xo, taps, count, g_.channels);
          break;
        case Kind::kAvg:
          k.sum(out + y, x + xo, taps, count, g_.channels, w_.scale[i]);
          break;
        case Kind::kAvgGrad:
          k.spread(out + xo, dy + y, taps, count, g_.channels, w_.scale[i]);
          break;
      }
    }
  }
  Kind kind_;
  Geometry g_;
  Windows w_;
  BufferId x_, dy_, out_;
  std::string text_;
};

}  // namespace

Result<std::string> EmitPool(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const std::string_view op = n.op->name;
  const Kind kind = op == "max_pool"        ? Kind::kMax
                    : op == "max_pool_grad" ? Kind::kMaxGrad
                    : op == "avg_pool"      ? Kind::kAvg
                                            : Kind::kAvgGrad;
  const bool gradient = kind == Kind::kMaxGrad || kind == Kind::kAvgGrad;
  const Value out{id, 0};
  if (b.dtype(out) != DType::kF32) return std::string("not f32");
  const std::vector<std::int64_t> x = b.dims(gradient ? out : n.inputs[0]), y = b.dims(gradient ? n.inputs[0] : out);
  if (b.elements(out) == 0 || b.elements(n.inputs[0]) == 0) return std::string("nothing to compute");
  const Layout layout = DataLayout(n.attrs.String("layout"));
  const bool channels_last = layout.channel == static_cast<int>(x.size()) - 1;
  std::vector<WindowAxis> axes = ResolveWindows(n.attrs, layout, x, y, n.attrs.Ints("window"), true);
  PoolStep::Geometry g;
  const std::int64_t channels = x[static_cast<std::size_t>(layout.channel)];
  std::int64_t x_size = channels, y_size = channels;
  for (const WindowAxis& a : axes) x_size *= a.in, y_size *= a.out;
  g.planes = x[static_cast<std::size_t>(layout.batch)] * (channels_last ? 1 : channels);
  g.channels = channels_last ? channels : 1;
  g.x_plane = channels_last ? x_size : x_size / channels;
  g.y_plane = channels_last ? y_size : y_size / channels;
  while (axes.size() < 3) axes.insert(axes.begin(), WindowAxis());
  const bool include = (kind == Kind::kAvg || kind == Kind::kAvgGrad) && n.attrs.Bool("count_include_pad");
  Windows w;
  std::int64_t place = 0;
  for (std::int64_t o0 = 0; o0 < axes[0].out; ++o0)
    for (std::int64_t o1 = 0; o1 < axes[1].out; ++o1)
      for (std::int64_t o2 = 0; o2 < axes[2].out; ++o2, place += g.channels) {
        w.first.push_back(static_cast<std::int64_t>(w.taps.size()));
        w.at.push_back(place);
        std::int64_t padded = 0;
        for (std::int64_t k0 = 0; k0 < axes[0].window; ++k0)
          for (std::int64_t k1 = 0; k1 < axes[1].window; ++k1)
            for (std::int64_t k2 = 0; k2 < axes[2].window; ++k2) {
              const std::int64_t p[3] = {axes[0].position(o0, k0), axes[1].position(o1, k1), axes[2].position(o2, k2)};
              bool inside = true, in_padding = true;
              for (std::size_t i = 0; i < 3; ++i) {
                inside = inside && p[i] >= 0 && p[i] < axes[i].in;
                in_padding = in_padding && p[i] < axes[i].in + axes[i].high;
              }
              padded += in_padding ? 1 : 0;
              if (inside) w.taps.push_back(((p[0] * axes[1].in + p[1]) * axes[2].in + p[2]) * g.channels);
            }
        const std::int64_t count = static_cast<std::int64_t>(w.taps.size()) - w.first.back();
        if (count == 0) return std::string("a window in padding alone");
        w.scale.push_back(1.0f / static_cast<float>(include ? padded : count));
      }
  w.first.push_back(static_cast<std::int64_t>(w.taps.size()));
  BufferId data = -1, dy = -1;
  if (kind != Kind::kAvgGrad) data = b.In(n.inputs[gradient ? 1 : 0]);
  if (gradient) dy = b.In(n.inputs[0]);
  b.KeepApart(out);
  std::string text = std::string(op);
  for (const std::int64_t d : x) text += (text.size() == op.size() ? " " : "x") + std::to_string(d);
  b.Add(std::make_unique<PoolStep>(kind, g, std::move(w), data, dy, b.Out(out), std::move(text)));
  return std::string();
}

}  // namespace tenon::cpu
