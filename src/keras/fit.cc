// fit, evaluate, predict: Keras 3's loops and order of hooks.
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "eager/dispatch.h"
#include "eager/node.h"
#include "eager/random.h"
#include "keras/batches.h"
#include "keras/model_state.h"
#include "keras/progbar.h"

namespace tenon::keras {
namespace {

// {x: …} by name goes into the order of the model's inputs (outputs).
std::vector<Tensor> InOrder(const TensorsArg& arg, const std::vector<std::string>& names, const char* what) {
  if (arg.names.empty()) return arg.tensors;
  std::vector<Tensor> out;
  for (const std::string& name : names) {
    const auto it = std::find(arg.names.begin(), arg.names.end(), name);
    if (it == arg.names.end())
      fail(Code::kInvalidArgument, std::string("fit: ") + what + " \"" + name + "\" is missing");
    out.push_back(arg.tensors[static_cast<std::size_t>(it - arg.names.begin())]);
  }
  for (const std::string& name : arg.names)
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail(Code::kInvalidArgument,
           std::string("fit: got ") + what + " \"" + name + "\", which the model does not have");
  return out;
}

struct Names {
  std::vector<std::string> inputs, outputs;
};

Batches MakeBatches(const DataArg& data, const Names& names, const Tensor& sample_weight, int batch_size) {
  if (data.start) return Batches(data.start);
  return Batches(InOrder(data.x, names.inputs, "input"), InOrder(data.y, names.outputs, "output"), sample_weight,
                 batch_size);
}

// One weight per row from {class: weight}; a missing class counts 1.
Tensor ClassWeights(const std::map<int, double>& weights, const Tensor& y) {
  const Literal& l = y.literal();
  const std::int64_t rows = l.dims()[0], per = rows == 0 ? 1 : l.size() / rows;
  Literal out(DType::kF32, {rows});
  const std::span<float> data = out.mutable_data<float>();
  for (std::int64_t r = 0; r < rows; ++r) {
    int cls = 0;
    if (per == 1) {
      cls = static_cast<int>(l.at(r));
    } else {
      for (std::int64_t c = 1; c < per; ++c)
        if (l.at(r * per + c) > l.at(r * per + cls)) cls = static_cast<int>(c);
    }
    const auto it = weights.find(cls);
    data[static_cast<std::size_t>(r)] = it == weights.end() ? 1.0F : static_cast<float>(it->second);
  }
  return Tensor(std::move(out));
}

// User callbacks in order; then History and the progress bar, which fit keeps itself.
class Hooks {
 public:
  Hooks(const std::vector<Callback>& callbacks, const Model& model) : callbacks_(callbacks) {
    const auto shared = std::make_shared<const Model>(model);
    for (const Callback& c : callbacks_) {
      c.impl()->set_model(shared);
      batch_logs_ = batch_logs_ || c.impl()->wants_batch_logs();
    }
  }
  ~Hooks() {
    for (const Callback& c : callbacks_) c.impl()->set_model(nullptr);  // no cycle through the model
  }
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;
  bool batch_logs() const { return batch_logs_ && !callbacks_.empty(); }
  template <class F>
  void Each(F f) const {
    for (const Callback& c : callbacks_) f(*c.impl());
  }

 private:
  std::vector<Callback> callbacks_;
  bool batch_logs_ = false;
};

std::uint64_t NextShuffleSeed() {
  const Tensor state = eager::NextRandomState();
  const std::span<const std::uint64_t> words = state.literal().data<std::uint64_t>();
  return words[0] * 0x9e3779b97f4a7c15ULL + words[1];
}

Logs RunTest(const Model& model, ModelState& state, Batches& batches, int steps, const Hooks& hooks, Progbar* bar) {
  state.ResetMetrics();
  batches.Reset(std::nullopt);
  hooks.Each([](CallbackImpl& c) { c.on_test_begin({}); });
  int step = 0;
  Logs logs;
  while (steps == 0 || step < steps) {
    const std::optional<DataArg::Batch> batch = batches.Next();
    if (!batch) break;
    hooks.Each([&](CallbackImpl& c) { c.on_test_batch_begin(step, {}); });
    state.TestStep(model, *batch);
    if (++step == 1 && bar != nullptr) bar->FirstStepDone();
    const bool due = bar != nullptr && bar->Due();
    if (hooks.batch_logs() || due) logs = state.Results();
    hooks.Each([&](CallbackImpl& c) { c.on_test_batch_end(step - 1, logs); });
    if (due) bar->Update(step, logs, false);
  }
  if (step == 0) fail(Code::kInvalidArgument, "evaluate: the data have no batch");
  logs = state.Results();
  hooks.Each([&](CallbackImpl& c) { c.on_test_end(logs); });
  if (bar != nullptr) bar->Update(step, logs, true);
  return logs;
}

}  // namespace

void Model::compile(CompileOptions options) const {
  ModelImpl& m = self();
  m.state_ = std::make_unique<ModelState>();
  if (!options.loss.one().name().empty()) (void)Loss::get(options.loss.one());  // a wrong name is found now
  m.state_->optimizer = Optimizer::get(options.optimizer);
  m.state_->options = std::move(options);
}

namespace {
ModelState& Compiled(const std::unique_ptr<ModelState>& state, const char* what) {
  if (!state->optimizer) fail(Code::kFailedPrecondition, std::string(what) + ": call compile() first");
  return *state;
}
}  // namespace

History Model::fit(const DataArg& data, FitOptions o) const {
  ModelImpl& m = self();
  ModelState& state = Compiled(m.state_, "fit");
  if (data.empty()) fail(Code::kInvalidArgument, "fit: got no data");
  if (o.validation_split < 0 || o.validation_split >= 1)
    fail(Code::kInvalidArgument,
         "fit: got validation_split " + std::to_string(o.validation_split) + ", expected one in [0, 1)");
  Names names;
  for (const Tensor& t : m.kind_ == ModelImpl::Kind::kFunctional ? m.graph_.inputs : m.sequential_inputs_)
    names.inputs.push_back(t.node()->name);
  names.outputs = OutputNames(m, std::max<std::size_t>(1, m.graph_.outputs.size()));
  Tensor weight = o.sample_weight;
  if (!o.class_weight.empty()) {
    if (weight.defined()) fail(Code::kInvalidArgument, "fit: give class_weight or sample_weight, not both");
    if (data.start || data.y.tensors.size() != 1)
      fail(Code::kInvalidArgument, "fit: class_weight needs arrays and a single output");
    weight = ClassWeights(o.class_weight, data.y.tensors[0]);
  }
  Batches train = MakeBatches(data, names, weight, o.batch_size);
  const int validation_batch = o.validation_batch_size > 0 ? o.validation_batch_size : o.batch_size;
  std::optional<Batches> validation;
  if (!o.validation_data.empty()) {
    validation = MakeBatches(o.validation_data, names, {}, validation_batch);
  } else if (o.validation_split > 0) {
    if (!train.in_memory())
      fail(Code::kInvalidArgument, "fit: validation_split needs arrays; give validation_data for a Dataset");
    const auto at = static_cast<std::int64_t>(std::floor(static_cast<double>(train.rows()) * (1 - o.validation_split)));
    if (at == 0 || at == train.rows())
      fail(Code::kInvalidArgument, "fit: validation_split " + std::to_string(o.validation_split) + " of " +
                                       std::to_string(train.rows()) + " rows leaves one side empty");
    auto [first, second] = train.Split(at, validation_batch);
    train = std::move(first);
    validation = std::move(second);
  }

  const Hooks hooks(o.callbacks, *this);
  History history;
  m.stop_training = false;
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  int known_steps = o.steps_per_epoch > 0 ? o.steps_per_epoch : train.count();
  hooks.Each([](CallbackImpl& c) { c.on_train_begin({}); });
  Logs logs;
  bool running = false;  // with steps_per_epoch a pass goes on across epochs
  for (int epoch = o.initial_epoch; epoch < o.epochs && !m.stop_training; ++epoch) {
    state.ResetMetrics();
    hooks.Each([&](CallbackImpl& c) { c.on_epoch_begin(epoch, {}); });
    if (o.verbose > 0 && o.epochs > 1) std::cout << "Epoch " << epoch + 1 << '/' << o.epochs << std::endl;
    Progbar bar(known_steps, o.verbose, terminal, std::cout);
    if (!running || o.steps_per_epoch == 0)
      train.Reset(o.shuffle && train.in_memory() ? std::optional(NextShuffleSeed()) : std::nullopt);
    running = true;
    int step = 0;
    logs.clear();
    while (o.steps_per_epoch == 0 || step < o.steps_per_epoch) {
      const std::optional<DataArg::Batch> batch = train.Next();
      if (!batch) {
        running = false;
        if (o.steps_per_epoch > 0 && step < o.steps_per_epoch)
          base::Log(base::LogLevel::kWarning, "fit: the data ended after " + std::to_string(step) + " of " +
                                                  std::to_string(o.steps_per_epoch) + " steps; the epoch is cut short");
        break;
      }
      hooks.Each([&](CallbackImpl& c) { c.on_train_batch_begin(step, {}); });
      state.TrainStep(*this, *batch);
      if (++step == 1) bar.FirstStepDone();
      const bool due = bar.Due();
      if (hooks.batch_logs() || due) logs = state.Results();
      hooks.Each([&](CallbackImpl& c) { c.on_train_batch_end(step - 1, logs); });
      if (due) bar.Update(step, logs, false);
      if (m.stop_training) break;
    }
    if (step == 0) fail(Code::kInvalidArgument, "fit: the data have no batch");
    if (known_steps < 0) bar.SetTarget(known_steps = step);
    Logs epoch_logs = state.Results();
    const int freq = std::max(1, o.validation_freq);
    if (validation && (epoch + 1) % freq == 0)
      for (const auto& [name, value] : RunTest(*this, state, *validation, o.validation_steps, hooks, nullptr))
        epoch_logs["val_" + name] = value;
    hooks.Each([&](CallbackImpl& c) { c.on_epoch_end(epoch, epoch_logs); });
    history.epoch.push_back(epoch);
    for (const auto& [name, value] : epoch_logs) history.history[name].push_back(value);
    bar.Update(step, epoch_logs, true);
    logs = epoch_logs;
  }
  hooks.Each([&](CallbackImpl& c) { c.on_train_end(logs); });
  return history;
}

Evaluation Model::evaluate(const DataArg& data, EvaluateOptions o) const {
  ModelImpl& m = self();
  ModelState& state = Compiled(m.state_, "evaluate");
  if (data.empty()) fail(Code::kInvalidArgument, "evaluate: got no data");
  Names names;
  for (const Tensor& t : m.kind_ == ModelImpl::Kind::kFunctional ? m.graph_.inputs : m.sequential_inputs_)
    names.inputs.push_back(t.node()->name);
  names.outputs = OutputNames(m, std::max<std::size_t>(1, m.graph_.outputs.size()));
  Batches batches = MakeBatches(data, names, o.sample_weight, o.batch_size);
  const Hooks hooks(o.callbacks, *this);
  Progbar bar(o.steps > 0 ? o.steps : batches.count(), o.verbose, ::isatty(STDOUT_FILENO) != 0, std::cout);
  Evaluation result;
  result.values = RunTest(*this, state, batches, o.steps, hooks, o.verbose > 0 ? &bar : nullptr);
  result.loss = result.values["loss"];
  return result;
}

std::vector<Tensor> Model::predict_all(const TensorsArg& x, PredictOptions o) const {
  ModelImpl& m = self();
  Names names;
  for (const Tensor& t : m.kind_ == ModelImpl::Kind::kFunctional ? m.graph_.inputs : m.sequential_inputs_)
    names.inputs.push_back(t.node()->name);
  Batches batches(InOrder(x, names.inputs, "input"), {}, {}, o.batch_size);
  batches.Reset(std::nullopt);
  Progbar bar(batches.count(), o.verbose, ::isatty(STDOUT_FILENO) != 0, std::cout);
  std::vector<std::vector<Tensor>> parts;
  int step = 0;
  while (const std::optional<DataArg::Batch> batch = batches.Next()) {
    std::vector<Tensor> y = m.state_->PredictStep(*this, batch->x);
    parts.resize(y.size());
    for (std::size_t i = 0; i < y.size(); ++i) parts[i].push_back(std::move(y[i]));
    if (bar.Due()) bar.Update(++step, {}, false);
  }
  if (o.verbose > 0) bar.Update(batches.count(), {}, true);
  std::vector<Tensor> out;
  for (const std::vector<Tensor>& part : parts)
    out.push_back(part.size() == 1 ? part[0] : eager::Apply(ir::GetOp("concat"), part, {{"axis", std::int64_t{0}}})[0]);
  return out;
}

Tensor Model::predict(const Tensor& x, PredictOptions o) const {
  std::vector<Tensor> out = predict_all(x, o);
  if (out.size() != 1)
    fail(Code::kInvalidArgument, "predict: the model has " + std::to_string(out.size()) + " outputs, use predict_all");
  return out[0];
}

Logs Model::train_on_batch(const TensorsArg& x, const TensorsArg& y, const Tensor& sample_weight) const {
  ModelState& state = Compiled(self().state_, "train_on_batch");
  state.ResetMetrics();
  state.TrainStep(*this, {x.tensors, y.tensors, sample_weight});
  return state.Results();
}

}  // namespace tenon::keras
