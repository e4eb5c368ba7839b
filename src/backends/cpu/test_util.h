// Tests compare compiled graphs with the reference.
#pragma once
#include <gtest/gtest.h>

#include <cmath>

#include "backends/cpu/cpu.h"
#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/numeric.h"
#include "ir/sample.h"

namespace tenon::cpu {

/// |got - want| <= tolerance * (1 + |want|), NaN for NaN, equal infinities.
inline void ExpectClose(const Literal& got, const Literal& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.dtype(), want.dtype()) << what;
  ASSERT_EQ(got.dims(), want.dims()) << what;
  if (want.dtype() == DType::kString || is_complex(want.dtype())) {
    ASSERT_TRUE(identical(got, want)) << what;
    return;
  }
  for (std::int64_t i = 0; i < want.size(); ++i) {
    const double g = got.at(i), w = want.at(i);
    if (std::isnan(w) && std::isnan(g)) continue;
    if (g == w) continue;
    ASSERT_LE(std::fabs(g - w), tolerance * (1 + std::fabs(w)))
        << what << ": element " << i << " of " << want.to_string();
  }
}

inline double ToleranceOf(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return 1e-12;
    case DType::kF32:
      return 2e-5;
    case DType::kF16:
      return 4e-3;
    case DType::kBF16:
      return 3e-2;
    default:
      return 0;
  }
}

/// Compiles, runs twice (the second time with the outputs handed back) and compares with the reference.
inline std::string Check(const ir::Graph& graph, const std::vector<Literal>& inputs,
                         runtime::CompileOptions options = {}, double tolerance = -1, double factor = 1) {
  std::vector<ir::Datum> data(inputs.begin(), inputs.end());
  const auto want = ir::EvalGraph(graph, data);
  auto compiled = Compile(graph, options);
  EXPECT_TRUE(compiled.ok()) << compiled.status().message();
  if (!compiled.ok()) return {};
  const auto context = (*compiled)->NewContext();
  std::vector<Literal> results(graph.outputs().size());
  for (int round = 0; round < 2; ++round) {
    std::vector<Literal> arguments = inputs;
    const Status status = context->Run(arguments, results);
    EXPECT_EQ(status.ok(), want.ok()) << (status.ok() ? want.status().message() : status.message()) << "\n"
                                      << (*compiled)->Explain();
    if (!status.ok() || !want.ok()) return (*compiled)->Explain();
    for (std::size_t i = 0; i < results.size(); ++i) {
      const Literal& w = (*want)[i].literal();
      ExpectClose(results[i], w, tolerance >= 0 ? tolerance : factor * ToleranceOf(w.dtype()),
                  "output " + std::to_string(i) + "\n" + (*compiled)->Explain());
    }
  }
  return (*compiled)->Explain();
}

inline Literal RandomOf(DType dtype, std::vector<std::int64_t> dims, int seed = 0, double low = -2, double high = 2) {
  return ir::Convert(ir::Random(std::move(dims), seed, low, high), dtype).value();
}

}  // namespace tenon::cpu
