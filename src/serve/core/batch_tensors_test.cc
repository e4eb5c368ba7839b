#include "serve/core/batch_tensors.h"

#include <gtest/gtest.h>

namespace tenon::serve {
namespace {

TEST(JoinRows, PadsToTheLargest) {
  const Literal a = Literal::from<float>({1, 2}, {1, 2}), b = Literal::from<float>({1, 3}, {3, 4, 5});
  const Literal* const both[] = {&a, &b};
  EXPECT_EQ(JoinRows(both, 1, true, "x").value().to_string(9), "f32[3, 3] {1, 2, 1, 3, 4, 5, 3, 4, 5}");
  EXPECT_EQ(JoinRows(both, 0, false, "x").status().code(), Code::kFailedPrecondition);
}

// A tensor of no elements may claim any dims.
TEST(JoinRows, IsNotPaddedToWhatATensorOnlyClaims) {
  constexpr std::int64_t kMany = std::int64_t{1} << 28, kTooMany = std::int64_t{1} << 60;
  const Literal some = Literal::from<float>({1, 2, 2}, {1, 2, 3, 4});
  const Literal text = Literal::from_strings({1, 1, 1}, {"a"});
  for (const std::vector<std::int64_t>& dims :
       {std::vector<std::int64_t>{0, kMany, 2}, {1, kMany, 0}, {1, 0, kMany}, {0, kTooMany, 2}, {1, kTooMany, 0}}) {
    const Literal claims(DType::kF32, dims);
    const Literal* const both[] = {&some, &claims};
    const Status status = JoinRows(both, 0, true, "x").status();
    EXPECT_EQ(status.code(), Code::kFailedPrecondition);
    EXPECT_NE(status.message().find("16 bytes"), std::string::npos) << status.message();
  }
  const Literal claims(DType::kString, {0, kMany >> 4, 1});
  const Literal* const texts[] = {&text, &claims};
  EXPECT_EQ(JoinRows(texts, 0, true, "x").status().code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace tenon::serve
