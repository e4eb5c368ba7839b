// roi_align of f32: the places of a bin's samples are found once for all channels.
#include <algorithm>
#include <cmath>

#include "backends/cpu/steps/steps.h"
#include "base/status_macros.h"
#include "runtime/parallel.h"

namespace tenon::cpu {
namespace {

// Two neighbours along an axis with their weights; both weights are 0 beyond the border.
struct Split {
  std::int64_t low = 0, high = 0;
  float low_weight = 0, high_weight = 0;
};
Split At(double v, std::int64_t size) {
  Split s;
  if (!(v >= -1 && v <= static_cast<double>(size))) return s;
  v = std::max(v, 0.0);
  s.low = std::min(static_cast<std::int64_t>(v), size - 1);
  s.high = std::min(s.low + 1, size - 1);
  s.high_weight = s.high == s.low ? 0.0F : static_cast<float>(v - static_cast<double>(s.low));
  s.low_weight = 1 - s.high_weight;
  return s;
}

constexpr int kMostParts = 16;

class RoiAlignStep : public runtime::Step {
 public:
  struct Geometry {
    std::int64_t images, channels, height, width, rois, out_height, out_width, ratio;
    double scale;
    bool aligned, average, wide_index;
  };
  RoiAlignStep(const Geometry& g, BufferId x, BufferId rois, BufferId index, BufferId out) : g_(g) {
    reads = {x, rois, index};
    writes = {out};
  }
  std::string Describe() const override {
    return "roi_align " + std::to_string(g_.rois) + "x" + std::to_string(g_.channels) + "x" +
           std::to_string(g_.out_height) + "x" + std::to_string(g_.out_width);
  }
  struct State : runtime::StepState {
    std::vector<Split> rows[kMostParts], columns[kMostParts];  // they keep their memory
  };
  std::unique_ptr<runtime::StepState> MakeState() const override { return std::make_unique<State>(); }

  Status Run(const runtime::StepContext& ctx) const override {
    const auto image = [&](std::int64_t r) {
      return g_.wide_index ? ctx.get<std::int64_t>(reads[2])[r] : std::int64_t{ctx.get<std::int32_t>(reads[2])[r]};
    };
    for (std::int64_t r = 0; r < g_.rois; ++r)
      if (image(r) < 0 || image(r) >= g_.images)
        return Status(Code::kInvalidArgument,
                      "roi_align: got image " + std::to_string(image(r)) + " of " + std::to_string(g_.images));
    auto& state = *static_cast<State*>(ctx.state);
    const float *x = ctx.get<float>(reads[0]), *rois = ctx.get<float>(reads[1]);
    float* out = ctx.get<float>(writes[0]);
    const int parts = static_cast<int>(std::clamp<std::int64_t>(g_.rois, 1, kMostParts));
    runtime::ForEachPart(ctx.threads, parts, [&](int part) {
      for (std::int64_t r = g_.rois * part / parts; r < g_.rois * (part + 1) / parts; ++r)
        Region(x + image(r) * g_.channels * g_.height * g_.width, rois + 4 * r,
               out + r * g_.channels * g_.out_height * g_.out_width, state.rows[part], state.columns[part]);
    });
    return {};
  }

 private:
  void Region(const float* x, const float* roi, float* out, std::vector<Split>& rows,
              std::vector<Split>& columns) const {
    const double offset = g_.aligned ? 0.5 : 0.0;
    const double left = roi[0] * g_.scale - offset, top = roi[1] * g_.scale - offset;
    double w = roi[2] * g_.scale - offset - left, h = roi[3] * g_.scale - offset - top;
    if (!g_.aligned) w = std::max(w, 1.0), h = std::max(h, 1.0);
    const double bin_h = h / static_cast<double>(g_.out_height), bin_w = w / static_cast<double>(g_.out_width);
    const auto samples = [&](double bin) {
      return g_.ratio > 0 ? g_.ratio : static_cast<std::int64_t>(std::clamp(std::ceil(bin), 0.0, 65536.0));
    };
    rows.resize(static_cast<std::size_t>(samples(bin_h)));
    columns.resize(static_cast<std::size_t>(samples(bin_w)));
    const auto fill = [](std::vector<Split>& to, double start, double bin, std::int64_t o, std::int64_t size) {
      const auto n = static_cast<double>(to.size());
      for (std::size_t s = 0; s < to.size(); ++s)
        to[s] = At(start + bin * (static_cast<double>(o) + (static_cast<double>(s) + 0.5) / n), size);
    };
    const std::int64_t plane = g_.height * g_.width, results = g_.out_height * g_.out_width;
    for (std::int64_t oy = 0; oy < g_.out_height; ++oy) {
      fill(rows, top, bin_h, oy, g_.height);
      for (std::int64_t ox = 0; ox < g_.out_width; ++ox) {
        fill(columns, left, bin_w, ox, g_.width);
        float* to = out + oy * g_.out_width + ox;
        for (std::int64_t c = 0; c < g_.channels; ++c)
          to[c * results] = g_.average ? Mean(x + c * plane, rows, columns) : Most(x + c * plane, rows, columns);
      }
    }
  }
  // A weight of 0 beyond the border stands for all four neighbours.
  float Mean(const float* x, const std::vector<Split>& rows, const std::vector<Split>& columns) const {
    float sum = 0;
    for (const Split& r : rows) {
      const float *upper = x + r.low * g_.width, *lower = x + r.high * g_.width;
      for (const Split& c : columns)
        sum += r.low_weight * (c.low_weight * upper[c.low] + c.high_weight * upper[c.high]) +
               r.high_weight * (c.low_weight * lower[c.low] + c.high_weight * lower[c.high]);
    }
    return sum / static_cast<float>(std::max<std::size_t>(rows.size() * columns.size(), 1));
  }
  float Most(const float* x, const std::vector<Split>& rows, const std::vector<Split>& columns) const {
    if (rows.empty() || columns.empty()) return 0;
    float most = -HUGE_VALF;
    for (const Split& r : rows) {
      const float *upper = x + r.low * g_.width, *lower = x + r.high * g_.width;
      for (const Split& c : columns)
        for (const float part :
             {r.low_weight * c.low_weight * upper[c.low], r.low_weight * c.high_weight * upper[c.high],
              r.high_weight * c.low_weight * lower[c.low], r.high_weight * c.high_weight * lower[c.high]})
          most = std::max(most, part);
    }
    return most;
  }

  Geometry g_;
};

}  // namespace

Result<std::string> EmitRoiAlign(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value out{id, 0};
  if (b.dtype(out) != DType::kF32) return std::string("not f32");
  const std::vector<std::int64_t> x = b.dims(n.inputs[0]);
  if (b.elements(n.inputs[0]) == 0 || b.elements(out) == 0) return std::string("nothing to compute");
  RoiAlignStep::Geometry g{x[0],
                           x[1],
                           x[2],
                           x[3],
                           b.dims(n.inputs[1])[0],
                           n.attrs.Int("output_height"),
                           n.attrs.Int("output_width"),
                           n.attrs.Int("sampling_ratio"),
                           n.attrs.Float("spatial_scale"),
                           n.attrs.Bool("aligned"),
                           n.attrs.String("mode") == "average",
                           b.dtype(n.inputs[2]) == DType::kI64};
  b.KeepApart(out);
  const BufferId data = b.In(n.inputs[0]), rois = b.In(n.inputs[1]), index = b.In(n.inputs[2]);
  b.Add(std::make_unique<RoiAlignStep>(g, data, rois, index, b.Out(out)));
  return std::string();
}

}  // namespace tenon::cpu
