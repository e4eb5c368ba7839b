// Models train: the pieces of keras/ together.
#include "tenon/keras.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <sstream>

#include "tenon/compile.h"

namespace tenon {
namespace {

namespace layers = keras::layers;

// Two classes of points, apart along a diagonal.
struct Points {
  Tensor x, y;
};
Points MakePoints(std::int64_t n) {
  Literal x(DType::kF32, {n, 4}), y(DType::kI64, {n});
  const Tensor noise = random::normal(Shape({n, 4}), {.seed = 7});
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t cls = i % 2;
    y.mutable_data<std::int64_t>()[static_cast<std::size_t>(i)] = cls;
    for (std::int64_t k = 0; k < 4; ++k)
      x.mutable_data<float>()[static_cast<std::size_t>(i * 4 + k)] =
          noise.data<float>()[static_cast<std::size_t>(i * 4 + k)] + (cls == 1 ? 1.5F : -1.5F);
  }
  return {Tensor(std::move(x)), Tensor(std::move(y))};
}

TEST(Keras, SequentialTrains) {
  keras::set_random_seed(1);
  const Points p = MakePoints(256);
  keras::Sequential model({keras::Input({4}), layers::Dense(8, {.activation = "relu"}), layers::Dropout(0.1),
                           layers::Dense(2, {.activation = "softmax"})});
  model.compile({.optimizer = keras::Adam({.learning_rate = 0.02}),
                 .loss = "sparse_categorical_crossentropy",
                 .metrics = {"accuracy"}});
  const keras::History h = model.fit(p.x, p.y, {.batch_size = 32, .epochs = 8, .verbose = 0, .validation_split = 0.25});
  EXPECT_EQ(h["loss"].size(), 8U);
  EXPECT_LT(h["loss"].back(), h["loss"].front());
  EXPECT_GT(h["val_accuracy"].back(), 0.95);
  const keras::Evaluation e = model.evaluate(p.x, p.y, {.verbose = 0});
  EXPECT_GT(e["accuracy"], 0.95);
  EXPECT_GT(e.loss, 0);
  EXPECT_EQ(model.predict(p.x).shape(), (Shape{256, 2}));
  std::ostringstream text;
  model.summary(text);
  EXPECT_NE(text.str().find("Total params: 58"), std::string::npos) << text.str();
}

TEST(Keras, OptimizersReduceTheLoss) {
  const Points p = MakePoints(64);
  const std::vector<keras::Optimizer> optimizers = {
      keras::SGD({.learning_rate = 0.1}),
      keras::SGD({.learning_rate = 0.05, .momentum = 0.9, .nesterov = true}),
      keras::Adam({.learning_rate = 0.05}),
      keras::AdamW({.learning_rate = 0.05}),
      keras::RMSprop({.learning_rate = 0.02, .momentum = 0.5, .centered = true}),
      keras::Adam({.learning_rate = 0.05, .amsgrad = true, .common = {.global_clipnorm = 1.0}})};
  for (const keras::Optimizer& o : optimizers) {
    keras::Sequential model({layers::Dense(1, {.activation = "sigmoid"})});
    model.compile({.optimizer = o, .loss = "binary_crossentropy", .metrics = {"accuracy"}});
    const keras::History h = model.fit(p.x, p.y, {.batch_size = 16, .epochs = 6, .verbose = 0});
    EXPECT_LT(h["loss"].back(), 0.7 * h["loss"].front() + 0.05) << o.impl()->name();
    EXPECT_EQ(o.iterations().value().item(), 24);
  }
}

TEST(Keras, FunctionalWithSharedLayersAndTwoOutputs) {
  const Tensor a = keras::Input({4}, {.name = "a"}), b = keras::Input({4}, {.name = "b"});
  const layers::Dense shared(3, {.activation = "tanh", .name = "shared"});
  const Tensor joined = layers::Concatenate()({shared(a), shared(b)});
  const Tensor label = layers::Dense(2, {.name = "label"})(joined);
  const Tensor score = layers::Dense(1, {.activation = "sigmoid", .name = "score"})(joined);
  keras::Model model({.inputs = {a, b}, .outputs = {label, score}});
  EXPECT_EQ(model.layers().size(), 4U);
  EXPECT_EQ(model.trainable_variables().size(), 6U);  // shared counts once
  model.compile({.optimizer = "adam",
                 .loss = {{"label", keras::SparseCategoricalCrossentropy({.from_logits = true})}, {"score", "mse"}},
                 .loss_weights = {{"label", 1.0}, {"score", 0.3}},
                 .metrics = {{"label", {"accuracy"}}}});
  const Points p = MakePoints(32);
  const Tensor half = zeros({32, 1});
  const keras::History h =
      model.fit({{"b", p.x}, {"a", p.x}}, {{"label", p.y}, {"score", half}}, {.epochs = 2, .verbose = 0});
  for (const char* name : {"loss", "label_loss", "score_loss", "label_accuracy"}) EXPECT_EQ(h[name].size(), 2U) << name;
  EXPECT_NEAR(h["loss"][0], h["label_loss"][0] + 0.3 * h["score_loss"][0], 1e-5);
  model.get_layer("shared").set_trainable(false);
  EXPECT_EQ(model.trainable_variables().size(), 4U);
  EXPECT_THROW((void)model.get_layer("nobody"), Error);
  const Module m = model.module();
  const SignatureSpec s = m.signature().value();
  EXPECT_EQ(s.inputs[0].name, "a");
  EXPECT_EQ(s.outputs[1].name, "score");
}

TEST(Keras, ConvolutionsAndBatchNormalization) {
  keras::set_random_seed(3);
  keras::Sequential model({keras::Input({8, 8, 1}), layers::Conv2D(4, 3, {.padding = "same"}),
                           layers::BatchNormalization(), layers::ReLU(), layers::MaxPooling2D(), layers::Conv2D(4, 3),
                           layers::GlobalAveragePooling2D(), layers::Dense(2)});
  model.compile({.optimizer = keras::Adam({.learning_rate = 0.01}),
                 .loss = keras::SparseCategoricalCrossentropy({.from_logits = true}),
                 .metrics = {"accuracy"}});
  Literal x(DType::kF32, {32, 8, 8, 1}), y(DType::kI64, {32});
  for (std::int64_t i = 0; i < 32; ++i) {
    y.mutable_data<std::int64_t>()[static_cast<std::size_t>(i)] = i % 2;
    for (std::int64_t k = 0; k < 64; ++k)
      x.mutable_data<float>()[static_cast<std::size_t>(i * 64 + k)] =
          (i % 2 == 0 ? (k / 8) % 2 : k % 2) != 0 ? 1.F : 0.F;
  }
  const keras::History h = model.fit(Tensor(x), Tensor(y), {.batch_size = 8, .epochs = 15, .verbose = 0});
  EXPECT_GT(h["accuracy"].back(), 0.9);
  const Variable mean = model.get_layer(model.layers()[1].name()).non_trainable_variables()[0];
  EXPECT_NE(mean.value().literal().at(0), 0) << "moving statistics follow the batches";
}

TEST(Keras, CallbacksSeeTheEpochs) {
  const Points p = MakePoints(64);
  keras::Sequential model({layers::Dense(2)});
  model.compile({.optimizer = "sgd", .loss = keras::SparseCategoricalCrossentropy({.from_logits = true})});
  keras::EarlyStopping stop({.monitor = "loss", .min_delta = 100, .patience = 2, .restore_best_weights = true});
  std::vector<std::string> order;
  keras::LambdaCallback lambda(
      {.on_epoch_begin = [&](int e, const keras::Logs&) { order.push_back("begin " + std::to_string(e)); },
       .on_epoch_end =
           [&](int e, const keras::Logs& l) {
             order.push_back("end " + std::to_string(e) + (l.contains("loss") ? " loss" : ""));
           }});
  const keras::History h = model.fit(p.x, p.y, {.epochs = 10, .verbose = 0, .callbacks = {stop, lambda}});
  EXPECT_EQ(h.epoch.size(), 3U);
  EXPECT_EQ(stop->stopped_epoch, 2);
  EXPECT_EQ(stop->best_epoch, 0);
  EXPECT_EQ(order[0], "begin 0");
  EXPECT_EQ(order[1], "end 0 loss");
}

TEST(Keras, NanLossStops) {
  keras::Sequential model({layers::Dense(1)});
  model.compile({.optimizer = keras::SGD({.learning_rate = 1e30}), .loss = "mse"});
  const Points p = MakePoints(64);
  testing::internal::CaptureStdout();
  const keras::History h =
      model.fit(p.x, p.y, {.batch_size = 8, .epochs = 5, .verbose = 0, .callbacks = {keras::TerminateOnNaN()}});
  EXPECT_NE(testing::internal::GetCapturedStdout().find("Invalid loss, terminating training"), std::string::npos);
  EXPECT_EQ(h.epoch.size(), 1U);
}

TEST(Keras, WeightsRoundTrip) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("keras_test-" + std::to_string(::getpid()) + ".weights.npz")).string();
  keras::Sequential a({keras::Input({4}), layers::Dense(3, {.name = "first"}), layers::Dense(2, {.name = "second"})});
  keras::Sequential b({keras::Input({4}), layers::Dense(3, {.name = "first"}), layers::Dense(2, {.name = "second"})});
  a.save_weights(path);
  b.load_weights(path);
  const Tensor x = ones({1, 4});
  EXPECT_TRUE(identical(a.predict(x).literal(), b.predict(x).literal()));
  keras::Sequential other({keras::Input({4}), layers::Dense(5, {.name = "first"})});
  try {
    other.load_weights(path);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("first/kernel"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("second/kernel"), std::string::npos) << "all misfits at once";
  }
  std::filesystem::remove(path);
}

TEST(Keras, ErrorsAreClear) {
  keras::Sequential model({layers::Dense(1)});
  const Points p = MakePoints(8);
  EXPECT_THROW((void)model.fit(p.x, p.y), Error);  // before compile
  EXPECT_THROW(model.compile({.loss = "no_such_loss"}), Error);
  EXPECT_THROW(model.compile({.optimizer = "no_such_optimizer", .loss = "mse"}), Error);
  EXPECT_THROW((void)layers::Dense(0), Error);
  EXPECT_THROW((void)layers::Dropout(1.5), Error);
  model.compile({.loss = "mse"});
  EXPECT_THROW((void)model.fit(p.x, zeros({7, 1}), {.verbose = 0}), Error);
  EXPECT_THROW((void)model.fit(p.x, p.y, {.batch_size = 0, .verbose = 0}), Error);
  EXPECT_THROW((void)model.fit(p.x, p.y, {.verbose = 0, .validation_split = 1.5}), Error);
}

TEST(Keras, ModuleComputesWhatTheModelPredicts) {
  keras::Sequential model({keras::Input({4}, {.name = "x"}), layers::Dense(3, {.activation = "gelu"}),
                           layers::Dense(2, {.activation = "softmax", .name = "y"})});
  const Points p = MakePoints(5);
  const Tensor want = model.predict(p.x);
  const std::map<std::string, Literal> got = model.module().run({{"x", p.x.literal()}}).value();
  for (std::int64_t i = 0; i < 10; ++i) EXPECT_NEAR(got.at("y").at(i), want.literal().at(i), 1e-6);
}

}  // namespace
}  // namespace tenon
