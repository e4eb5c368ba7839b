#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/cgroup.h"
#include "base/file.h"

namespace tenon::base {
namespace {

std::optional<double> ToNumber(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> Ratio(std::optional<double> quota, std::optional<double> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;  // "max" and -1 are no limit
  return *quota / *period;
}

std::optional<double> LimitOfFolder(const std::string& folder, bool v2) {
  if (!v2) return Ratio(NumberIn(folder + "/cpu.cfs_quota_us"), NumberIn(folder + "/cpu.cfs_period_us"));
  const Result<std::string> text = ReadFile(folder + "/cpu.max");  // "150000 100000" or "max 100000"
  const std::size_t space = text.ok() ? text->find(' ') : std::string::npos;
  if (space == std::string::npos) return std::nullopt;
  return Ratio(ToNumber(text->substr(0, space)), ToNumber(text->substr(space + 1)));
}

int Affinity() {
  for (int cpus = 1024; cpus <= (1 << 18); cpus *= 4) {  // the kernel's mask may be larger than cpu_set_t
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(cpus));
    if (set == nullptr) break;
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
    const int count = ::sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

std::optional<double> CgroupCpus(const std::string& root) {
  std::optional<double> least;
  ForEachCgroup(root, "cpu", [&](const std::string& folder, bool v2) {
    if (const std::optional<double> limit = LimitOfFolder(folder, v2); limit && (!least || *limit < *least))
      least = limit;
  });
  return least;
}

int DefaultThreads() {
  static const int threads = [] {
    if (const char* wanted = std::getenv("TENON_THREADS"); wanted != nullptr)
      if (const std::optional<double> n = ToNumber(wanted); n && *n >= 1 && *n <= 1024) return static_cast<int>(*n);
    const int cpus = Affinity();
    const std::optional<double> quota = CgroupCpus();
    return quota && *quota < cpus ? std::max(1, static_cast<int>(std::ceil(*quota))) : cpus;
  }();
  return threads;
}

void ParallelFor(std::int64_t n, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body,
                 int threads) {
  if (n <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t parts = (n - 1) / grain + 1;
  std::atomic<std::int64_t> next{0};
  std::exception_ptr error;
  std::mutex error_mutex;
  const auto work = [&] {
    for (std::int64_t part = next++; part < parts; part = next++) {
      try {
        body(part * grain, std::min(n, (part + 1) * grain));
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        next = parts;
      }
    }
  };
  const std::int64_t wanted = std::min<std::int64_t>(threads > 0 ? threads : DefaultThreads(), parts);
  std::vector<std::thread> others;
  try {
    for (std::int64_t i = 1; i < wanted; ++i) others.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads: those that run do all the work.
  }
  work();
  for (std::thread& thread : others) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace tenon::base
