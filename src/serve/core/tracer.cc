#include "serve/core/tracer.h"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <new>
#include <utility>

#include "base/give_back.h"

namespace tenon::serve {

void Tracer::AddOnThread(std::string_view name, Clock::time_point begin, std::int64_t rows) {
  if (!active()) return;
  std::array<char, 32> thread{};
  ::pthread_getname_np(::pthread_self(), thread.data(), thread.size());
  Keep(name, std::string(thread.data()) + " " + std::to_string(::gettid()), begin, Clock::now(), rows);
}

void Tracer::Add(std::string_view name, Clock::time_point begin, Clock::time_point end) {
  if (active()) Keep(name, {}, begin, end, -1);
}

void Tracer::Keep(std::string_view name, std::string track, Clock::time_point begin, Clock::time_point end,
                  std::int64_t rows) {
  const std::lock_guard lock(mutex_);
  try {
    if (spans_.size() < kMost) {
      spans_.push_back(
          {.name = std::string(name), .track = std::move(track), .begin = begin, .end = end, .rows = rows});
      return;
    }
  } catch (const std::bad_alloc&) {  // a span less
  }
  ++dropped_;
}

Tracer::Recording::Recording(Tracer& tracer) : tracer_(tracer) { ++tracer_.recordings_; }

Tracer::Recording::~Recording() {
  const std::lock_guard lock(tracer_.mutex_);
  if (--tracer_.recordings_ > 0) return;
  base::GiveBack(tracer_.spans_);
  tracer_.dropped_ = 0;
}

std::vector<Span> Tracer::Recording::Take(std::int64_t* dropped) const {
  const std::lock_guard lock(tracer_.mutex_);
  std::vector<Span> spans;
  for (const Span& span : tracer_.spans_)
    if (span.end >= begun_) spans.push_back(span);
  *dropped = tracer_.dropped_;
  return spans;
}

}  // namespace tenon::serve
