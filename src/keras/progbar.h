// Keras's progress bar.
#pragma once
#include <chrono>
#include <iosfwd>
#include <string>

#include "tenon/keras/callbacks.h"

namespace tenon::keras {

/// One epoch's bar. verbose 1: a bar that is redrawn at most every 0.05 s (with \b and \r on a terminal, one line at
/// the end elsewhere); 2: one line at the end. The first step is left out of the time per step. target < 0: unknown.
class Progbar {
 public:
  Progbar(int target, int verbose, bool terminal, std::ostream& out);
  /// A redraw is due: only then are logs worth computing.
  bool Due() const;
  /// The first step, which builds and compiles, is done: it is left out of the time per step.
  void FirstStepDone();
  /// `current` steps are done; `logs` in Keras's order (sorted, val_* last).
  void Update(int current, const Logs& logs, bool finalize);
  void SetTarget(int target) { target_ = target; }
  int target() const { return target_; }

 private:
  using Clock = std::chrono::steady_clock;
  std::string Bar(int current, double now, bool finalize) const;
  std::string TimePerStep(int current, double now) const;
  static std::string Values(const Logs& logs, bool absolute);
  int target_, verbose_;
  bool terminal_;
  std::ostream& out_;
  Clock::time_point start_ = Clock::now(), last_ = {};
  double after_first_ = -1;
  std::size_t width_ = 0;
  bool drawn_ = false;
};

}  // namespace tenon::keras
