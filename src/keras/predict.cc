// predict: the outputs of all batches, one after the other.
#include <unistd.h>

#include "eager/dispatch.h"
#include "keras/fit_data.h"
#include "keras/hooks.h"
#include "keras/model_state.h"
#include "keras/progbar.h"

namespace tenon::keras {

std::vector<Tensor> Model::PredictBatches(const DataArg& data, PredictOptions o) const {
  ModelImpl& m = self();
  ModelState& state = *m.state_;
  Batches batches = MakeBatches(data, state.NamesOf(m), {}, o.batch_size, o.steps);
  batches.Reset(std::nullopt);
  const Hooks hooks(o.callbacks, *this);
  Progbar bar(o.steps > 0 ? o.steps : batches.count(), o.verbose, ::isatty(STDOUT_FILENO) != 0, std::cout);
  hooks.Each([](CallbackImpl& c) { c.on_predict_begin({}); });
  std::vector<std::vector<Tensor>> parts;
  int step = 0;
  ForEachBatch(
      o.steps, state.options.steps_per_execution, [&] { return batches.Next(); },
      [&](int begin) { hooks.Each([&](CallbackImpl& c) { c.on_predict_batch_begin(begin, {}); }); },
      [&](const DataArg::Batch& batch) {
        std::vector<Tensor> y = state.PredictStep(*this, batch.x);
        parts.resize(y.size());
        for (std::size_t i = 0; i < y.size(); ++i) parts[i].push_back(std::move(y[i]));
        if (++step == 1) bar.FirstStepDone();
      },
      [&](int end, int) {
        hooks.Each([&](CallbackImpl& c) { c.on_predict_batch_end(end, {}); });
        if (bar.Due()) bar.Update(step, {}, false);
        return true;
      });
  if (step == 0) fail(Code::kInvalidArgument, "predict: the data have no batch");
  hooks.Each([](CallbackImpl& c) { c.on_predict_end({}); });
  if (bar.target() < 0) bar.SetTarget(step);
  if (o.verbose > 0) bar.Update(step, {}, true);
  std::vector<Tensor> out;
  for (const std::vector<Tensor>& part : parts)
    out.push_back(part.size() == 1 ? part[0] : eager::Apply(ir::GetOp("concat"), part, {{"axis", std::int64_t{0}}})[0]);
  return out;
}

std::vector<Tensor> Model::predict_all(const TensorsArg& x, PredictOptions options) const {
  if (x.tensors.empty()) fail(Code::kInvalidArgument, "predict: got no input");
  return PredictBatches(DataArg(x, {}), std::move(options));
}

Tensor Model::predict(const Tensor& x, PredictOptions options) const {
  std::vector<Tensor> out = predict_all(x, std::move(options));
  if (out.size() != 1)
    fail(Code::kInvalidArgument, "predict: the model has " + std::to_string(out.size()) + " outputs, use predict_all");
  return out[0];
}

}  // namespace tenon::keras
