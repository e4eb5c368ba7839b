#include "serve/servables/memory_meter.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace tenon::serve {

ProcessMemory ProcessMemory::Now() {
  const struct mallinfo2 heap = ::mallinfo2();
  ProcessMemory now;
  now.heap = static_cast<std::int64_t>(heap.uordblks) + static_cast<std::int64_t>(heap.hblkhd);
  long size = 0, resident = 0, shared = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld %ld %ld", &size, &resident, &shared) != 3) resident = shared = 0;
    std::fclose(file);
  }
  const long page = ::sysconf(_SC_PAGESIZE);
  now.resident = std::int64_t{resident} * page;
  now.mapped = std::int64_t{shared} * page;
  return now;
}

void MemoryMeter::BeginLoad() {
  const std::lock_guard lock(mutex_);
  if (active_++ == 0) before_ = ProcessMemory::Now();
}

void MemoryMeter::EndLoad(const ServableId& id, std::int64_t estimate) {
  const std::lock_guard lock(mutex_);
  if (estimate > 0) waiting_.push_back({id, estimate});
  if (--active_ > 0) return;
  const std::int64_t took = std::max<std::int64_t>(0, ProcessMemory::Now().held() - before_.held());
  double sum = 0;
  for (const Loaded& each : waiting_) sum += static_cast<double>(each.estimate);
  for (const Loaded& each : waiting_)
    metrics_->model_memory.At({each.id.name, std::to_string(each.id.version)})
        .Set(static_cast<double>(took) * static_cast<double>(each.estimate) / sum);
  waiting_.clear();
}

void MemoryMeter::Unloaded(const ServableId& id, const ProcessMemory& before, const ProcessMemory& after) {
  const auto gave = [](std::int64_t was, std::int64_t is) {
    return static_cast<double>(std::max<std::int64_t>(0, was - is));
  };
  metrics_->memory_returned.At({id.name, "held"}).Add(gave(before.held(), after.held()));
  metrics_->memory_returned.At({id.name, "resident"}).Add(gave(before.resident, after.resident));
}

}  // namespace tenon::serve
