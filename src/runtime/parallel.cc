#include "runtime/parallel.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>

#include "base/sanitizers.h"
#if defined(TENON_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#define TENON_NO_THREAD_SANITIZER __attribute__((no_sanitize("thread"), noinline))
#else
#define TENON_NO_THREAD_SANITIZER
#endif

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
namespace {

// What the threads of a team share. The order that its start and end give is said to the thread sanitizer: it does not
// see into the OpenMP runtime.
struct Team {
  const int parts;
  void (*const call)(const void* f, int part);
  const void* const f;

#if defined(TENON_THREAD_SANITIZER)
  void Before() { __tsan_release(&begins); }
  void Begin() { __tsan_acquire(&begins); }
  void End() { __tsan_release(&ends); }
  void After() { __tsan_acquire(&ends); }
  char begins = 0, ends = 0;
#else
  void Before() {}
  void Begin() {}
  void End() {}
  void After() {}
#endif

  void RunShare(int n, int id) {
    Begin();
    const int per = parts / n, extra = parts % n;
    const int begin = id * per + std::min(id, extra), end = begin + per + (id < extra ? 1 : 0);
    for (int p = begin; p < end; ++p) call(f, p);
    End();
  }
};

}  // namespace

// Not instrumented itself, and its pointer goes to the threads by value: they read it before the order is known.
TENON_NO_THREAD_SANITIZER void RunTeam(int threads, int parts, void (*call)(const void* f, int part), const void* f) {
  Team team{.parts = parts, .call = call, .f = f};
  Team* const shared = &team;
  team.Before();
#pragma omp parallel num_threads(threads) firstprivate(shared)
  shared->RunShare(omp_get_num_threads(), omp_get_thread_num());
  team.After();
}

}  // namespace internal
}  // namespace tenon::runtime
