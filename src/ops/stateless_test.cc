// Normal numbers far from where a product of floats would put them: TensorFlow's of the same key and counter.
#include <gtest/gtest.h>

#include "ops/op_check.h"

namespace tenon::ir::ops {
namespace {

TEST(StatelessRandom, AnglesAreRoundedOnce) {
  const Literal key = Literal::from<std::uint64_t>({1}, {0x123456789abcdef0ULL}),
                counter = Literal::from<std::uint64_t>({2}, {5, 0xfedcba9876543210ULL});
  const Literal y =
      Eval("stateless_random", {key, counter}, {{"kind", std::string("normal")}, {"dims", Shape({13240})}})[0];
  EXPECT_NEAR(y.at(2623), 0x1.0b0872p-1, 3e-7);
  EXPECT_NEAR(y.at(4912), -0x1.3931a6p+0, 3e-7);
  EXPECT_NEAR(y.at(5994), -0x1.ee4a92p-1, 3e-7);
  EXPECT_NEAR(y.at(10237), 0x1.01107cp+1, 3e-7);
  EXPECT_NEAR(y.at(13238), -0x1.2c66f2p+0, 3e-7);
}

}  // namespace
}  // namespace tenon::ir::ops
