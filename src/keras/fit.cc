// compile, fit, evaluate: Keras 3's loops and order of hooks.
#include <unistd.h>

#include <cmath>

#include "base/log.h"
#include "eager/random.h"
#include "keras/fit_data.h"
#include "keras/hooks.h"
#include "keras/model_state.h"
#include "keras/progbar.h"

namespace tenon::keras {
namespace {

std::uint64_t NextShuffleSeed() {
  const Tensor state = eager::NextRandomState();
  const std::span<const std::uint64_t> words = state.literal().data<std::uint64_t>();
  return words[0] * 0x9e3779b97f4a7c15ULL + words[1];
}

Logs RunTest(const Model& model, ModelState& state, Batches& batches, int steps, const Hooks& hooks, Progbar* bar) {
  state.ResetMetrics();
  batches.Reset(std::nullopt);
  hooks.Each([](CallbackImpl& c) { c.on_test_begin({}); });
  Logs logs;
  bool first = true;
  const int step = ForEachBatch(
      steps, state.options.steps_per_execution, [&] { return batches.Next(); },
      [&](int begin) { hooks.Each([&](CallbackImpl& c) { c.on_test_batch_begin(begin, {}); }); },
      [&](const DataArg::Batch& batch) {
        state.TestStep(model, batch);
        if (first && bar != nullptr) bar->FirstStepDone();
        first = false;
      },
      [&](int end, int done) {
        const bool due = bar != nullptr && bar->Due();
        if (hooks.batch_logs() || due) logs = state.Results();
        hooks.Each([&](CallbackImpl& c) { c.on_test_batch_end(end, logs); });
        if (due) bar->Update(done, logs, false);
        return true;
      });
  if (step == 0) fail(Code::kInvalidArgument, "evaluate: the data have no batch");
  logs = state.Results();
  hooks.Each([&](CallbackImpl& c) { c.on_test_end(logs); });
  if (bar != nullptr) bar->Update(step, logs, true);
  return logs;
}

}  // namespace

void Model::compile(CompileOptions options) const {
  ModelImpl& m = self();
  if (options.steps_per_execution < 1)
    fail(Code::kInvalidArgument,
         "compile: got steps_per_execution " + std::to_string(options.steps_per_execution) + ", expected 1 or more");
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

History Model::fit(const DataArg& given, FitOptions o) const {
  ModelImpl& m = self();
  ModelState& state = Compiled(m.state_, "fit");
  if (given.empty()) fail(Code::kInvalidArgument, "fit: got no data");
  const DataArg data = o.class_weight.empty() ? given : WithClassWeights(given, o.class_weight, o.sample_weight);
  if (o.validation_freq.every < 1)
    fail(Code::kInvalidArgument,
         "fit: got validation_freq " + std::to_string(o.validation_freq.every) + ", expected 1 or more");
  if (o.validation_split < 0 || o.validation_split >= 1)
    fail(Code::kInvalidArgument,
         "fit: got validation_split " + std::to_string(o.validation_split) + ", expected one in [0, 1)");
  const DataNames names = state.NamesOf(m);
  Batches train = MakeBatches(data, names, o.sample_weight, o.batch_size, o.steps_per_epoch);
  const std::optional<int> validation_batch =
      o.validation_batch_size > 0 ? std::optional(o.validation_batch_size) : o.batch_size;
  std::optional<Batches> validation;
  if (!o.validation_data.empty()) {
    validation = MakeBatches(o.validation_data, names, {}, validation_batch, o.validation_steps);
  } else if (o.validation_split > 0) {
    if (!train.in_memory())
      fail(Code::kInvalidArgument, "fit: validation_split needs arrays; give validation_data for a Dataset");
    const auto at = static_cast<std::int64_t>(std::floor(static_cast<double>(train.rows()) * (1 - o.validation_split)));
    if (at == 0 || at == train.rows())
      fail(Code::kInvalidArgument, "fit: validation_split " + std::to_string(o.validation_split) + " of " +
                                       std::to_string(train.rows()) + " rows leaves one side empty");
    auto [first, second] = train.Split(at, validation_batch.value_or(32));
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
  const auto start_pass = [&] {
    train.Reset(o.shuffle && train.in_memory() ? std::optional(NextShuffleSeed()) : std::nullopt);
  };
  for (int epoch = o.initial_epoch; epoch < o.epochs && !m.stop_training; ++epoch) {
    state.ResetMetrics();
    hooks.Each([&](CallbackImpl& c) { c.on_epoch_begin(epoch, {}); });
    if (o.verbose > 0 && o.epochs > 1) std::cout << "Epoch " << epoch + 1 << '/' << o.epochs << std::endl;
    Progbar bar(known_steps, o.verbose, terminal, std::cout);
    const bool continued = running && o.steps_per_epoch > 0;
    if (!continued) start_pass();
    running = true;
    logs.clear();
    int step = 0;
    const auto next = [&] {
      std::optional<DataArg::Batch> batch = train.Next();
      if (!batch && continued && step == 0) {  // the epochs before took exactly the whole pass
        start_pass();
        batch = train.Next();
      }
      if (batch) return batch;
      running = false;
      if (o.steps_per_epoch > 0)
        base::Log(base::LogLevel::kWarning, "fit: the data ended after " + std::to_string(step) + " of " +
                                                std::to_string(o.steps_per_epoch) + " steps; the epoch is cut short");
      return batch;
    };
    ForEachBatch(
        o.steps_per_epoch, state.options.steps_per_execution, next,
        [&](int begin) { hooks.Each([&](CallbackImpl& c) { c.on_train_batch_begin(begin, {}); }); },
        [&](const DataArg::Batch& batch) {
          state.TrainStep(*this, batch);
          if (++step == 1) bar.FirstStepDone();
        },
        [&](int end, int) {
          const bool due = bar.Due();
          if (hooks.batch_logs() || due) logs = state.Results();
          hooks.Each([&](CallbackImpl& c) { c.on_train_batch_end(end, logs); });
          if (due) bar.Update(step, logs, false);
          return !m.stop_training;
        });
    if (step == 0) fail(Code::kInvalidArgument, "fit: the data have no batch");
    if (known_steps < 0) bar.SetTarget(known_steps = step);
    Logs epoch_logs = state.Results();
    const ValidationFreq& freq = o.validation_freq;
    const bool due = freq.epochs.empty() ? (epoch + 1) % freq.every == 0 : freq.epochs.contains(epoch + 1);
    if (validation && due)
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
  Batches batches = MakeBatches(data, state.NamesOf(m), o.sample_weight, o.batch_size, o.steps);
  const Hooks hooks(o.callbacks, *this);
  Progbar bar(o.steps > 0 ? o.steps : batches.count(), o.verbose, ::isatty(STDOUT_FILENO) != 0, std::cout);
  Evaluation result;
  result.values = RunTest(*this, state, batches, o.steps, hooks, o.verbose > 0 ? &bar : nullptr);
  result.loss = result.values["loss"];
  return result;
}

Logs Model::train_on_batch(const TensorsArg& x, const TensorsArg& y, const Tensor& sample_weight) const {
  ModelState& state = Compiled(self().state_, "train_on_batch");
  state.ResetMetrics();
  state.TrainStep(*this, {x.tensors, y.tensors, sample_weight});
  return state.Results();
}

}  // namespace tenon::keras
