#include "tenon/keras/callbacks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/log.h"
#include "keras/model_state.h"
#include "keras/path_format.h"
#include "tenon/keras/model.h"

namespace tenon::keras {
namespace {

// -1 or 1 for a monitored name; throws when nothing tells.
int SignOf(const std::string& mode, const std::string& monitor, const Model& model) {
  if (mode == "min") return -1;
  if (mode == "max") return 1;
  if (mode != "auto") fail(Code::kInvalidArgument, "callback: got mode \"" + mode + "\", expected auto, min or max");
  const int direction = model.metric_direction(monitor);
  if (direction == 0)
    fail(Code::kInvalidArgument,
         "callback: cannot tell whether a higher or a lower \"" + monitor + "\" is better; give mode min or max");
  return direction;
}

}  // namespace

const Model& CallbackImpl::model() const {
  if (!model_) fail(Code::kFailedPrecondition, "Callback: has no model outside fit, evaluate and predict");
  return *model_;
}

std::vector<double> History::operator[](const std::string& name) const {
  const auto it = history.find(name);
  if (it != history.end()) return it->second;
  std::string names;
  for (const auto& [known, values] : history) names += (names.empty() ? "" : ", ") + known;
  fail(Code::kNotFound, "History: there is no \"" + name + "\", expected one of: " + names);
}

EarlyStoppingImpl::EarlyStoppingImpl(EarlyStoppingOptions options) : options_(std::move(options)) {
  if (options_.patience < 0)
    fail(Code::kInvalidArgument,
         "EarlyStopping: got patience " + std::to_string(options_.patience) + ", expected 0 or more");
}
EarlyStoppingImpl::~EarlyStoppingImpl() = default;

void EarlyStoppingImpl::on_train_begin(const Logs&) {
  wait_ = 0;
  stopped_epoch = 0;
  best_epoch = 0;
  best = 0;
  any_ = false;
  sign_ = 0;
  best_weights_.clear();
}

void EarlyStoppingImpl::on_epoch_end(int epoch, const Logs& logs) {
  const auto it = logs.find(options_.monitor);
  if (it == logs.end()) {
    std::string names;
    for (const auto& [name, value] : logs) names += (names.empty() ? "" : ", ") + name;
    base::Log(base::LogLevel::kWarning,
              "EarlyStopping: \"" + options_.monitor + "\" is not among the metrics: " + names);
    return;
  }
  if (epoch < options_.start_from_epoch) return;
  if (sign_ == 0) sign_ = SignOf(options_.mode, options_.monitor, model());
  const double value = it->second;
  const auto better = [&](double a, double b) {
    return sign_ > 0 ? a - std::fabs(options_.min_delta) > b : a + std::fabs(options_.min_delta) < b;
  };
  if (options_.restore_best_weights && best_weights_.empty()) {
    best_weights_ = model().get_weights();  // something to restore when nothing ever improves
    best_epoch = epoch;
  }
  ++wait_;
  if (!any_ || better(value, best)) {
    any_ = true;
    best = value;
    best_epoch = epoch;
    if (options_.restore_best_weights) best_weights_ = model().get_weights();
    if (!options_.baseline || better(value, *options_.baseline)) wait_ = 0;
    return;
  }
  if (wait_ >= options_.patience && epoch > 0) {
    stopped_epoch = epoch;
    model().stop_training();
  }
}

void EarlyStoppingImpl::on_train_end(const Logs&) {
  if (stopped_epoch > 0 && options_.verbose > 0)
    std::cout << "Epoch " << stopped_epoch + 1 << ": early stopping" << std::endl;
  if (options_.restore_best_weights && !best_weights_.empty()) {
    if (options_.verbose > 0)
      std::cout << "Restoring model weights from the end of the best epoch: " << best_epoch + 1 << "." << std::endl;
    model().set_weights(best_weights_);
    best_weights_.clear();
  }
}

EarlyStopping::EarlyStopping(EarlyStoppingOptions options)
    : Handle(std::make_shared<EarlyStoppingImpl>(std::move(options))) {}

namespace {

class TerminateOnNaNImpl : public CallbackImpl {
 public:
  void on_train_batch_end(int batch, const Logs& logs) override {
    const auto it = logs.find("loss");
    if (it == logs.end() || std::isfinite(it->second)) return;
    std::cout << "Batch " << batch << ": Invalid loss, terminating training" << std::endl;
    model().stop_training();
  }
};

class LambdaImpl : public CallbackImpl {
 public:
  explicit LambdaImpl(LambdaCallbackOptions o) : o_(std::move(o)) {}
  void on_epoch_begin(int epoch, const Logs& logs) override {
    if (o_.on_epoch_begin) o_.on_epoch_begin(epoch, logs);
  }
  void on_epoch_end(int epoch, const Logs& logs) override {
    if (o_.on_epoch_end) o_.on_epoch_end(epoch, logs);
  }
  void on_train_begin(const Logs& logs) override {
    if (o_.on_train_begin) o_.on_train_begin(logs);
  }
  void on_train_end(const Logs& logs) override {
    if (o_.on_train_end) o_.on_train_end(logs);
  }
  void on_train_batch_begin(int batch, const Logs& logs) override {
    if (o_.on_train_batch_begin) o_.on_train_batch_begin(batch, logs);
  }
  void on_train_batch_end(int batch, const Logs& logs) override {
    if (o_.on_train_batch_end) o_.on_train_batch_end(batch, logs);
  }
  void on_test_begin(const Logs& logs) override {
    if (o_.on_test_begin) o_.on_test_begin(logs);
  }
  void on_test_end(const Logs& logs) override {
    if (o_.on_test_end) o_.on_test_end(logs);
  }
  void on_test_batch_begin(int batch, const Logs& logs) override {
    if (o_.on_test_batch_begin) o_.on_test_batch_begin(batch, logs);
  }
  void on_test_batch_end(int batch, const Logs& logs) override {
    if (o_.on_test_batch_end) o_.on_test_batch_end(batch, logs);
  }
  void on_predict_begin(const Logs& logs) override {
    if (o_.on_predict_begin) o_.on_predict_begin(logs);
  }
  void on_predict_end(const Logs& logs) override {
    if (o_.on_predict_end) o_.on_predict_end(logs);
  }
  void on_predict_batch_begin(int batch, const Logs& logs) override {
    if (o_.on_predict_batch_begin) o_.on_predict_batch_begin(batch, logs);
  }
  void on_predict_batch_end(int batch, const Logs& logs) override {
    if (o_.on_predict_batch_end) o_.on_predict_batch_end(batch, logs);
  }
  bool wants_batch_logs() const override { return o_.on_train_batch_end != nullptr || o_.on_test_batch_end != nullptr; }

 private:
  LambdaCallbackOptions o_;
};

class SchedulerImpl : public CallbackImpl {
 public:
  SchedulerImpl(std::function<double(int, double)> schedule, int verbose)
      : schedule_(std::move(schedule)), verbose_(verbose) {}
  void on_epoch_begin(int epoch, const Logs&) override {
    const Optimizer optimizer = model().optimizer();
    const double rate = schedule_(epoch, optimizer.learning_rate().item());
    optimizer.set_learning_rate(rate);
    if (verbose_ > 0)
      std::cout << "\nEpoch " << epoch + 1 << ": LearningRateScheduler setting learning rate to " << rate << "."
                << std::endl;
  }
  bool wants_batch_logs() const override { return false; }

 private:
  std::function<double(int, double)> schedule_;
  int verbose_;
};

std::string FiveDigits(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.5f", value);
  return text;
}

class CheckpointImpl : public CallbackImpl {
 public:
  CheckpointImpl(std::string path, ModelCheckpointOptions o)
      : path_(std::move(path)), o_(std::move(o)), best_(o_.initial_value_threshold) {
    if (o_.save_weights_only && !path_.ends_with(".weights.npz"))
      fail(Code::kInvalidArgument,
           "ModelCheckpoint: got \"" + path_ + "\", expected a name that ends in .weights.npz with save_weights_only");
  }
  // As in Keras, the best value and the batches since the last file outlive a fit.
  void on_train_begin(const Logs&) override { sign_ = 0; }
  void on_epoch_begin(int epoch, const Logs&) override { epoch_ = epoch; }
  void on_train_batch_end(int batch, const Logs& logs) override {
    if (o_.save_freq <= 0) return;
    batches_ += batch <= last_batch_ ? batch + 1 : batch - last_batch_;
    last_batch_ = batch;
    if (batches_ < o_.save_freq) return;
    batches_ = 0;
    Save(batch, logs);
  }
  void on_epoch_end(int epoch, const Logs& logs) override {
    epoch_ = epoch;
    if (o_.save_freq <= 0) Save(-1, logs);
  }
  bool wants_batch_logs() const override { return o_.save_freq > 0; }

 private:
  void Save(int batch, const Logs& logs) {
    const std::string path = FormatPath(path_, epoch_ + 1, batch + 1, logs);
    if (o_.save_best_only) {
      const auto it = logs.find(o_.monitor);
      if (it == logs.end()) {
        base::Log(base::LogLevel::kWarning,
                  "ModelCheckpoint: \"" + o_.monitor + "\" is not among the metrics; saving without comparing");
      } else {
        if (sign_ == 0) sign_ = SignOf(o_.mode, o_.monitor, model());
        const bool better = !best_ || (sign_ > 0 ? it->second > *best_ : it->second < *best_);
        const std::string before = best_ ? FiveDigits(*best_) : "None";
        if (o_.verbose > 0)
          std::cout << "\nEpoch " << epoch_ + 1 << ": " << o_.monitor
                    << (better
                            ? " improved from " + before + " to " + FiveDigits(it->second) + ", saving model to " + path
                            : " did not improve from " + before)
                    << std::endl;
        if (!better) return;
        best_ = it->second;
      }
    } else if (o_.verbose > 0) {
      std::cout << "\nEpoch " << epoch_ + 1 << ": saving model to " << path << std::endl;
    }
    if (path.ends_with(".weights.npz"))
      model().save_weights(path);
    else
      SaveModule(model().module(), path);
  }
  std::string path_;
  ModelCheckpointOptions o_;
  int epoch_ = 0, batches_ = 0, last_batch_ = -1, sign_ = 0;
  std::optional<double> best_;
};

}  // namespace

TerminateOnNaN::TerminateOnNaN() : Callback(std::make_shared<TerminateOnNaNImpl>()) {}
LambdaCallback::LambdaCallback(LambdaCallbackOptions o) : Callback(std::make_shared<LambdaImpl>(std::move(o))) {}
LearningRateScheduler::LearningRateScheduler(std::function<double(int, double)> schedule, int verbose)
    : Callback(std::make_shared<SchedulerImpl>(std::move(schedule), verbose)) {}
ModelCheckpoint::ModelCheckpoint(std::string filepath, ModelCheckpointOptions o)
    : Callback(std::make_shared<CheckpointImpl>(std::move(filepath), std::move(o))) {}

}  // namespace tenon::keras
