// The callbacks of one fit, evaluate or predict, and the loop over batches between whose hooks they stand.
#pragma once
#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "tenon/keras/model.h"

namespace tenon::keras {

/// The user's callbacks in their order; History and the progress bar come after them, the loops keep those themselves.
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
  /// Some callback reads the logs of batches.
  bool batch_logs() const { return batch_logs_; }
  template <class F>
  void Each(F f) const {
    for (const Callback& c : callbacks_) f(*c.impl());
  }

 private:
  std::vector<Callback> callbacks_;
  bool batch_logs_ = false;
};

/// The batches that `next` gives, at most `steps` (0: all), in groups of `per_execution`: begin(first of the group),
/// one step(batch) each, end(last of a full group, batches done so far); it goes on while end gives true. Returns how
/// many batches were done.
template <class Next, class Begin, class Step, class End>
int ForEachBatch(int steps, int per_execution, Next next, Begin begin, Step step, End end) {
  int done = 0;
  while (steps == 0 || done < steps) {
    std::optional<DataArg::Batch> batch = next();
    if (!batch) break;
    const int first = done, last = first + std::max(1, per_execution) - 1;
    begin(first);
    while (true) {
      step(*batch);
      ++done;
      if (done > last || done == steps) break;
      batch = next();
      if (!batch) break;
    }
    if (!end(last, done)) break;
  }
  return done;
}

}  // namespace tenon::keras
