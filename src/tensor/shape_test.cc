#include <gtest/gtest.h>

#include <sstream>

#include "tenon/types.h"

namespace tenon {
namespace {

TEST(Shape, AxesCountFromBothEnds) {
  const Shape shape = {Dim::symbol("batch"), 3, 4};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(shape.back(), 4);
  EXPECT_EQ(shape[0].symbol_name(), "batch");
  EXPECT_EQ(shape[-3].symbol_name(), "batch");
  EXPECT_THROW((void)shape[3], Error);
  EXPECT_THROW((void)shape[-4], Error);
  EXPECT_THROW((void)Shape().back(), Error);
}

TEST(Shape, SizeAndValues) {
  EXPECT_EQ(Shape().size(), 1);
  EXPECT_EQ((Shape{2, 0, 3}).size(), 0);
  EXPECT_EQ((Shape{Dim::symbol("n"), 3}).size(), 3 * Dim::symbol("n"));
  EXPECT_EQ((Shape{2, 3}).values(), (std::vector<std::int64_t>{2, 3}));
  EXPECT_TRUE((Shape{2, 3}).is_static());
  const Shape symbolic = {Dim::symbol("n"), 3};
  EXPECT_FALSE(symbolic.is_static());
  EXPECT_THROW((void)symbolic.values(), Error);
}

TEST(Shape, EqualityAndText) {
  EXPECT_EQ((Shape{Dim::symbol("n"), 2}), (Shape{Dim::symbol("n"), 2}));
  EXPECT_FALSE((Shape{Dim::symbol("n"), 2}) == (Shape{Dim::symbol("m"), 2}));
  EXPECT_FALSE((Shape{2}) == (Shape{2, 1}));
  std::ostringstream out;
  out << Shape{Dim::symbol("batch"), 2 * Dim::symbol("t") + 1, 3} << Shape();
  EXPECT_EQ(out.str(), "[batch, 2*t + 1, 3][]");
}

}  // namespace
}  // namespace tenon
