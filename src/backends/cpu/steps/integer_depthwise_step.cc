#include <algorithm>

#include "backends/cpu/kernels/integer_kernels.h"
#include "backends/cpu/steps/integer_product.h"
#include "runtime/parallel.h"

namespace tenon::cpu {
namespace {

std::size_t At(std::int64_t i) { return static_cast<std::size_t>(i); }

// As many channels as groups: all channels of a position at once where they stand last, else plane by plane.
class DepthwiseStep : public runtime::Step {
 public:
  /// `last`: the channels stand last in x and z.
  DepthwiseStep(IntegerProduct p, bool last, BufferId x, BufferId y, BufferId z, BufferId scratch, std::string text)
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
    const IntegerWindow& w = *p_.window;
    const std::size_t rank = w.axes.size();
    const int parts = static_cast<int>(std::clamp<std::int64_t>(p_.m * p_.k * p_.groups / 100000, 1, 16));
    runtime::ForEachPart(ctx.threads, parts, [&](int part) {
      std::int64_t taps[kMostDepthwiseTaps], which[kMostDepthwiseTaps], place[8];
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

 private:
  // One channel of one image, a line of the last axis at a time.
  void Plane(std::int64_t image, std::int64_t c, const std::int32_t* x, const std::int32_t* y, std::int32_t* z) const {
    const IntegerWindow& w = *p_.window;
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

  IntegerProduct p_;
  bool last_;
  BufferId x_, y_, z_, scratch_;
  std::string text_;
};
}  // namespace

void AddIntegerDepthwise(PlanBuilder& b, std::int32_t id, IntegerProduct p, bool last) {
  const ir::Node& n = b.graph().node(id);
  b.KeepApart({id, 0});
  const BufferId x = b.In(n.inputs[0]), y = b.In(n.inputs[1]), z = b.Out({id, 0});
  const BufferId scratch = b.Scratch(At(p.k * p.groups) * 4);
  std::string text = ProductText("depthwise conv", p);
  b.Add(std::make_unique<DepthwiseStep>(std::move(p), last, x, y, z, scratch, std::move(text)));
}

}  // namespace tenon::cpu
