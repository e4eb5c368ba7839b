#include "data/mnist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "data/idx.h"
#include "temporary_folder.h"
#include "test_data.h"

namespace tenon::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void Write(const std::string& path, const Literal& literal) {
  ASSERT_TRUE(base::WriteFile(path, WriteIdx(literal).value()).ok());
}

TEST(Mnist, ReadsAFolderUnderBothNames) {
  const TemporaryFolder folder;
  const Literal images = Literal::from<std::uint8_t>({2, 1, 2}, {0, 51, 255, 102});
  const Literal labels = Literal::from<std::uint8_t>({2}, {3, 9});
  Write(folder / "train-images-idx3-ubyte", images);
  Write(folder / "train-labels.idx1-ubyte", labels);
  Write(folder / "t10k-images.idx3-ubyte", images);
  const Status missing = ReadMnist(folder.path()).status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("t10k-labels-idx1-ubyte"));
  Write(folder / "t10k-labels-idx1-ubyte", labels);
  const TrainAndTest read = ReadMnist(folder.path()).value();
  EXPECT_EQ(read.train.images.dims(), (std::vector<std::int64_t>{2, 1, 2}));
  EXPECT_THAT(read.train.images.data<float>(), ElementsAre(0.0F, 0.2F, 1.0F, 0.4F));
  EXPECT_THAT(read.test.labels.data<std::int64_t>(), ElementsAre(3, 9));

  Write(folder / "t10k-labels-idx1-ubyte", Literal::from<std::uint8_t>({1}, {3}));
  EXPECT_EQ(ReadMnist(folder.path()).status().code(), Code::kInvalidArgument) << "two images, one label";
  Write(folder / "t10k-labels-idx1-ubyte", Literal::from<std::int32_t>({2}, {3, 4}));
  EXPECT_EQ(ReadMnist(folder.path()).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(ReadMnist(folder / "none").status().code(), Code::kNotFound);
}

TEST(Mnist, FilesOfTheField) {
  for (const char* name : {"data/mnist", "data/fashion_mnist"}) {
    TENON_TEST_DATA_OR_SKIP(path, name);
    const TrainAndTest read = ReadMnist(path).value();
    EXPECT_EQ(read.train.images.dims(), (std::vector<std::int64_t>{60000, 28, 28}));
    EXPECT_EQ(read.test.images.dims(), (std::vector<std::int64_t>{10000, 28, 28}));
    std::vector<int> counts(10, 0);
    for (const std::int64_t label : read.test.labels.data<std::int64_t>()) ++counts.at(static_cast<std::size_t>(label));
    for (const int count : counts) EXPECT_NEAR(count, 1000, 200);
    const auto [low, high] = std::ranges::minmax(read.test.images.data<float>());
    EXPECT_EQ(low, 0.0F);
    EXPECT_EQ(high, 1.0F);
  }
}

}  // namespace
}  // namespace tenon::data
