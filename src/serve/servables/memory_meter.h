// What a load takes and an unload gives back, measured.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "serve/core/server_metrics.h"

namespace tenon::serve {

/// Bytes that this process holds: on the heap (what malloc has handed out, mapped blocks included), in pages of mapped
/// files that are in memory, and in all pages.
struct ProcessMemory {
  std::int64_t heap = 0, mapped = 0, resident = 0;
  static ProcessMemory Now();
  std::int64_t held() const { return heap + mapped; }
};

/// Measures loads into metrics->model_memory. Loads that overlap in time are measured together: what they took is
/// shared out by their estimates. Requests that run meanwhile count in what they hold at the two moments. Thread-safe.
class MemoryMeter {
 public:
  explicit MemoryMeter(std::shared_ptr<ServerMetrics> metrics) : metrics_(std::move(metrics)) {}
  void BeginLoad();
  /// `estimate` of a load that worked, in bytes; 0 for one that failed.
  void EndLoad(const ServableId& id, std::int64_t estimate);
  /// Around an unload: what the process no longer holds, and the pages that the system got back.
  void Unloaded(const ServableId& id, const ProcessMemory& before, const ProcessMemory& after);

 private:
  struct Loaded {
    ServableId id;
    std::int64_t estimate = 0;
  };
  const std::shared_ptr<ServerMetrics> metrics_;
  std::mutex mutex_;
  int active_ = 0;
  ProcessMemory before_;         // of the oldest load under way
  std::vector<Loaded> waiting_;  // loads that ended while others went on
};

}  // namespace tenon::serve
