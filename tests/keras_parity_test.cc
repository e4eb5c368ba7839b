// Losses and metrics against the numbers of Keras.
#include "keras_parity_table.h"
#include "tenon/function.h"

namespace tenon::parity {
namespace {

using nlohmann::json;

std::optional<keras::Loss> MakeLoss(const std::string& cls, const json& c) {
  static const std::map<std::string, keras::Reduction> kReductions = {
      {"sum_over_batch_size", keras::Reduction::kSumOverBatchSize},
      {"mean", keras::Reduction::kSumOverBatchSize},  // another name of it
      {"sum", keras::Reduction::kSum},
      {"mean_with_sample_weight", keras::Reduction::kMeanWithSampleWeight},
      {"none", keras::Reduction::kNone}};
  const keras::Reduction reduction = kReductions.at(Option<std::string>(c, "reduction", "sum_over_batch_size"));
  const keras::CrossentropyOptions options{.from_logits = Option(c, "from_logits", false),
                                           .label_smoothing = Option(c, "label_smoothing", 0.0),
                                           .axis = Option(c, "axis", -1),
                                           .reduction = reduction};
  if (cls == "MeanSquaredError") return keras::MeanSquaredError({.reduction = reduction});
  if (cls == "MeanAbsoluteError") return keras::MeanAbsoluteError({.reduction = reduction});
  if (cls == "BinaryCrossentropy") return keras::BinaryCrossentropy(options);
  if (cls == "CategoricalCrossentropy") return keras::CategoricalCrossentropy(options);
  if (cls == "SparseCategoricalCrossentropy") {
    keras::SparseCrossentropyOptions sparse{.from_logits = options.from_logits, .reduction = reduction};
    if (c.contains("ignore_class") && !c["ignore_class"].is_null())
      sparse.ignore_class = c["ignore_class"].get<std::int64_t>();
    return keras::SparseCategoricalCrossentropy(sparse);
  }
  return std::nullopt;
}

TEST(KerasParity, Losses) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/keras_parity");
  Table table(folder, "losses");
  for (const json& c : table.cases()) {
    const std::string id = c["id"], cls = c["class"];
    const std::optional<keras::Loss> loss = MakeLoss(cls, c["config"]);
    if (!loss) {
      table.LeaveOut(cls);
      continue;
    }
    table.Run(id, [&] {
      const Tensor y_true = table.get(id, "y_true"), y_pred = table.get(id, "y_pred");
      const Tensor weight = table.has(id, "sample_weight") ? table.get(id, "sample_weight") : Tensor();
      GradientTape tape;
      tape.watch(y_pred);
      const Tensor value = (*loss)(y_true, y_pred, weight);
      table.ExpectClose(value, id, "loss", 2e-6);
      table.ExpectClose(tape.gradient(value, y_pred), id, "grad", 2e-6);
    });
  }
  table.Finish();
}

std::optional<keras::Metric> MakeMetric(const std::string& cls, const json& c) {
  if (cls == "Mean") return keras::Mean();
  if (cls == "Accuracy") return keras::Accuracy();
  if (cls == "BinaryAccuracy") return keras::BinaryAccuracy(c["threshold"].get<double>());
  if (cls == "CategoricalAccuracy") return keras::CategoricalAccuracy();
  if (cls == "SparseCategoricalAccuracy") return keras::SparseCategoricalAccuracy();
  // A loss as a metric.
  const std::optional<keras::Loss> loss = MakeLoss(cls, c);
  if (!loss) return std::nullopt;
  return keras::MeanMetricWrapper([loss](const Tensor& t, const Tensor& p) { return loss->per_sample(t, p); },
                                  "as_metric");
}

TEST(KerasParity, Metrics) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/keras_parity");
  Table table(folder, "metrics");
  for (const json& c : table.cases()) {
    const std::string id = c["id"], cls = c["class"];
    const std::optional<keras::Metric> metric = MakeMetric(cls, c["config"]);
    if (!metric) {
      table.LeaveOut(cls);
      continue;
    }
    table.Run(id, [&] {
      for (int step = 0; step < 3; ++step) {
        const std::string n = std::to_string(step);
        const Tensor y_true = table.get(id, "y_true" + n), y_pred = table.get(id, "y_pred" + n);
        const Tensor weight = table.has(id, "weight" + n) ? table.get(id, "weight" + n) : Tensor();
        if (cls == "Mean")
          metric->update_state(y_pred, {}, weight);
        else
          metric->update_state(y_true, y_pred, weight);
        table.ExpectClose(metric->result(), id, "result" + n, 2e-6);
      }
      const std::vector<Variable>& state = metric->impl()->variables();
      ASSERT_EQ(state.size(), c["state"].size());
      for (std::size_t i = 0; i < state.size(); ++i)
        table.ExpectClose(state[i].value(), id, "state" + std::to_string(i), 2e-6);
      metric->reset_state();
      EXPECT_EQ(metric->result().item(), 0);
    });
  }
  table.Finish();
}

}  // namespace
}  // namespace tenon::parity
