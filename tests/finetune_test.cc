// A network that PyTorch exported is trained further: ResNet-18 (narrow) on drawn digits.
#include <gtest/gtest.h>

#include <filesystem>

#include "data/digits.h"
#include "ir/module.h"
#include "temporary_folder.h"
#include "tenon/formats.h"
#include "tenon/keras.h"
#include "tenon/verify.h"
#include "test_data.h"

namespace tenon {
namespace {

struct Digits {
  Tensor x, y;
};

// [count, 3, 32, 32] from -1 to 1: digits of 28 x 28 in the middle, the same in each channel.
Digits MakeDigits(std::int64_t first, std::int64_t count) {
  Literal x(DType::kF32, {count, 3, 32, 32}), y(DType::kI64, {count});
  const std::span<float> to = x.mutable_data<float>();
  std::fill(to.begin(), to.end(), -1.0F);
  std::vector<float> pixels(28 * 28);
  for (std::int64_t i = 0; i < count; ++i) {
    y.mutable_data<std::int64_t>()[static_cast<std::size_t>(i)] = data::DrawDigit(3, first + i, pixels);
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t r = 0; r < 28; ++r)
        for (std::size_t k = 0; k < 28; ++k)
          to[((static_cast<std::size_t>(i) * 3 + c) * 32 + r + 2) * 32 + k + 2] = 2 * pixels[r * 28 + k] - 1;
  }
  return {Tensor(std::move(x)), Tensor(std::move(y))};
}

TEST(FineTune, ImportedResNet18LearnsDigits) {
  TENON_TEST_DATA_OR_SKIP(path, "fixtures/onnx/resnet_unfolded/model.onnx");
  keras::set_random_seed(1);
  const Module frozen = load(path).value();
  EXPECT_TRUE(frozen.variables().empty());
  const Module module = load(path, {.trainable_weights = true}).value();
  int trainable = 0, fixed = 0;
  for (const VariableSpec& v : module.variables()) ++(v.trainable ? trainable : fixed);
  EXPECT_EQ(trainable, 20 + 20 * 2 + 2);  // 20 kernels, scale and shift of 20 normalizations, the dense layer
  EXPECT_EQ(fixed, 20 * 2);               // means and variances
  // The same function before anything is trained.
  const verify::Report same = verify::compare(frozen, module, {.inputs = verify::random(1)}).value();
  EXPECT_TRUE(same.ok()) << same;

  const keras::layers::ModuleLayer resnet(module);
  keras::Sequential model({keras::Input({3, 32, 32}, {.name = "image"}), resnet});
  EXPECT_EQ(model.trainable_variables().size(), 62U);
  EXPECT_EQ(model.non_trainable_variables().size(), 40U);
  const Literal mean_before = module.variable("0.1.running_mean").value();
  const Digits train = MakeDigits(0, 1024), test = MakeDigits(5000, 256);
  model.compile({.optimizer = keras::Adam({.learning_rate = 0.01}),
                 .loss = keras::SparseCategoricalCrossentropy({.from_logits = true}),
                 .metrics = {"accuracy"}});
  const double before = model.evaluate(test.x, test.y, {.verbose = 0})["accuracy"];
  const keras::History h = model.fit(train.x, train.y, {.batch_size = 32, .epochs = 5, .verbose = 0});
  const double after = model.evaluate(test.x, test.y, {.verbose = 0})["accuracy"];
  std::printf("  accuracy %.3f before, %.3f after, loss %.3f to %.3f\n", before, after, h["loss"].front(),
              h["loss"].back());
  EXPECT_LT(before, 0.3);
  EXPECT_GT(after, 0.6);  // 160 steps
  // The normalization learned again: its statistics have moved, and they are the ones that inference uses.
  EXPECT_FALSE(identical(mean_before, module.variable("0.1.running_mean").value()));

  // What was trained goes back to ONNX and comes back the same.
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/tuned.onnx";
  ASSERT_TRUE(save(model.module(), file).ok());
  const Module back = load(file).value();
  const verify::Report report = verify::compare(model.module(), back, {.inputs = verify::random(2)}).value();
  EXPECT_TRUE(report.ok()) << report;
}

TEST(FineTune, AFrozenLayerKeepsItsWeightsAndStatistics) {
  TENON_TEST_DATA_OR_SKIP(path, "fixtures/onnx/resnet_unfolded/model.onnx");
  keras::set_random_seed(1);
  const Module module = load(path, {.trainable_weights = true}).value();
  const keras::layers::ModuleLayer resnet(module);
  resnet.set_trainable(false);
  keras::Sequential model({keras::Input({3, 32, 32}), resnet, keras::layers::Dense(10)});
  EXPECT_EQ(model.trainable_variables().size(), 2U);
  const Literal kernel = module.variable("0.0.weight").value(), mean = module.variable("0.1.running_mean").value();
  const Digits train = MakeDigits(0, 64);
  model.compile({.optimizer = "sgd", .loss = keras::SparseCategoricalCrossentropy({.from_logits = true})});
  model.fit(train.x, train.y, {.batch_size = 32, .epochs = 1, .verbose = 0});
  EXPECT_TRUE(identical(kernel, module.variable("0.0.weight").value()));
  EXPECT_TRUE(identical(mean, module.variable("0.1.running_mean").value()));
}

}  // namespace
}  // namespace tenon
