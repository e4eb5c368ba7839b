#include "data/digits.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

namespace tenon::data {
namespace {

TEST(Digits, AnImageIsAFunctionOfSeedAndIndex) {
  const LabelledImages all = DrawDigits(5, 0, 600, 1), part = DrawDigits(5, 100, 500, 3);
  std::vector<float> pixels(784, 7.0F);
  for (std::size_t i = 0; i < 500; ++i) {
    EXPECT_EQ(all.labels.data<std::int64_t>()[i + 100], part.labels.data<std::int64_t>()[i]);
    const auto one = all.images.data<float>().subspan((i + 100) * 784, 784);
    const auto other = part.images.data<float>().subspan(i * 784, 784);
    ASSERT_TRUE(std::equal(one.begin(), one.end(), other.begin())) << i;
  }
  EXPECT_EQ(DrawDigit(5, 250, pixels), all.labels.data<std::int64_t>()[250]);
  EXPECT_TRUE(std::equal(pixels.begin(), pixels.end(), all.images.data<float>().begin() + 250 * 784));
  EXPECT_FALSE(identical(DrawDigits(6, 0, 100).images, DrawDigits(5, 0, 100).images));
  EXPECT_FALSE(identical(DrawDigits(5, std::int64_t{1} << 32, 100).images, DrawDigits(5, 0, 100).images));
  EXPECT_EQ(DrawDigits(5, 0, 0).images.size(), 0);
}

TEST(Digits, EachTenHoldEveryDigitInItsOwnOrder) {
  const LabelledImages set = DrawDigits(1, 0, 1000);
  int sorted = 0;
  for (std::size_t ten = 0; ten < 100; ++ten) {
    const auto labels = set.labels.data<std::int64_t>().subspan(ten * 10, 10);
    std::array<int, 10> seen{};
    for (const std::int64_t label : labels) ++seen.at(static_cast<std::size_t>(label));
    for (const int times : seen) ASSERT_EQ(times, 1);
    sorted += std::is_sorted(labels.begin(), labels.end());
  }
  EXPECT_EQ(sorted, 0);
}

TEST(Digits, PixelsAreInkOnPaper) {
  const LabelledImages set = DrawDigits(2, 0, 1000);
  for (std::size_t i = 0; i < 1000; ++i) {
    double sum = 0, most = 0;
    for (const float pixel : set.images.data<float>().subspan(i * 784, 784)) {
      ASSERT_GE(pixel, 0);
      ASSERT_LE(pixel, 1);
      ASSERT_EQ(static_cast<float>(std::lround(pixel * 255.0F)) / 255.0F, pixel);
      sum += static_cast<double>(pixel);
      most = std::max(most, static_cast<double>(pixel));
    }
    EXPECT_GT(most, 0.5) << i;
    EXPECT_GT(sum, 15) << i;
    EXPECT_LT(sum, 300) << i;
  }
}

// The mean image of each digit already tells most unseen ones: the pictures are what their labels say.
TEST(Digits, ImagesGoWithTheirLabels) {
  const LabelledImages train = DrawDigits(3, 0, 4000), test = DrawDigits(3, std::int64_t{1} << 32, 1000);
  std::vector<std::vector<double>> mean(10, std::vector<double>(784, 0));
  for (std::size_t i = 0; i < 4000; ++i)
    for (std::size_t p = 0; p < 784; ++p)
      mean[static_cast<std::size_t>(train.labels.data<std::int64_t>()[i])][p] +=
          static_cast<double>(train.images.data<float>()[i * 784 + p]) / 400;
  int right = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    double best = INFINITY;
    std::int64_t guess = -1;
    for (std::int64_t digit = 0; digit < 10; ++digit) {
      double distance = 0;
      for (std::size_t p = 0; p < 784; ++p)
        distance += std::pow(
            static_cast<double>(test.images.data<float>()[i * 784 + p]) - mean[static_cast<std::size_t>(digit)][p], 2);
      if (distance < best) best = distance, guess = digit;
    }
    right += guess == test.labels.data<std::int64_t>()[i];
  }
  EXPECT_GT(right, 600);
  EXPECT_LT(right, 950) << "too easy to be of use";
}

}  // namespace
}  // namespace tenon::data
