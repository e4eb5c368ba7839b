#include "keras/model_state.h"

#include <algorithm>

#include "eager/node.h"
#include "eager/tape.h"
#include "eager/trace.h"
#include "keras/layer_call.h"
#include "keras/model_graph.h"
#include "keras/numeric.h"

namespace tenon::keras {
namespace {

// The type of a batch with its rows left open, so that one trace serves the full and the last batch.
ir::Type OpenBatch(const Tensor& t) {
  const Literal& l = t.literal();
  std::vector<Dim> dims(l.dims().begin(), l.dims().end());
  if (!dims.empty()) dims[0] = Dim::symbol("batch");
  return ir::Type::Tensor(l.dtype(), Shape(std::move(dims)));
}

Tensor RowCount(const Tensor& x) {
  const Tensor rows =
      Do("gather", Do("shape_of", x), Tensor(Literal::scalar<std::int64_t>(0)), {{"axis", std::int64_t{0}}});
  return CastTo(rows, DType::kF32);
}

double Number(const Tensor& t) { return t.item(); }

}  // namespace

DataNames ModelState::NamesOf(const ModelImpl& model) {
  DataNames names;
  for (const Tensor& t : model.kind_ == ModelImpl::Kind::kFunctional ? model.graph_.inputs : model.sequential_inputs_)
    names.inputs.push_back(t.node()->name);
  names.outputs = OutputNames(model, std::max<std::size_t>(1, model.graph_.outputs.size()));
  return names;
}

std::vector<Tensor> ModelState::Forward(const Model& model, const std::vector<Tensor>& x, bool training) {
  return model.call_all(x, {.training = training});
}

void ModelState::Build(const Model& model, const std::vector<Tensor>& y, const std::vector<Tensor>& predictions) {
  if (built_) return;
  built_ = true;
  const eager::SuspendTrace suspend;
  const std::vector<std::string> names = OutputNames(*model.impl(), predictions.size());
  const auto known = [&](const std::string& name, const char* what) {
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i] == name) return i;
    std::string all;
    for (const std::string& n : names) all += (all.empty() ? "" : ", ") + n;
    fail(Code::kInvalidArgument,
         std::string("compile: ") + what + " names output \"" + name + "\", expected one of: " + all);
  };
  losses_.assign(predictions.size(), std::nullopt);
  loss_weights_.assign(predictions.size(), 1.0);
  if (!options.loss.one().empty())
    for (std::optional<Loss>& l : losses_) l = Loss::get(options.loss.one());
  for (const auto& [name, loss] : options.loss.outputs()) losses_[known(name, "loss")] = Loss::get(loss);
  for (const auto& [name, weight] : options.loss_weights) loss_weights_[known(name, "loss_weights")] = weight;
  std::size_t losses = 0;
  for (const std::optional<Loss>& l : losses_) losses += l ? 1 : 0;
  if (losses > 1)
    for (std::size_t i = 0; i < losses_.size(); ++i)
      if (losses_[i]) loss_metrics_.push_back({i, Mean(names[i] + "_loss")});
  // A name that is taken gets the next free number; a weighted metric's is first "weighted_<name>".
  std::map<std::string, int> taken;
  const auto add = [&](std::size_t output, const NameOr<Metric>& which, bool weighted) {
    const std::string prefix = predictions.size() > 1 ? names[output] + "_" : "";
    Metric metric = get_metric(which, y[output].shape(), predictions[output].shape());
    std::string name = prefix + metric.name();
    if (weighted && taken.contains(name)) name = prefix + "weighted_" + metric.name();
    if (const int copies = taken[name]++; copies > 0) name += "_" + std::to_string(copies);
    metric.impl()->set_name(std::move(name));
    metrics_.push_back({output, metric, weighted});
  };
  const auto add_all = [&](const MetricsArg& metrics, const char* what, bool weighted) {
    std::map<std::size_t, MetricList> by_output;
    for (const auto& [name, list] : metrics.outputs()) by_output[known(name, what)] = list;
    for (std::size_t i = 0; i < predictions.size(); ++i)
      for (const NameOr<Metric>& which : by_output.contains(i) ? by_output[i] : metrics.one()) add(i, which, weighted);
  };
  add_all(options.metrics, "metrics", false);
  add_all(options.weighted_metrics, "weighted_metrics", true);
}

Tensor ModelState::TotalLoss(const std::vector<Tensor>& y, const std::vector<Tensor>& predictions,
                             const Tensor& sample_weight, const Tensor& batch_size) {
  if (y.size() != predictions.size())
    fail(Code::kInvalidArgument, "fit: got " + std::to_string(y.size()) + " targets, expected " +
                                     std::to_string(predictions.size()) + ", one per output");
  Tensor total;
  std::size_t tracked = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    if (!losses_[i]) continue;
    Tensor loss = CastTo((*losses_[i])(y[i], predictions[i], sample_weight), DType::kF32);
    if (!loss_metrics_.empty()) loss_metrics_[tracked++].metric.update_state(loss, {}, batch_size);
    if (loss_weights_[i] != 1.0) loss = loss * loss_weights_[i];
    total = total.defined() ? total + loss : loss;
  }
  if (!total.defined())
    fail(Code::kFailedPrecondition, "fit: the model was compiled without a loss; give compile a .loss");
  loss_tracker_->update_state(total, {}, batch_size);
  return total;
}

void ModelState::UpdateMetrics(const std::vector<Tensor>& y, const std::vector<Tensor>& predictions,
                               const Tensor& sample_weight) {
  for (const OutputMetric& m : metrics_)
    m.metric.update_state(y[m.output], predictions[m.output], m.weighted ? sample_weight : Tensor());
}

bool ModelState::Recent::Fits(std::string_view which, const DataArg::Batch& batch) const {
  if (step == nullptr || kind != which || inputs != batch.x.size()) return false;
  std::size_t i = 0;
  const auto same = [&](const Tensor& t) {
    const Literal& l = t.literal();
    const auto& [dtype, dims] = types[i++];
    return l.dtype() == dtype && l.dims().size() == dims.size() &&
           (dims.empty() || std::equal(dims.begin() + 1, dims.end(), l.dims().begin() + 1));
  };
  if (types.size() != batch.x.size() + batch.y.size() + (batch.sample_weight.defined() ? 1 : 0)) return false;
  return std::ranges::all_of(batch.x, same) && std::ranges::all_of(batch.y, same) &&
         (!batch.sample_weight.defined() || same(batch.sample_weight)) && step->UpToDate();
}

void ModelState::Recent::Remember(std::string_view which, const DataArg::Batch& batch,
                                  std::shared_ptr<eager::StateFunction> made) {
  kind = which;
  inputs = batch.x.size();
  types.clear();
  const auto add = [&](const Tensor& t) { types.emplace_back(t.literal().dtype(), t.literal().dims()); };
  std::ranges::for_each(batch.x, add);
  std::ranges::for_each(batch.y, add);
  if (batch.sample_weight.defined()) add(batch.sample_weight);
  step = std::move(made);
}

std::shared_ptr<eager::StateFunction> ModelState::Step(const Model& model, std::string_view kind,
                                                       const DataArg::Batch& batch) {
  if (recent_.Fits(kind, batch)) return recent_.step;
  std::string key(kind);
  const auto append = [&](const Tensor& t) { key += ";" + OpenBatch(t).to_string(); };
  for (const Tensor& t : batch.x) append(t);
  key += "|";
  for (const Tensor& t : batch.y) append(t);
  if (batch.sample_weight.defined()) append(batch.sample_weight);
  std::shared_ptr<eager::StateFunction>& slot = steps_[key];
  if (slot != nullptr && slot->UpToDate()) {
    recent_.Remember(kind, batch, slot);
    return slot;
  }
  if (!loss_tracker_) loss_tracker_.emplace("loss");

  eager::Trace trace;
  std::vector<Tensor> x, y;
  for (std::size_t i = 0; i < batch.x.size(); ++i)
    x.push_back(trace.Input(OpenBatch(batch.x[i]), "x" + std::to_string(i)));
  for (std::size_t i = 0; i < batch.y.size(); ++i)
    y.push_back(trace.Input(OpenBatch(batch.y[i]), "y" + std::to_string(i)));
  Tensor weight;
  if (batch.sample_weight.defined()) weight = trace.Input(OpenBatch(batch.sample_weight), "sample_weight");
  std::vector<Tensor> outputs;
  if (kind == "predict") {
    outputs = Forward(model, x, false);
  } else {
    const Tensor batch_size = RowCount(x.at(0));
    GradientTape tape;
    const std::vector<Tensor> predictions = Forward(model, x, kind == "train");
    Build(model, y, predictions);
    const Tensor loss = TotalLoss(y, predictions, weight, batch_size);
    if (kind == "train") {
      const std::vector<Variable> variables = model.trainable_variables();
      if (variables.empty()) fail(Code::kFailedPrecondition, "fit: the model has no trainable variables");
      const std::vector<Tensor> gradients = tape.gradient(loss, variables);
      optimizer->apply(gradients, variables);
    }
    UpdateMetrics(y, predictions, weight);
    outputs = {loss};
  }
  Result<eager::Trace::Traced> traced = trace.Finish(outputs);
  if (!traced.ok()) fail(traced.status());
  Result<std::shared_ptr<eager::StateFunction>> made = eager::StateFunction::Make(*std::move(traced));
  if (!made.ok()) fail(made.status());
  slot = *std::move(made);
  recent_.Remember(kind, batch, slot);
  return slot;
}

namespace {
std::vector<Literal> Literals(const DataArg::Batch& batch) {
  std::vector<Literal> out;
  for (const Tensor& t : batch.x) out.push_back(t.literal());
  for (const Tensor& t : batch.y) out.push_back(t.literal());
  if (batch.sample_weight.defined()) out.push_back(batch.sample_weight.literal());
  return out;
}
}  // namespace

void ModelState::TrainStep(const Model& model, const DataArg::Batch& batch) {
  Result<std::vector<Literal>> r = Step(model, "train", batch)->Run(Literals(batch));
  if (!r.ok()) fail(r.status());
}

void ModelState::TestStep(const Model& model, const DataArg::Batch& batch) {
  Result<std::vector<Literal>> r = Step(model, "test", batch)->Run(Literals(batch));
  if (!r.ok()) fail(r.status());
}

std::vector<Tensor> ModelState::PredictStep(const Model& model, const std::vector<Tensor>& x) {
  DataArg::Batch batch;
  batch.x = x;
  Result<std::vector<Literal>> r = Step(model, "predict", batch)->Run(Literals(batch));
  if (!r.ok()) fail(r.status());
  std::vector<Tensor> out;
  for (Literal& l : *r) out.emplace_back(std::move(l));
  return out;
}

void ModelState::ResetMetrics() {
  if (loss_tracker_) loss_tracker_->reset_state();
  for (const OutputMetric& m : loss_metrics_) m.metric.reset_state();
  for (const OutputMetric& m : metrics_) m.metric.reset_state();
}

Logs ModelState::Results() const {
  Logs logs;
  if (loss_tracker_) logs["loss"] = Number(loss_tracker_->result());
  for (const OutputMetric& m : loss_metrics_) logs[m.metric.name()] = Number(m.metric.result());
  for (const OutputMetric& m : metrics_) logs[m.metric.name()] = Number(m.metric.result());
  return logs;
}

std::vector<std::string> ModelState::Names() const {
  std::vector<std::string> names = {"loss"};
  for (const OutputMetric& m : loss_metrics_) names.push_back(m.metric.name());
  for (const OutputMetric& m : metrics_) names.push_back(m.metric.name());
  return names;
}

int ModelState::Direction(const std::string& log) const {
  const std::string name = log.starts_with("val_") ? log.substr(4) : log;
  if (name == "loss") return -1;
  for (const std::vector<OutputMetric>* list : {&loss_metrics_, &metrics_})
    for (const OutputMetric& m : *list)
      if (m.metric.name() == name) return m.metric.impl()->direction();
  return 0;
}

}  // namespace tenon::keras
