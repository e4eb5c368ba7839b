// Model, Sequential: layers that train.
#pragma once
#include <iostream>
#include <set>

#include "tenon/data.h"
#include "tenon/keras/callbacks.h"
#include "tenon/keras/layers.h"
#include "tenon/keras/training.h"
#include "tenon/module.h"

namespace tenon::keras {

/// One Tensor, several in order, or several by name.
struct TENON_API TensorsArg {
  TensorsArg() = default;
  TensorsArg(const Tensor& one) : tensors{one} {}
  TensorsArg(std::initializer_list<Tensor> list) : tensors(list) {}
  TensorsArg(std::initializer_list<std::pair<const std::string, Tensor>> by_name);
  std::vector<Tensor> tensors = {};
  std::vector<std::string> names = {};  // empty: in order
};

/// Batches for fit: none, {x, y} or {x, y, sample_weight} in memory, a Split, or a Dataset of batches: (x, y), where
/// the last Tensor of an element is y, or as a std::tuple of exactly three (x, y, sample_weight).
class TENON_API DataArg {
 public:
  struct Batch {
    std::vector<Tensor> x, y;
    Tensor sample_weight;
  };
  /// Gives the next batch of a pass, nothing at its end. A new pass starts with each call of `start`.
  using Next = std::function<std::optional<Batch>()>;
  DataArg() = default;
  DataArg(TensorsArg x_, TensorsArg y_, Tensor sample_weight_ = {})
      : x(std::move(x_)), y(std::move(y_)), sample_weight(std::move(sample_weight_)) {}
  DataArg(const data::Split& split) : x(split.images), y(split.labels) {}
  template <class T>
  DataArg(const data::Dataset<T>& dataset) : start([dataset] { return Pass<T>(dataset); }) {}
  bool empty() const { return x.tensors.empty() && !start; }
  TensorsArg x = {}, y = {};
  Tensor sample_weight = {};         // of x and y
  std::function<Next()> start = {};  // of a Dataset: batches as they come

 private:
  template <class T>
  static Batch Parts(const T& element) {
    Batch batch;
    std::vector<Tensor> flat = flatten(element);
    if (flat.size() > 1) {
      batch.y.push_back(std::move(flat.back()));
      flat.pop_back();
    }
    batch.x = std::move(flat);
    return batch;
  }
  template <class X, class Y>
  static Batch Parts(const std::tuple<X, Y, Tensor>& element) {
    return {flatten(std::get<0>(element)), flatten(std::get<1>(element)), std::get<2>(element)};
  }
  template <class T>
  static Next Pass(const data::Dataset<T>& dataset) {
    // The dataset and its iterator live as long as the pass.
    auto kept = std::make_shared<data::Dataset<T>>(dataset);
    auto at = std::make_shared<decltype(kept->begin())>(kept->begin());
    auto first = std::make_shared<bool>(true);
    return [kept, at, first]() -> std::optional<Batch> {
      if (!*first) ++*at;
      *first = false;
      if (*at == kept->end()) return std::nullopt;
      return Parts(**at);
    };
  }
};

struct CompileOptions {
  OptimizerArg optimizer = "rmsprop";
  LossArg loss = {};
  std::map<std::string, double> loss_weights = {};
  MetricsArg metrics = {};           // every sample counts once, whatever its weight
  MetricsArg weighted_metrics = {};  // with sample_weight (or class_weight); a name that metrics has gets "weighted_"
  int steps_per_execution = 1;       // batches between the hooks of two batches
};
/// The epochs after which validation runs: every n-th, or the listed ones, which count from 1.
struct ValidationFreq {
  ValidationFreq(int every_) : every(every_) {}
  ValidationFreq(std::initializer_list<int> epochs_) : epochs(epochs_) {}
  int every = 1;
  std::set<int> epochs = {};  // not empty: these
};
struct FitOptions {
  std::optional<int> batch_size =
      {};           // absent: 32, or rows / steps_per_epoch rounded up where that is given for arrays
  int epochs = 1;   // the final epoch index
  int verbose = 1;  // 0 silent, 1 progress bar, 2 one line per epoch
  std::vector<Callback> callbacks = {};
  double validation_split = 0;  // the last part of the rows
  DataArg validation_data = {};
  bool shuffle = true;  // a full permutation each epoch, from the global seed
  std::map<int, double> class_weight = {};
  Tensor sample_weight = {};
  int initial_epoch = 0;
  int steps_per_epoch = 0;        // 0: all
  int validation_steps = 0;       // 0: all
  int validation_batch_size = 0;  // 0: batch_size
  ValidationFreq validation_freq = 1;
};
struct EvaluateOptions {
  std::optional<int> batch_size = {};  // absent: 32, or rows / steps rounded up where steps are given for arrays
  int verbose = 1;
  Tensor sample_weight = {};
  int steps = 0;  // batches; 0: all
  std::vector<Callback> callbacks = {};
};
struct PredictOptions {
  std::optional<int> batch_size = {};  // as in EvaluateOptions
  int verbose = 0;                     // unlike Keras, silent unless asked
  int steps = 0;                       // batches; 0: all
  std::vector<Callback> callbacks = {};
};
struct TENON_API Evaluation {
  double loss = 0;
  Logs values = {};
  double operator[](const std::string& name) const;  // throws kNotFound listing the names
};

struct ModelOptions {
  std::vector<Tensor> inputs = {};
  std::vector<Tensor> outputs = {};
  std::string name = {};
};

class ModelState;  // the compiled steps, metrics and optimizer

/// What users derive from for a model of their own: override call or call_all.
class TENON_API ModelImpl : public LayerImpl {
 public:
  using Base = struct Model;
  ModelImpl();
  ~ModelImpl() override;
  std::string class_name() const override;
  std::vector<Tensor> call_all(std::span<const Tensor> inputs, const CallArgs& args) override;
  void build_all(std::span<const Shape> inputs) override;
  std::vector<std::shared_ptr<LayerImpl>> sublayers() const override;
  bool stop_training = false;
  /// The name of output i: the layer that makes it; empty when not known.
  std::string output_name(std::size_t i) const;

 private:
  friend struct Model;
  friend struct Sequential;
  friend class ModelState;
  enum class Kind : std::uint8_t { kSubclass, kFunctional, kSequential };
  Kind kind_ = Kind::kSubclass;
  ModelOptions graph_;                                // functional: its Tensors own its layers
  std::vector<std::shared_ptr<LayerImpl>> sequence_;  // sequential
  std::vector<Tensor> sequential_inputs_;             // sequential: given by Input, or made at the first call
  std::unique_ptr<ModelState> state_;
};

/// A Layer that trains. A handle.
struct TENON_API Model : Layer {
  explicit Model(std::shared_ptr<ModelImpl> impl) : Layer(std::move(impl)) {}
  /// Functional: every Tensor between inputs and outputs must come from a layer or an op. Throws kInvalidArgument when
  /// an output depends on an Input that is not listed.
  explicit Model(ModelOptions graph);
  void compile(CompileOptions options) const;
  /// Throws kFailedPrecondition before compile, kInvalidArgument on data that does not fit. A NaN loss is not an error
  /// (TerminateOnNaN stops on it). Returns the History.
  History fit(const DataArg& data, FitOptions options = {}) const;
  History fit(const TensorsArg& x, const TensorsArg& y, FitOptions options = {}) const {
    return fit(DataArg(x, y), std::move(options));
  }
  Evaluation evaluate(const DataArg& data, EvaluateOptions options = {}) const;
  Evaluation evaluate(const TensorsArg& x, const TensorsArg& y, EvaluateOptions options = {}) const {
    return evaluate(DataArg(x, y), std::move(options));
  }
  /// The outputs for all rows, batch by batch. predict_all for several inputs or outputs.
  Tensor predict(const Tensor& x, PredictOptions options = {}) const;
  std::vector<Tensor> predict_all(const TensorsArg& x, PredictOptions options = {}) const;
  /// The batches of a Dataset: of its elements, the inputs; targets and weights are passed over.
  template <class T>
  std::vector<Tensor> predict_all(const data::Dataset<T>& batches, PredictOptions options = {}) const {
    return PredictBatches(DataArg(batches), std::move(options));
  }
  /// One step on one batch: metrics are reset first, so the values are that batch's.
  Logs train_on_batch(const TensorsArg& x, const TensorsArg& y, const Tensor& sample_weight = {}) const;
  void summary(std::ostream& out = std::cout) const;
  std::vector<Layer> layers() const;
  Layer get_layer(const std::string& name) const;  // throws kNotFound listing the names
  Optimizer optimizer() const;                     // throws kFailedPrecondition before compile
  void stop_training() const;
  /// -1: lower is better, 1: higher is better, 0: unknown; for a name of the logs.
  int metric_direction(const std::string& log) const;
  /// The signature "serving_default" with a free batch dim, and the variables (shared with the model).
  Module module() const;
  /// Values by path, .weights.npz; atomic. load_weights throws kInvalidArgument naming every missing or misfit weight.
  void save_weights(const std::string& path) const;
  void load_weights(const std::string& path) const;

 protected:
  ModelImpl& self() const { return static_cast<ModelImpl&>(*impl()); }

 private:
  std::vector<Tensor> PredictBatches(const DataArg& data, PredictOptions options) const;
};

/// A layer; or, in first place, the Tensor of Input.
struct LayerArg {
  LayerArg(const Layer& l) : layer(l) {}
  LayerArg(const Tensor& i) : input(i) {}
  std::optional<Layer> layer = {};
  Tensor input = {};
};
struct TENON_API Sequential : Model {
  explicit Sequential(std::initializer_list<LayerArg> items = {});
  explicit Sequential(std::initializer_list<Sequential> items);  // ({model}) nests
  void add(const LayerArg& item) const;
};

}  // namespace tenon::keras
