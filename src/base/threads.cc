#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tenon::base {
namespace {

int FromAffinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

// Processors granted by the quota, or a large number without one.
double FromCgroup() {
  constexpr double kNone = 1e9;
  if (std::FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    double quota = 0, period = 0;
    const int n = std::fscanf(f, "%lf %lf", &quota, &period);  // "max 100000" gives 0
    std::fclose(f);
    return n == 2 && quota > 0 && period > 0 ? quota / period : kNone;
  }
  const auto read = [](const char* path) {
    double value = -1;
    if (std::FILE* f = std::fopen(path, "r")) {
      if (std::fscanf(f, "%lf", &value) != 1) value = -1;
      std::fclose(f);
    }
    return value;
  };
  const double quota = read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), period = read("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  return quota > 0 && period > 0 ? quota / period : kNone;
}

}  // namespace

int DefaultThreads() {
  static const int threads = std::max(1, std::min(FromAffinity(), static_cast<int>(std::ceil(std::min(FromCgroup(), 4096.0)))));
  return threads;
}

}  // namespace tenon::base
