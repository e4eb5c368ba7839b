#include "runtime/parallel.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>

namespace tenon::runtime {

void SetTeam(int threads) {
  thread_local int current = 0;
  if (current == threads) return;
  omp_set_num_threads(threads);
  omp_set_dynamic(0);
  current = threads;
}

int AvailableCpus() {
  static const int kCpus = [] {
    cpu_set_t set;
    int cpus = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = std::max(1, CPU_COUNT(&set));
    if (std::FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {  // "max 100000" or "quota period"
      long long quota = 0, period = 0;
      if (std::fscanf(f, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0)
        cpus = std::clamp(static_cast<int>((quota + period - 1) / period), 1, cpus);
      std::fclose(f);
    }
    return cpus;
  }();
  return kCpus;
}

namespace internal {

void RunTeam(int threads, int parts, void (*call)(const void* f, int part), const void* f) {
#pragma omp parallel num_threads(threads)
  {
    const int n = omp_get_num_threads(), id = omp_get_thread_num();
    const int per = parts / n, extra = parts % n;
    const int begin = id * per + std::min(id, extra), end = begin + per + (id < extra ? 1 : 0);
    for (int p = begin; p < end; ++p) call(f, p);
  }
}

}  // namespace internal
}  // namespace tenon::runtime
