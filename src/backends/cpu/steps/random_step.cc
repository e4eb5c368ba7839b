// random_uniform, random_normal and random_bernoulli, f32 and bool, in blocks that fit the cache; parts of a large draw
// run side by side, each element being a function of its position alone.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include "backends/cpu/kernels/loop_kernels.h"
#include "backends/cpu/kernels/random_kernels.h"
#include "backends/cpu/steps/steps.h"
#include "runtime/parallel.h"

namespace tenon::cpu {

extern const RandomKernels kRandomKernels_avx512, kRandomKernels_avx2, kRandomKernels_baseline;

const RandomKernels& GetRandomKernels() {
  static const RandomKernels& chosen = [&]() -> const RandomKernels& {
    const std::string_view isa = GetLoopKernels().isa;
    if (isa == "avx512") return kRandomKernels_avx512;
    return isa == "avx2" ? kRandomKernels_avx2 : kRandomKernels_baseline;
  }();
  return chosen;
}

namespace {

enum class Kind { kUniform, kNormal, kBernoulli };
constexpr std::int64_t kBlock = 1024;

class RandomStep : public runtime::Step {
 public:
  RandomStep(Kind kind, double first, double second, std::int64_t n, BufferId state, BufferId out, std::string text)
      : kind_(kind), first_(first), second_(second), n_(n), text_(std::move(text)) {
    reads = {state};
    writes = {out};
  }
  std::string Describe() const override { return text_; }
  Status Run(const runtime::StepContext& ctx) const override {
    const auto* state = ctx.get<std::uint64_t>(reads[0]);
    const std::uint64_t seed = state[0], counter = state[1];
    std::byte* out = ctx.get<std::byte>(writes[0]);
    const RandomKernels& k = GetRandomKernels();
    const std::int64_t blocks = (n_ + kBlock - 1) / kBlock;
    const int parts = static_cast<int>(std::clamp<std::int64_t>(blocks / 32, 1, 64));
    runtime::ForEachPart(ctx.threads, parts, [&](int part) {
      alignas(64) std::uint32_t words[kBlock];
      alignas(64) float values[kBlock];
      for (std::int64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
        const std::int64_t at = b * kBlock, n = std::min(kBlock, n_ - at);
        k.words(words, seed, counter, at, (n + 63) / 64 * 64);
        if (kind_ == Kind::kBernoulli) {
          k.below(reinterpret_cast<std::uint8_t*>(out) + at, words, n, static_cast<std::uint32_t>(first_));
          continue;
        }
        if (kind_ == Kind::kUniform)
          k.uniform(values, words, n, static_cast<float>(first_), static_cast<float>(second_));
        else
          k.normal(values, words, (n + 1) / 2 * 2, static_cast<float>(first_), static_cast<float>(second_));
        std::memcpy(out + at * 4, values, static_cast<std::size_t>(n) * 4);
      }
    });
    return {};
  }

 private:
  Kind kind_;
  double first_, second_;
  std::int64_t n_;
  std::string text_;
};

}  // namespace

Result<std::string> EmitRandom(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value out{id, 0};
  const std::string_view op = n.op->name;
  const Kind kind = op == "random_uniform" ? Kind::kUniform : op == "random_normal" ? Kind::kNormal : Kind::kBernoulli;
  double first = 0, second = 0;
  if (kind == Kind::kBernoulli) {
    if (b.dtype(out) != DType::kBool) return std::string("not bool");
    first = std::ceil(n.attrs.Float("probability") * 16777216.0);  // u < p for u a multiple of 2^-24
  } else {
    if (b.dtype(out) != DType::kF32) return std::string("not f32");
    first = n.attrs.Float(kind == Kind::kUniform ? "low" : "mean");
    second = n.attrs.Float(kind == Kind::kUniform ? "high" : "stddev");
  }
  const BufferId state = b.In(n.inputs[0]);
  b.KeepApart(out);
  b.Add(std::make_unique<RandomStep>(kind, first, second, b.elements(out), state, b.Out(out),
                                     std::string(op) + " " + b.graph().type(out).to_string()));
  return std::string();
}

}  // namespace tenon::cpu
