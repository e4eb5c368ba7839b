// What compile, fit, evaluate and predict do with their arguments, against the values of Keras 3.15 that
// tools/goldens/keras_fit.py prints.
#include <gtest/gtest.h>

#include <filesystem>

#include "temporary_folder.h"
#include "tenon/keras.h"

namespace tenon {
namespace {

namespace layers = keras::layers;

Tensor Values(std::vector<std::int64_t> dims, const std::vector<float>& values) {
  Literal l(DType::kF32, std::move(dims));
  std::ranges::copy(values, l.mutable_data<float>().begin());
  return Tensor(std::move(l));
}

Tensor X() { return Values({5, 2}, {0.5F, 1, 1.5F, -0.5F, 0, 0.5F, -1, 0.5F, 1, 1}); }
Tensor Weights() { return Values({5}, {1, 2, 0.5F, 0, 3}); }
Tensor Backwards() { return Values({5}, {3, 0, 0.5F, 2, 1}); }
Tensor Targets() { return Values({5, 1}, {1, 0, 2, -1, 0.5F}); }
Tensor Classes() {
  Literal l(DType::kI64, {5});
  std::ranges::copy(std::vector<std::int64_t>{0, 1, 2, 1, 0}, l.mutable_data<std::int64_t>().begin());
  return Tensor(std::move(l));
}

keras::Sequential Classifier(keras::CompileOptions options = {}) {
  keras::Sequential model({keras::Input({2}), layers::Dense(3, {.activation = "softmax"})});
  model.set_weights({Values({2, 3}, {1, -1, 0.5F, 0.25F, 0.5F, -0.5F}), Values({3}, {0, 0.1F, 0.2F})});
  options.optimizer = keras::SGD({.learning_rate = 0.1});
  options.loss = "sparse_categorical_crossentropy";
  model.compile(std::move(options));
  return model;
}

keras::CompileOptions Both() {
  return {.metrics = {"accuracy"}, .weighted_metrics = {"accuracy", "sparse_categorical_crossentropy"}};
}

void ExpectLogs(const keras::Logs& got, const keras::Logs& want) {
  std::vector<std::string> names, wanted;
  for (const auto& [name, value] : got) names.push_back(name);
  for (const auto& [name, value] : want) wanted.push_back(name);
  ASSERT_EQ(names, wanted);
  for (const auto& [name, value] : want) EXPECT_NEAR(got.at(name), value, 2e-6 * std::abs(value)) << name;
}

keras::Logs Last(const keras::History& h) {
  keras::Logs out;
  for (const auto& [name, values] : h.history) out[name] = values.back();
  return out;
}

TEST(KerasFit, WeightsReachTheLossAndTheWeightedMetrics) {
  ExpectLogs(
      Classifier(Both()).evaluate(X(), Classes(), {.batch_size = 2, .verbose = 0, .sample_weight = Weights()}).values,
      {{"accuracy", 0.600000024},
       {"loss", 1.99017465},
       {"sparse_categorical_crossentropy", 1.53090358},
       {"weighted_accuracy", 0.615384638}});
  ExpectLogs(Classifier(Both()).evaluate(X(), Classes(), {.batch_size = 2, .verbose = 0}).values,
             {{"accuracy", 0.600000024},
              {"loss", 1.26106203},
              {"sparse_categorical_crossentropy", 1.26106203},
              {"weighted_accuracy", 0.600000024}});
}

TEST(KerasFit, MetricsOfTwoOutputsAreNamedAsInKeras) {
  const Tensor x = keras::Input({2}, {.name = "x"});
  const keras::Model model(
      {.inputs = {x}, .outputs = {layers::Dense(1, {.name = "a"})(x), layers::Dense(1, {.name = "b"})(x)}});
  model.set_weights({Values({2, 1}, {1, 2}), Values({1}, {0.5F}), Values({2, 1}, {-1, 1}), Values({1}, {0})});
  model.compile({.optimizer = "sgd",
                 .loss = "mse",
                 .metrics = {{"a", {"mae", "mae"}}},
                 .weighted_metrics = {{"a", {"mae", "mae", "mse"}}, {"b", {"mae"}}}});
  ExpectLogs(
      model.evaluate(X(), {Targets(), Targets()}, {.batch_size = 2, .verbose = 0, .sample_weight = Weights()}).values,
      {{"a_loss", 6.625},
       {"a_mae", 1.60000002},
       {"a_mae_1", 1.60000002},
       {"a_mse", 5.09615374},
       {"a_weighted_mae", 2.03846145},
       {"a_weighted_mae_1", 2.03846145},
       {"b_loss", 2.0250001},
       {"b_mae", 1.03846157},
       {"loss", 8.64999962}});
}

TEST(KerasFit, ClassWeightsAreSampleWeights) {
  const keras::Logs want = {{"accuracy", 0.600000024},
                            {"loss", 1.2444346},
                            {"sparse_categorical_crossentropy", 0.95725733},
                            {"weighted_accuracy", 0.769230783}};
  const std::map<int, double> weights = {{0, 2.0}, {2, 0.5}};
  ExpectLogs(
      Last(Classifier(Both()).fit(
          X(), Classes(), {.batch_size = 2, .epochs = 2, .verbose = 0, .shuffle = false, .class_weight = weights})),
      want);
  const auto data = data::Dataset<std::pair<Tensor, Tensor>>({X(), Classes()}).batch(2);
  ExpectLogs(Last(Classifier(Both()).fit(data, {.epochs = 2, .verbose = 0, .class_weight = weights})), want);
  EXPECT_THROW(
      (void)Classifier().fit(X(), Classes(), {.verbose = 0, .class_weight = weights, .sample_weight = Weights()}),
      Error);
}

const keras::Logs kWeightedValidation = {{"accuracy", 0.600000024},
                                         {"loss", 2.00818205},
                                         {"sparse_categorical_crossentropy", 1.54475546},
                                         {"val_accuracy", 0.600000024},
                                         {"val_loss", 0.620030582},
                                         {"val_sparse_categorical_crossentropy", 0.476946622},
                                         {"val_weighted_accuracy", 0.923076928},
                                         {"weighted_accuracy", 0.615384638}};

TEST(KerasFit, ValidationDataHaveWeightsOfTheirOwn) {
  const keras::DataArg validation(X(), Classes(), Backwards());
  ExpectLogs(Last(Classifier(Both()).fit(X(), Classes(),
                                         {.batch_size = 2,
                                          .verbose = 0,
                                          .validation_data = validation,
                                          .shuffle = false,
                                          .sample_weight = Weights()})),
             kWeightedValidation);
}

TEST(KerasFit, ADatasetOfThreeGivesWeights) {
  using Row = std::tuple<Tensor, Tensor, Tensor>;
  const auto data = data::Dataset<Row>(Row(X(), Classes(), Weights())).batch(2);
  const auto validation = data::Dataset<Row>(Row(X(), Classes(), Backwards())).batch(2);
  ExpectLogs(Last(Classifier(Both()).fit(data, {.verbose = 0, .validation_data = validation})), kWeightedValidation);
}

TEST(KerasFit, StepsWithoutABatchSizeDivideTheRows) {
  const keras::History h =
      Classifier().fit(X(), Classes(), {.epochs = 2, .verbose = 0, .shuffle = false, .steps_per_epoch = 2});
  ASSERT_EQ(h["loss"].size(), 2U);
  EXPECT_NEAR(h["loss"][0], 1.26504982, 3e-6);
  EXPECT_NEAR(h["loss"][1], 1.24015999, 3e-6);
}

TEST(KerasFit, ValidationRunsAfterTheListedEpochs) {
  const keras::DataArg data(X(), Classes());
  EXPECT_EQ(Classifier()
                .fit(X(), Classes(),
                     {.epochs = 3, .verbose = 0, .validation_data = data, .validation_freq = {2, 3}})["val_loss"]
                .size(),
            2U);
  EXPECT_EQ(
      Classifier()
          .fit(X(), Classes(), {.epochs = 3, .verbose = 0, .validation_data = data, .validation_freq = 2})["val_loss"]
          .size(),
      1U);
}

// Every hook in the order of its call.
class Order : public keras::CallbackImpl {
 public:
  void on_train_begin(const keras::Logs&) override { Add("T"); }
  void on_train_end(const keras::Logs&) override { Add("/T"); }
  void on_epoch_begin(int epoch, const keras::Logs&) override { Add("E", epoch); }
  void on_epoch_end(int epoch, const keras::Logs&) override { Add("/E", epoch); }
  void on_batch_begin(int batch, const keras::Logs&) override { Add("b", batch); }  // through on_train_batch_begin
  void on_batch_end(int batch, const keras::Logs& logs) override { Add(logs.contains("loss") ? "e" : "e?", batch); }
  void on_test_begin(const keras::Logs&) override { Add("V"); }
  void on_test_end(const keras::Logs&) override { Add("/V"); }
  void on_test_batch_begin(int batch, const keras::Logs&) override { Add("tb", batch); }
  void on_test_batch_end(int batch, const keras::Logs&) override { Add("te", batch); }
  void on_predict_begin(const keras::Logs&) override { Add("P"); }
  void on_predict_end(const keras::Logs&) override { Add("/P"); }
  void on_predict_batch_begin(int batch, const keras::Logs&) override { Add("pb", batch); }
  void on_predict_batch_end(int batch, const keras::Logs&) override { Add("pe", batch); }
  std::string seen;

 private:
  void Add(const char* hook) { seen += (seen.empty() ? "" : " ") + std::string(hook); }
  void Add(const char* hook, int i) { Add((hook + std::to_string(i)).c_str()); }
};

std::string HooksWith(int steps_per_execution) {
  const auto order = keras::make<Order>();
  const keras::Sequential model = Classifier({.steps_per_execution = steps_per_execution});
  (void)model.fit(X(), Classes(),
                  {.batch_size = 1, .verbose = 0, .callbacks = {order}, .validation_split = 0.2, .shuffle = false});
  EXPECT_EQ(model.predict(X(), {.batch_size = 2, .steps = 2, .callbacks = {order}}).shape(), (Shape{4, 3}));
  return order->seen;
}

TEST(KerasFit, HooksComeInKerassOrder) {
  EXPECT_EQ(HooksWith(1), "T E0 b0 e0 b1 e1 b2 e2 b3 e3 V tb0 te0 /V /E0 /T P pb0 pe0 pb1 pe1 /P");
  EXPECT_EQ(HooksWith(2), "T E0 b0 e1 b2 e3 V tb0 te1 /V /E0 /T P pb0 pe1 /P");
}

TEST(KerasFit, LambdaCallbackHearsPredictAndEvaluate) {
  std::string seen;
  const keras::LambdaCallback lambda(
      {.on_test_end = [&](const keras::Logs& l) { seen += l.contains("loss") ? "V" : "?"; },
       .on_predict_end = [&](const keras::Logs&) { seen += "P"; },
       .on_predict_batch_end = [&](int b, const keras::Logs&) { seen += std::to_string(b); }});
  (void)Classifier().evaluate(X(), Classes(), {.verbose = 0, .callbacks = {lambda}});
  (void)Classifier().predict(X(), {.batch_size = 2, .callbacks = {lambda}});
  EXPECT_EQ(seen, "V012P");
}

TEST(KerasFit, PredictTakesTheBatchesOfADataset) {
  const auto pairs = data::Dataset<std::pair<Tensor, Tensor>>({X(), Classes()}).batch(2);
  const keras::Sequential model = Classifier();
  EXPECT_TRUE(identical(model.predict_all(pairs)[0].literal(), model.predict(X(), {.batch_size = 2}).literal()));
  EXPECT_EQ(model.predict_all(pairs, {.steps = 1})[0].shape(), (Shape{2, 3}));
}

TEST(KerasFit, ACheckpointStartsFromTheThreshold) {
  const TemporaryFolder folder;
  const auto fit = [&](const std::string& name, double threshold) {
    testing::internal::CaptureStdout();
    (void)Classifier().fit(X(), Classes(),
                           {.epochs = 2,
                            .verbose = 0,
                            .callbacks = {keras::ModelCheckpoint(folder / (name + ".{epoch}.weights.npz"),
                                                                 {.monitor = "loss",
                                                                  .verbose = 1,
                                                                  .save_best_only = true,
                                                                  .save_weights_only = true,
                                                                  .initial_value_threshold = threshold})},
                            .shuffle = false});
    return testing::internal::GetCapturedStdout();
  };
  EXPECT_NE(fit("low", 0.01).find("Epoch 1: loss did not improve from 0.01000"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder / "low.1.weights.npz"));
  EXPECT_NE(fit("high", 10).find("Epoch 1: loss improved from 10.00000 to 1.2"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(folder / "high.2.weights.npz"));
}

TEST(KerasFit, WrongArgumentsAreNamed) {
  EXPECT_THROW((void)Classifier({.steps_per_execution = 0}), Error);
  EXPECT_THROW((void)Classifier().fit(X(), Classes(), {.verbose = 0, .validation_freq = 0}), Error);
  EXPECT_THROW((void)Classifier().predict(X(), {.batch_size = 0}), Error);
}

}  // namespace
}  // namespace tenon
