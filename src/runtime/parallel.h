// The worker's team: loops over k threads of one OpenMP team, the same that oneDNN uses in this worker.
#pragma once
#include <cstdint>

namespace tenon::runtime {

/// Makes `threads` the team size of parallel regions entered by the calling thread, ours and oneDNN's. Cheap when it is
/// that already. Only workers call it: the OpenMP runtime keeps a team for each thread that ever entered a region.
void SetTeam(int threads);
/// The CPUs that this process may use (affinity and cgroup quota), >= 1.
int AvailableCpus();

/// f(part) for part in [0, parts), each once, in a team of `threads` (the calling thread among them). With threads == 1
/// or parts == 1 in order, without a team. f must not throw.
template <class F>
void ForEachPart(int threads, int parts, const F& f);

namespace internal {
void RunTeam(int threads, int parts, void (*call)(const void* f, int part), const void* f);
}

template <class F>
void ForEachPart(int threads, int parts, const F& f) {
  if (threads <= 1 || parts <= 1) {
    for (int p = 0; p < parts; ++p) f(p);
    return;
  }
  internal::RunTeam(threads, parts, [](const void* g, int part) { (*static_cast<const F*>(g))(part); }, &f);
}

}  // namespace tenon::runtime
