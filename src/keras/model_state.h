// ModelState: what compile() gives a model: losses, metrics, optimizer and the compiled steps.
#pragma once
#include <map>
#include <memory>

#include "eager/state_function.h"
#include "keras/fit_data.h"
#include "tenon/keras/model.h"

namespace tenon::keras {

class ModelState {
 public:
  CompileOptions options;
  std::optional<Optimizer> optimizer;  // absent before compile

  /// A training step (forward, backward, update, metrics) is one call of one compiled function.
  void TrainStep(const Model& model, const DataArg::Batch& batch);
  void TestStep(const Model& model, const DataArg::Batch& batch);
  std::vector<Tensor> PredictStep(const Model& model, const std::vector<Tensor>& x);

  void ResetMetrics();
  /// What the data of `model` may be named by.
  static DataNames NamesOf(const ModelImpl& model);
  /// loss, then the metrics, by name.
  Logs Results() const;
  /// The names of Results in Keras's order: loss, then as compiled.
  std::vector<std::string> Names() const;
  /// -1, 0, 1 as MetricImpl::direction, for a log name (with or without val_).
  int Direction(const std::string& name) const;

 private:
  struct OutputMetric {
    std::size_t output;
    Metric metric;
    bool weighted = true;  // with the sample weights
  };
  std::vector<Tensor> Forward(const Model& model, const std::vector<Tensor>& x, bool training);
  Tensor TotalLoss(const std::vector<Tensor>& y, const std::vector<Tensor>& predictions, const Tensor& sample_weight,
                   const Tensor& batch_size);
  void UpdateMetrics(const std::vector<Tensor>& y, const std::vector<Tensor>& predictions, const Tensor& sample_weight);
  void Build(const Model& model, const std::vector<Tensor>& y, const std::vector<Tensor>& predictions);
  std::shared_ptr<eager::StateFunction> Step(const Model& model, std::string_view kind, const DataArg::Batch& batch);

  bool built_ = false;
  std::vector<std::optional<Loss>> losses_;  // per output
  std::vector<double> loss_weights_;
  std::optional<Mean> loss_tracker_;
  std::vector<OutputMetric> loss_metrics_, metrics_;
  std::map<std::string, std::shared_ptr<eager::StateFunction>> steps_;
  // The step of the last call, which is nearly always the next one's: found again without making its key.
  struct Recent {
    std::string_view kind;
    std::size_t inputs = 0;
    std::vector<std::pair<DType, std::vector<std::int64_t>>> types;  // of inputs, targets, weights
    std::shared_ptr<eager::StateFunction> step;

    bool Fits(std::string_view which, const DataArg::Batch& batch) const;
    void Remember(std::string_view which, const DataArg::Batch& batch, std::shared_ptr<eager::StateFunction> made);
  };
  Recent recent_;
};

/// Names of a model's outputs: the layers that make them.
std::vector<std::string> OutputNames(const LayerImpl& model, std::size_t outputs);

}  // namespace tenon::keras
