#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "eager/dispatch.h"
#include "eager/random.h"
#include "ir/numeric.h"
#include "tenon/keras/base.h"

namespace tenon::keras {
namespace {

Tensor Draw(const char* op, std::uint64_t seed, std::uint64_t counter, const Shape& shape, const char* a, double va,
            const char* b, double vb) {
  return eager::ApplyOne(op, {Tensor(Literal::from<std::uint64_t>({2}, {seed, counter}))},
                         {{"dims", shape}, {a, va}, {b, vb}, {"dtype", DType::kF32}});
}
Literal As(const Tensor& t, DType dtype) { return ir::Convert(t.literal(), dtype).value(); }

Literal Uniform(const Shape& shape, DType dtype, std::uint64_t seed, double low, double high) {
  return As(Draw("random_uniform", seed, 0, shape, "low", low, "high", high), dtype);
}
Literal Normal(const Shape& shape, DType dtype, std::uint64_t seed, double mean, double stddev) {
  return As(Draw("random_normal", seed, 0, shape, "mean", mean, "stddev", stddev), dtype);
}
// Cut at two standard deviations: values outside are drawn again, from the next counters.
Literal Truncated(const Shape& shape, DType dtype, std::uint64_t seed, double mean, double stddev) {
  Literal out(DType::kF32, shape.values());
  const std::span<float> data = out.mutable_data<float>();
  std::size_t filled = 0;
  for (std::uint64_t counter = 0; filled < data.size(); ++counter) {
    const Tensor draw = Draw("random_normal", seed, counter, Shape({out.size()}), "mean", 0, "stddev", 1);
    for (const float v : draw.data<float>()) {
      if (std::fabs(v) > 2 || filled == data.size()) continue;
      data[filled++] = static_cast<float>(mean + stddev * static_cast<double>(v));
    }
  }
  return ir::Convert(out, dtype).value();
}

// Keras's fans: a kernel is receptive field x in x out; a vector is both.
std::pair<double, double> Fans(const Shape& shape) {
  const std::vector<std::int64_t> d = shape.values();
  if (d.empty()) return {1, 1};
  if (d.size() == 1) return {static_cast<double>(d[0]), static_cast<double>(d[0])};
  double field = 1;
  for (std::size_t i = 0; i + 2 < d.size(); ++i) field *= static_cast<double>(d[i]);
  return {field * static_cast<double>(d[d.size() - 2]), field * static_cast<double>(d.back())};
}

Initializer::Fn Scaling(VarianceScalingOptions o) {
  return [o](const Shape& shape, DType dtype, std::uint64_t seed) {
    const auto [in, out] = Fans(shape);
    const double fan = o.mode == "fan_in" ? in : o.mode == "fan_out" ? out : (in + out) / 2;
    const double scale = o.scale / std::max(1.0, fan);
    if (o.distribution == "uniform") return Uniform(shape, dtype, seed, -std::sqrt(3 * scale), std::sqrt(3 * scale));
    if (o.distribution == "untruncated_normal") return Normal(shape, dtype, seed, 0, std::sqrt(scale));
    return Truncated(shape, dtype, seed, 0, std::sqrt(scale) / 0.87962566103423978);
  };
}
void CheckScaling(const VarianceScalingOptions& o) {
  if (o.mode != "fan_in" && o.mode != "fan_out" && o.mode != "fan_avg")
    fail(Code::kInvalidArgument, "VarianceScaling: got mode \"" + o.mode + "\", expected fan_in, fan_out or fan_avg");
  if (o.distribution != "truncated_normal" && o.distribution != "untruncated_normal" && o.distribution != "uniform")
    fail(Code::kInvalidArgument, "VarianceScaling: got distribution \"" + o.distribution +
                                     "\", expected truncated_normal, untruncated_normal or uniform");
  if (o.scale <= 0)
    fail(Code::kInvalidArgument, "VarianceScaling: got scale " + std::to_string(o.scale) + ", expected more than 0");
}

// Rows (or columns) orthonormal, by modified Gram-Schmidt in double on a normal draw, signs as of QR with positive R.
Literal Orthonormal(const Shape& shape, DType dtype, std::uint64_t seed, double gain) {
  const std::vector<std::int64_t> dims = shape.values();
  if (dims.size() < 2)
    fail(Code::kInvalidArgument, "Orthogonal: got shape " + shape.to_string() + ", expected rank 2 or more");
  const std::int64_t columns = dims.back();
  const std::int64_t rows = std::accumulate(dims.begin(), dims.end() - 1, std::int64_t{1}, std::multiplies<>());
  const std::int64_t longer = std::max(rows, columns), shorter = std::min(rows, columns);
  const Tensor draw = Draw("random_normal", seed, 0, Shape({shorter, longer}), "mean", 0, "stddev", 1);
  std::vector<double> q = ir::ToDoubles(draw.literal());
  const auto row = [&](std::int64_t i) {
    return std::span(q).subspan(static_cast<std::size_t>(i * longer), static_cast<std::size_t>(longer));
  };
  for (std::int64_t i = 0; i < shorter; ++i) {
    for (int twice = 0; twice < 2; ++twice)
      for (std::int64_t k = 0; k < i; ++k) {
        const double dot = std::inner_product(row(i).begin(), row(i).end(), row(k).begin(), 0.0);
        for (std::size_t j = 0; j < row(i).size(); ++j) row(i)[j] -= dot * row(k)[j];
      }
    const double norm = std::sqrt(std::inner_product(row(i).begin(), row(i).end(), row(i).begin(), 0.0));
    for (double& v : row(i)) v /= norm;
  }
  std::vector<double> out(q.size());
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      out[static_cast<std::size_t>(r * columns + c)] =
          rows >= columns ? row(c)[static_cast<std::size_t>(r)] : row(r)[static_cast<std::size_t>(c)];
  for (double& v : out) v *= gain;
  return ir::FromDoubles(dtype, dims, out);
}

Literal Diagonal(const Shape& shape, DType dtype, double gain) {
  const std::vector<std::int64_t> dims = shape.values();
  if (dims.size() != 2)
    fail(Code::kInvalidArgument, "Identity: got shape " + shape.to_string() + ", expected a matrix");
  std::vector<double> out(static_cast<std::size_t>(dims[0] * dims[1]), 0.0);
  for (std::int64_t i = 0; i < std::min(dims[0], dims[1]); ++i) out[static_cast<std::size_t>(i * dims[1] + i)] = gain;
  return ir::FromDoubles(dtype, dims, out);
}

}  // namespace

Impl::~Impl() = default;

Literal Initializer::operator()(const Shape& shape, DType dtype) const {
  std::uint64_t seed = 0;
  if (seed_) {
    seed = *seed_;
  } else {
    const Tensor state = eager::NextRandomState();
    // One key per draw: the generator's seed and counter mixed.
    const std::span<const std::uint64_t> words = state.literal().data<std::uint64_t>();
    seed = words[0] ^ (words[1] * 0x9e3779b97f4a7c15ULL + 0x7f4a7c15ULL);
  }
  return fn_(shape, dtype, seed);
}

Initializer Initializer::get(const NameOr<Initializer>& which) {
  if (which.object()) return *which.object();
  static const std::map<std::string, std::function<Initializer()>> kByName = {
      {"zeros", [] { return Zeros(); }},
      {"ones", [] { return Ones(); }},
      {"constant", [] { return Constant(0); }},
      {"random_normal", [] { return RandomNormal(); }},
      {"normal", [] { return RandomNormal(); }},
      {"random_uniform", [] { return RandomUniform(); }},
      {"uniform", [] { return RandomUniform(); }},
      {"truncated_normal", [] { return TruncatedNormal(); }},
      {"variance_scaling", [] { return VarianceScaling(); }},
      {"glorot_uniform", [] { return GlorotUniform(); }},
      {"glorot_normal", [] { return GlorotNormal(); }},
      {"he_uniform", [] { return HeUniform(); }},
      {"he_normal", [] { return HeNormal(); }},
      {"lecun_uniform", [] { return LecunUniform(); }},
      {"lecun_normal", [] { return LecunNormal(); }},
      {"orthogonal", [] { return Orthogonal(); }},
      {"identity", [] { return Identity(); }},
  };
  const auto it = kByName.find(which.name());
  if (it != kByName.end()) return it->second();
  std::string names;
  for (const auto& [name, make] : kByName) names += (names.empty() ? "" : ", ") + name;
  fail(Code::kNotFound, "initializer \"" + which.name() + "\": there is none of that name, expected one of: " + names);
}

Zeros::Zeros() : Initializer("zeros", [](const Shape& s, DType t, std::uint64_t) { return Literal(s, t); }) {}
Ones::Ones() : Initializer("ones", [](const Shape& s, DType t, std::uint64_t) { return full(s, 1, t).literal(); }) {}
Constant::Constant(double value)
    : Initializer("constant", [value](const Shape& s, DType t, std::uint64_t) { return full(s, value, t).literal(); }) {
}
RandomNormal::RandomNormal(RandomNormalOptions o)
    : Initializer(
          "random_normal",
          [o](const Shape& s, DType t, std::uint64_t seed) { return Normal(s, t, seed, o.mean, o.stddev); }, o.seed) {}
TruncatedNormal::TruncatedNormal(RandomNormalOptions o)
    : Initializer(
          "truncated_normal",
          [o](const Shape& s, DType t, std::uint64_t seed) { return Truncated(s, t, seed, o.mean, o.stddev); },
          o.seed) {}
RandomUniform::RandomUniform(RandomUniformOptions o)
    : Initializer(
          "random_uniform",
          [o](const Shape& s, DType t, std::uint64_t seed) { return Uniform(s, t, seed, o.minval, o.maxval); },
          o.seed) {}
VarianceScaling::VarianceScaling(VarianceScalingOptions o, std::string name)
    : Initializer(std::move(name), Scaling(o), o.seed) {
  CheckScaling(o);
}
GlorotUniform::GlorotUniform(SeedOptions o)
    : Initializer("glorot_uniform", Scaling({1, "fan_avg", "uniform", {}}), o.seed) {}
GlorotNormal::GlorotNormal(SeedOptions o)
    : Initializer("glorot_normal", Scaling({1, "fan_avg", "truncated_normal", {}}), o.seed) {}
HeUniform::HeUniform(SeedOptions o) : Initializer("he_uniform", Scaling({2, "fan_in", "uniform", {}}), o.seed) {}
HeNormal::HeNormal(SeedOptions o) : Initializer("he_normal", Scaling({2, "fan_in", "truncated_normal", {}}), o.seed) {}
LecunUniform::LecunUniform(SeedOptions o)
    : Initializer("lecun_uniform", Scaling({1, "fan_in", "uniform", {}}), o.seed) {}
LecunNormal::LecunNormal(SeedOptions o)
    : Initializer("lecun_normal", Scaling({1, "fan_in", "truncated_normal", {}}), o.seed) {}
Orthogonal::Orthogonal(double gain, SeedOptions o)
    : Initializer(
          "orthogonal", [gain](const Shape& s, DType t, std::uint64_t seed) { return Orthonormal(s, t, seed, gain); },
          o.seed) {}

Identity::Identity(double gain)
    : Initializer("identity", [gain](const Shape& s, DType t, std::uint64_t) { return Diagonal(s, t, gain); }) {}

void set_random_seed(std::uint64_t seed) { random::set_random_seed(seed); }

}  // namespace tenon::keras
