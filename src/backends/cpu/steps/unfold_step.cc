// im2col and col2im of f32, a line of windows at a time.
#include <algorithm>
#include <cstring>

#include "backends/cpu/steps/steps.h"
#include "runtime/parallel.h"

namespace tenon::cpu {
namespace {

struct Axis {
  std::int64_t image, block, stride, dilation, low, windows;
};

class UnfoldStep : public runtime::Step {
 public:
  /// `to_image`: col2im. planes: images and channels.
  UnfoldStep(bool to_image, std::vector<Axis> axes, std::int64_t planes, BufferId in, BufferId out)
      : to_image_(to_image), axes_(std::move(axes)), planes_(planes) {
    reads = {in};
    writes = {out};
    for (const Axis& a : axes_) image_ *= a.image, block_ *= a.block, windows_ *= a.windows;
  }
  std::string Describe() const override {
    return (to_image_ ? "col2im " : "im2col ") + std::to_string(planes_) + "x" + std::to_string(block_) + "x" +
           std::to_string(windows_);
  }
  Status Run(const runtime::StepContext& ctx) const override {
    const float* in = ctx.get<float>(reads[0]);
    float* out = ctx.get<float>(writes[0]);
    const int parts = static_cast<int>(
        std::clamp<std::int64_t>(planes_ * block_ * windows_ / 65536, 1, std::min<std::int64_t>(planes_, 16)));
    runtime::ForEachPart(ctx.threads, parts, [&](int part) {
      for (std::int64_t p = planes_ * part / parts; p < planes_ * (part + 1) / parts; ++p) {
        const std::int64_t columns = p * block_ * windows_, image = p * image_;
        if (to_image_) std::memset(out + image, 0, static_cast<std::size_t>(image_) * sizeof(float));
        for (std::int64_t tap = 0; tap < block_; ++tap)
          Tap(tap, in + (to_image_ ? columns : image), out + (to_image_ ? image : columns));
      }
    });
    return {};
  }

 private:
  void Tap(std::int64_t tap, const float* in, float* out) const {
    const Axis& line = axes_.back();
    const std::size_t rank = axes_.size();
    const std::int64_t shift = tap % line.block * line.dilation - line.low;
    // The windows of a line whose tap lies inside.
    const std::int64_t begin = shift >= 0 ? 0 : std::min(line.windows, (-shift + line.stride - 1) / line.stride),
                       end = shift >= line.image
                                 ? begin
                                 : std::clamp((line.image - 1 - shift) / line.stride + 1, begin, line.windows);
    for (std::int64_t first = 0; first < windows_; first += line.windows) {
      std::int64_t window = first / line.windows, k = tap / line.block, at = 0, step = line.image;
      bool inside = true;
      for (std::size_t i = rank - 1; i-- > 0;) {
        const Axis& a = axes_[i];
        const std::int64_t place = window % a.windows * a.stride + k % a.block * a.dilation - a.low;
        inside = inside && place >= 0 && place < a.image;
        at += place * step;
        step *= a.image;
        window /= a.windows, k /= a.block;
      }
      const std::int64_t column = tap * windows_ + first;
      if (to_image_) {
        if (!inside) continue;
        float* to = out + at + shift;
        const float* from = in + column;
        for (std::int64_t w = begin; w < end; ++w) to[w * line.stride] += from[w];
      } else {
        float* to = out + column;
        const float* from = in + at + shift;
        if (!inside) {
          std::fill_n(to, line.windows, 0.0F);
          continue;
        }
        std::fill_n(to, begin, 0.0F);
        for (std::int64_t w = begin; w < end; ++w) to[w] = from[w * line.stride];
        std::fill_n(to + end, line.windows - end, 0.0F);
      }
    }
  }

  bool to_image_;
  std::vector<Axis> axes_;
  std::int64_t planes_, image_ = 1, block_ = 1, windows_ = 1;
};

}  // namespace

Result<std::string> EmitUnfold(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value out{id, 0}, in = n.inputs[0];
  if (b.dtype(out) != DType::kF32) return std::string("not f32");
  if (b.elements(in) == 0 || b.elements(out) == 0) return std::string("nothing to compute");
  const bool to_image = n.op->name == "col2im";
  const std::vector<std::int64_t> image = b.dims(to_image ? out : in), block = n.attrs.Dims("block_shape").values();
  const auto at = [&](const char* name, std::size_t i, std::int64_t otherwise) {
    const std::vector<std::int64_t>& list = n.attrs.Ints(name);
    return list.empty() ? otherwise : list[i];
  };
  std::vector<Axis> axes;
  for (std::size_t i = 0; i < block.size(); ++i) {
    Axis a{image[i + 2], block[i], at("strides", i, 1), at("dilations", i, 1), at("padding", 2 * i, 0), 0};
    a.windows = (a.image + a.low + at("padding", 2 * i + 1, 0) - (a.block - 1) * a.dilation - 1) / a.stride + 1;
    axes.push_back(a);
  }
  b.KeepApart(out);
  const BufferId from = b.In(in);
  b.Add(std::make_unique<UnfoldStep>(to_image, std::move(axes), image[0] * image[1], from, b.Out(out)));
  return std::string();
}

}  // namespace tenon::cpu
