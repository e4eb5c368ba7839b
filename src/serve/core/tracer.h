// Tracer: what the server does in a stretch of time, as spans.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::serve {

/// Something that took time. `track` is where it stands: a thread ("tenon-batch 1234"), or empty for what runs on no
/// thread alone, as a request does.
struct Span {
  std::string name = {};
  std::string track = {};
  std::chrono::steady_clock::time_point begin = {}, end = {};
  std::int64_t rows = -1;  // of a run; -1: not said
};

/// Spans are kept while a recording is open, and cost one look at active() otherwise. Thread-safe.
class Tracer {
 public:
  using Clock = std::chrono::steady_clock;
  /// Spans kept at a time, for all recordings together; later ones are counted and dropped.
  static constexpr std::size_t kMost = 100'000;

  /// Whether Add keeps anything.
  bool active() const { return recordings_.load(std::memory_order_relaxed) > 0; }
  /// On the calling thread, until now.
  void AddOnThread(std::string_view name, Clock::time_point begin, std::int64_t rows = -1);
  /// On no thread.
  void Add(std::string_view name, Clock::time_point begin, Clock::time_point end);

  /// Spans that end between its making and Take.
  class Recording {
   public:
    explicit Recording(Tracer& tracer);
    ~Recording();
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;
    Clock::time_point begun() const { return begun_; }
    /// By their end. `dropped` gets how many were not kept.
    std::vector<Span> Take(std::int64_t* dropped) const;

   private:
    Tracer& tracer_;
    const Clock::time_point begun_ = Clock::now();
  };

 private:
  void Keep(std::string_view name, std::string track, Clock::time_point begin, Clock::time_point end,
            std::int64_t rows);
  std::atomic<int> recordings_{0};
  mutable std::mutex mutex_;  // guards what follows
  std::vector<Span> spans_;
  std::int64_t dropped_ = 0;
};

}  // namespace tenon::serve
