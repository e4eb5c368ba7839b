// Matrices that hold what is no number.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/op_check.h"

namespace tenon::ir::ops {
namespace {

const double kBad[] = {std::nan(""), HUGE_VAL, -HUGE_VAL};

// The first of two matrices is in order.
TEST(Decomposition, SingularValuesOfWhatIsNotFiniteAreNaN) {
  for (const double bad : kBad)
    for (const bool wide : {false, true}) {
      const std::vector<std::int64_t> dims =
          wide ? std::vector<std::int64_t>{2, 2, 3} : std::vector<std::int64_t>{2, 3, 2};
      const std::vector<Literal> out = Eval("singular_values", {Values(dims, {3, 0, 0, 0, 4, 0, 2, 1, bad, 3, 1, 5})});
      EXPECT_EQ(out[0].dims(), (std::vector<std::int64_t>{2, 2}));
      for (const Literal& part : out)
        for (std::int64_t i = 0; i < part.size(); ++i) EXPECT_EQ(std::isnan(part.at(i)), i >= part.size() / 2) << i;
    }
}

TEST(Decomposition, EigenvaluesOfWhatIsNotFiniteAreRefused) {
  for (const double bad : kBad) {
    EXPECT_THROW(Eval("symmetric_eigen", {Values({3, 3}, {2, 0, 0, bad, 3, 0, 1, 1, 5})}), std::exception);
    EXPECT_THROW(Eval("symmetric_eigen", {Values({2, 2}, {bad, 0, 1, 3})}), std::exception);
    // Above the diagonal nothing is read.
    const Literal values = Eval("symmetric_eigen", {Values({2, 2}, {2, bad, 0, 3})})[0];
    EXPECT_EQ(values.at(0), 2);
    EXPECT_EQ(values.at(1), 3);
  }
}

TEST(Decomposition, NumbersOfAnySizeKeepTheirProportions) {
  for (const double scale : {0x1p-1000, 0x1p-400, 1.0, 0x1p300, 0x1p700, 0x1p1020}) {
    const Literal x = Literal::from<double>({2, 2}, {2 * scale, scale, scale, 2 * scale});
    const Literal singular = Eval("singular_values", {x})[0], eigen = Eval("symmetric_eigen", {x})[0];
    EXPECT_NEAR(singular.at(0) / scale, 3, 1e-12) << scale;
    EXPECT_NEAR(singular.at(1) / scale, 1, 1e-12) << scale;
    EXPECT_NEAR(eigen.at(0) / scale, 1, 1e-12) << scale;
    EXPECT_NEAR(eigen.at(1) / scale, 3, 1e-12) << scale;
  }
}

}  // namespace
}  // namespace tenon::ir::ops
