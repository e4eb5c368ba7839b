// Callbacks: hooks of fit, evaluate and predict, called on the thread that called those.
#pragma once
#include <functional>
#include <map>

#include "tenon/keras/base.h"

namespace tenon::keras {

struct Model;
/// Metric values by name, sorted by name as in Keras.
using Logs = std::map<std::string, double>;

class TENON_API CallbackImpl : public Impl {
 public:
  using Base = struct Callback;
  virtual void on_train_begin(const Logs& /*logs*/) {}
  virtual void on_train_end(const Logs& /*logs*/) {}
  virtual void on_epoch_begin(int /*epoch*/, const Logs& /*logs*/) {}
  virtual void on_epoch_end(int /*epoch*/, const Logs& /*logs*/) {}
  /// What on_train_batch_begin and on_train_batch_end do unless overridden.
  virtual void on_batch_begin(int /*batch*/, const Logs& /*logs*/) {}
  virtual void on_batch_end(int /*batch*/, const Logs& /*logs*/) {}
  virtual void on_train_batch_begin(int batch, const Logs& logs) { on_batch_begin(batch, logs); }
  /// With steps_per_execution n, `batch` is the first of n at a begin and the last at an end.
  virtual void on_train_batch_end(int batch, const Logs& logs) { on_batch_end(batch, logs); }
  virtual void on_test_begin(const Logs& /*logs*/) {}
  virtual void on_test_end(const Logs& /*logs*/) {}
  virtual void on_test_batch_begin(int /*batch*/, const Logs& /*logs*/) {}
  virtual void on_test_batch_end(int /*batch*/, const Logs& /*logs*/) {}
  /// The logs of these four are empty: what is predicted is predict's result.
  virtual void on_predict_begin(const Logs& /*logs*/) {}
  virtual void on_predict_end(const Logs& /*logs*/) {}
  virtual void on_predict_batch_begin(int /*batch*/, const Logs& /*logs*/) {}
  virtual void on_predict_batch_end(int /*batch*/, const Logs& /*logs*/) {}
  /// Whether on_*_batch_end reads its logs: they then are computed at every batch. True unless overridden.
  virtual bool wants_batch_logs() const { return true; }
  /// The model that is being trained, from the first hook on.
  const Model& model() const;
  void set_model(std::shared_ptr<const Model> model) { model_ = std::move(model); }

 private:
  std::shared_ptr<const Model> model_;
};
struct Callback : Shared<CallbackImpl> {
  using Shared::Shared;
};

/// epoch -> values, kept by every fit. Values by name are lists, one entry per epoch.
struct TENON_API History {
  std::map<std::string, std::vector<double>> history = {};
  std::vector<int> epoch = {};
  /// By value: model.fit(…)["loss"] is safe. Throws kNotFound listing the names.
  std::vector<double> operator[](const std::string& name) const;
};

struct EarlyStoppingOptions {
  std::string monitor = "val_loss";
  double min_delta = 0;
  int patience = 0;
  int verbose = 0;
  std::string mode = "auto";  // auto, min, max
  std::optional<double> baseline = {};
  bool restore_best_weights = false;
  int start_from_epoch = 0;
};
struct TENON_API EarlyStoppingImpl : CallbackImpl {
  explicit EarlyStoppingImpl(EarlyStoppingOptions options);
  ~EarlyStoppingImpl() override;
  void on_train_begin(const Logs& logs) override;
  void on_epoch_end(int epoch, const Logs& logs) override;
  void on_train_end(const Logs& logs) override;
  bool wants_batch_logs() const override { return false; }
  int stopped_epoch = 0;
  int best_epoch = 0;
  double best = 0;

 private:
  EarlyStoppingOptions options_;
  int wait_ = 0;
  int sign_ = 0;  // 1: higher is better, -1: lower is
  bool any_ = false;
  std::vector<Tensor> best_weights_;
};
struct TENON_API EarlyStopping : Handle<EarlyStoppingImpl> {
  explicit EarlyStopping(EarlyStoppingOptions options = {});
};

struct ModelCheckpointOptions {
  std::string monitor = "val_loss";
  int verbose = 0;
  bool save_best_only = false;
  bool save_weights_only = false;
  std::string mode = "auto";
  int save_freq = 0;                                   // 0: at every epoch, else after that many batches
  std::optional<double> initial_value_threshold = {};  // with save_best_only: the best value before training
};
/// filepath may hold {epoch}, {epoch:02d}, {batch} and log names such as {val_loss:.4f}. Weights only: a name that ends
/// in .weights.npz; else a native module (.tenon).
struct TENON_API ModelCheckpoint : Callback {
  ModelCheckpoint(std::string filepath, ModelCheckpointOptions options = {});
};

/// Stops when the loss of a batch is NaN or infinite and prints "Batch N: Invalid loss, terminating training".
struct TENON_API TerminateOnNaN : Callback {
  TerminateOnNaN();
};

struct LambdaCallbackOptions {
  std::function<void(int epoch, const Logs&)> on_epoch_begin = {};
  std::function<void(int epoch, const Logs&)> on_epoch_end = {};
  std::function<void(const Logs&)> on_train_begin = {};
  std::function<void(const Logs&)> on_train_end = {};
  std::function<void(int batch, const Logs&)> on_train_batch_begin = {};
  std::function<void(int batch, const Logs&)> on_train_batch_end = {};
  std::function<void(const Logs&)> on_test_begin = {};
  std::function<void(const Logs&)> on_test_end = {};
  std::function<void(int batch, const Logs&)> on_test_batch_begin = {};
  std::function<void(int batch, const Logs&)> on_test_batch_end = {};
  std::function<void(const Logs&)> on_predict_begin = {};
  std::function<void(const Logs&)> on_predict_end = {};
  std::function<void(int batch, const Logs&)> on_predict_batch_begin = {};
  std::function<void(int batch, const Logs&)> on_predict_batch_end = {};
};
struct TENON_API LambdaCallback : Callback {
  explicit LambdaCallback(LambdaCallbackOptions options);
};

/// schedule(epoch, learning rate) -> learning rate, at the start of each epoch.
struct TENON_API LearningRateScheduler : Callback {
  explicit LearningRateScheduler(std::function<double(int, double)> schedule, int verbose = 0);
};

}  // namespace tenon::keras
