// How many threads this process should use, and a loop over several of them.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace tenon::base {

/// The CPUs that we may use: the smallest of the scheduler's affinity mask and the CPU quota of our cgroup and its
/// parents (cgroup v2 cpu.max, v1 cpu.cfs_quota_us / cpu.cfs_period_us; rounded up), at least 1. TENON_THREADS, a
/// number from 1 to 1024, overrides it. Found once, on the first call.
int DefaultThreads();

/// The quota alone, in CPUs (1.5 is 150 %); nothing when there is no limit. `root` stands before the paths that are
/// read ("" but in tests): /proc/self/cgroup, /proc/self/mountinfo and the cgroup files that these name.
std::optional<double> CgroupCpus(const std::string& root = "");

/// Calls body(begin, end) on parts of [0, n), each of `grain` elements (the last may be shorter), on up to `threads`
/// threads (0: DefaultThreads(); the calling thread is one of them), and returns when all are done. The parts depend
/// on n and grain alone. The first exception of a body is thrown again here. For work of milliseconds and more: it
/// starts threads each time. Not for kernels, which use the worker's own team.
void ParallelFor(std::int64_t n, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body,
                 int threads = 0);

}  // namespace tenon::base
