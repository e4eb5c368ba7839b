// The f32 functions against double, in units in the last place of the f32 result. Every 257th float by default;
// TENON_EXHAUSTIVE=1 takes all 2^32 of them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "backends/cpu/kernels/loop_kernels.h"

namespace tenon::cpu {
namespace {

float FromBits(std::uint32_t u) {
  float x = 0;
  std::memcpy(&x, &u, 4);
  return x;
}

// |got - want| in units of the spacing of floats at want (of the smallest denormal below).
double UlpError(float got, double want) {
  const float rounded = static_cast<float>(want);
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want) ? 0 : 1e30;
  if (std::isinf(rounded) || std::isinf(got)) {
    if (got == rounded) return 0;
    return std::isinf(got) && std::fabs(want) > 3.4028234e38       ? 0.5
           : std::isinf(rounded) && std::fabs(got) >= 3.402823e38f ? 1
                                                                   : 1e30;
  }
  int exponent = 0;
  std::frexp(want, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 24, -149));
  return std::fabs(static_cast<double>(got) - want) / unit;
}

struct Function {
  const char* name;
  LoopOp op;
  double (*truth)(double);
  double limit;  // ulp
};
double Sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double Rsqrt(double x) { return 1 / std::sqrt(x); }
const Function kFunctions[] = {
    {"exp", LoopOp::kExp, [](double x) { return std::exp(x); }, 1.2},
    {"expm1", LoopOp::kExpm1, [](double x) { return std::expm1(x); }, 2.0},
    {"log", LoopOp::kLog, [](double x) { return std::log(x); }, 1.5},
    {"log1p", LoopOp::kLog1p, [](double x) { return std::log1p(x); }, 2.5},
    {"tanh", LoopOp::kTanh, [](double x) { return std::tanh(x); }, 2.5},
    {"sigmoid", LoopOp::kSigmoid, Sigmoid, 3.0},
    {"erf", LoopOp::kErf, [](double x) { return std::erf(x); }, 2.0},
    {"erfc", LoopOp::kErfc, [](double x) { return std::erfc(x); }, 6.5},
    {"sin", LoopOp::kSin, [](double x) { return std::sin(x); }, 1.5},
    {"cos", LoopOp::kCos, [](double x) { return std::cos(x); }, 1.5},
    {"sqrt", LoopOp::kSqrt, [](double x) { return std::sqrt(x); }, 0.51},
    {"rsqrt", LoopOp::kRsqrt, Rsqrt, 1.6},
    {"round", LoopOp::kRound, [](double x) { return std::nearbyint(x); }, 0},
    {"floor", LoopOp::kFloor, [](double x) { return std::floor(x); }, 0},
    {"asinh", LoopOp::kAsinh, [](double x) { return std::asinh(x); }, 0.51},
};

class LoopMath : public testing::TestWithParam<Function> {};

TEST_P(LoopMath, WithinUlps) {
  const Function& f = GetParam();
  const std::uint64_t step = std::getenv("TENON_EXHAUSTIVE") != nullptr ? 1 : 257;
  const LoopKernels* const* list = nullptr;
  const int n = AvailableLoopKernels(&list);
  constexpr int kBlock = 1024;
  alignas(64) float x[kBlock], y[3][kBlock];
  double worst[3] = {};
  float where[3] = {};
  for (std::uint64_t start = 0; start < (std::uint64_t{1} << 32); start += step * kBlock) {
    for (int i = 0; i < kBlock; ++i)
      x[i] = FromBits(static_cast<std::uint32_t>(start + step * static_cast<std::uint64_t>(i)));
    for (int k = 0; k < n; ++k) {
      const LoopKernel kernel = list[k]->op[static_cast<int>(f.op)][static_cast<int>(CType::kF32)];
      ASSERT_NE(kernel, nullptr);
      kernel(y[k], x, nullptr, nullptr, kBlock);
    }
    for (int i = 0; i < kBlock; ++i) {
      const double want = f.truth(static_cast<double>(x[i]));
      for (int k = 0; k < n; ++k) {
        const double error = UlpError(y[k][i], want);
        if (error > worst[k]) worst[k] = error, where[k] = x[i];
      }
    }
  }
  for (int k = 0; k < n; ++k) {
    RecordProperty(std::string(list[k]->isa), std::to_string(worst[k]));
    std::printf("%s %s: %.3f ulp at %a\n", f.name, list[k]->isa, worst[k], static_cast<double>(where[k]));
    EXPECT_LE(worst[k], f.limit) << f.name << " on " << list[k]->isa << " at " << where[k];
  }
}
INSTANTIATE_TEST_SUITE_P(F32, LoopMath, testing::ValuesIn(kFunctions), [](const auto& p) { return p.param.name; });

TEST(LoopMath, PowerWithinOneUlp) {
  const LoopKernels* const* list = nullptr;
  const int n = AvailableLoopKernels(&list);
  alignas(64) float x[256], y[256], z[256];
  std::uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525u + 1013904223u; };
  for (int round = 0; round < 400; ++round) {
    for (int i = 0; i < 256; ++i) {
      x[i] = round % 4 == 0 ? FromBits(next()) : std::fabs(FromBits((next() & 0x03ffffffu) + 0x3e000000u));
      y[i] = round % 4 == 0 ? FromBits(next()) : static_cast<float>(static_cast<std::int32_t>(next()) % 4000) / 64.0f;
      if (round % 8 == 1) y[i] = std::round(y[i]), x[i] = i % 2 == 0 ? -x[i] : x[i];
    }
    for (int k = 0; k < n; ++k) {
      list[k]->op[static_cast<int>(LoopOp::kPower)][0](z, x, y, nullptr, 256);
      for (int i = 0; i < 256; ++i)
        EXPECT_LE(UlpError(z[i], std::pow(static_cast<double>(x[i]), static_cast<double>(y[i]))), 0.6)
            << x[i] << " ^ " << y[i];
    }
  }
}

TEST(LoopMath, HalfConversionsMatchTheScalarOnes) {
  const LoopKernels* const* list = nullptr;
  const int n = AvailableLoopKernels(&list);
  constexpr int kHalf = static_cast<int>(DType::kF16), kBrain = static_cast<int>(DType::kBF16);
  for (int k = 0; k < n; ++k) {
    for (std::uint32_t h = 0; h < 65536; h += 64) {
      std::uint16_t bits[64], back[64];
      float wide[64];
      for (int i = 0; i < 64; ++i) bits[i] = static_cast<std::uint16_t>(h + static_cast<std::uint32_t>(i));
      list[k]->load[kHalf](wide, bits, 64);
      list[k]->store[kHalf](back, wide, 64);
      for (int i = 0; i < 64; ++i) {
        const float want = to_float(Half{bits[i]});
        if (std::isnan(want)) {
          EXPECT_TRUE(std::isnan(wide[i]) && std::isnan(to_float(Half{back[i]})));
        } else {
          EXPECT_EQ(wide[i], want);
          EXPECT_EQ(back[i], bits[i]);
        }
      }
    }
    for (std::uint64_t u = 0; u < (std::uint64_t{1} << 32); u += 64 * 1021) {
      float wide[64];
      std::uint16_t half[64], brain[64];
      for (int i = 0; i < 64; ++i)
        wide[i] = FromBits(static_cast<std::uint32_t>(u) + static_cast<std::uint32_t>(i) * 997);
      list[k]->store[kHalf](half, wide, 64);
      list[k]->store[kBrain](brain, wide, 64);
      for (int i = 0; i < 64; ++i) {
        if (std::isnan(wide[i])) {
          EXPECT_TRUE(std::isnan(to_float(Half{half[i]})) && std::isnan(to_float(BFloat16{brain[i]})));
        } else {
          EXPECT_EQ(half[i], to_half(wide[i]).bits) << wide[i];
          EXPECT_EQ(brain[i], to_bfloat16(wide[i]).bits) << wide[i];
        }
      }
    }
  }
}

}  // namespace
}  // namespace tenon::cpu
