#include "tensor/aligned.h"

#include <gtest/gtest.h>

#include <cstring>

namespace tenon {
namespace {

// The floats `values` at an address that is `off` bytes past an aligned one, as a view.
Literal At(std::size_t off, std::initializer_list<float> values) {
  auto bytes = std::make_shared<Buffer>(Buffer::allocate(values.size() * 4 + 8, true));
  std::memcpy(bytes->mutable_data() + off, values.begin(), values.size() * 4);
  return Literal::from_buffer(DType::kF32, {static_cast<std::int64_t>(values.size())},
                              Buffer::view(bytes->data() + off, values.size() * 4, bytes))
      .value();
}

TEST(Aligned, CopiesOnlyWhatMustMove) {
  for (const std::size_t off : {0, 1, 2, 3, 4, 5}) {
    const Literal l = At(off, {1.5F, -2, 3});
    EXPECT_EQ(IsAligned(l), off % 4 == 0) << off;
    const Literal a = Aligned(l);
    EXPECT_TRUE(IsAligned(a));
    EXPECT_EQ(a.buffer().data() == l.buffer().data(), off % 4 == 0);
    EXPECT_TRUE(identical(a, l));
    EXPECT_EQ(a.data<float>()[1], -2);
    EXPECT_EQ(l.at(2), 3);  // reads bytes: any address will do
  }
}

TEST(Aligned, StringsAndPackedElementsAreAlways) {
  EXPECT_TRUE(IsAligned(Literal::scalar(std::string("a"))));
  EXPECT_TRUE(IsAligned(Literal(DType::kI4, {3})));
}

}  // namespace
}  // namespace tenon
