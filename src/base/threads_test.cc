#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/cgroup.h"
#include "temporary_folder.h"

namespace tenon::base {
namespace {

// A machine's files below a folder.
class Machine {
 public:
  void Write(const std::string& path, const std::string& text) {
    const std::string full = folder_ / path.substr(1);
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    std::ofstream(full) << text;
  }
  std::optional<double> cpus() const { return CgroupCpus(folder_.path()); }
  std::int64_t memory() const { return MemoryLimit(folder_.path()); }

 private:
  TemporaryFolder folder_;
};

const char* const kMountV2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(Cgroup, Version2TakesTheLeastOfItsParents) {
  Machine m;
  m.Write("/proc/self/cgroup", "0::/app/worker\n");
  m.Write("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + std::string(kMountV2));
  m.Write("/sys/fs/cgroup/app/worker/cpu.max", "400000 100000\n");
  EXPECT_EQ(m.cpus(), 4);
  m.Write("/sys/fs/cgroup/app/cpu.max", "150000 100000\n");
  EXPECT_EQ(m.cpus(), 1.5);
  m.Write("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
  m.Write("/sys/fs/cgroup/app/worker/cpu.max", "max 100000\n");
  EXPECT_EQ(m.cpus(), std::nullopt);
}

TEST(Cgroup, InAContainerThePathIsNotThere) {
  Machine m;
  m.Write("/proc/self/cgroup", "0::/../../elsewhere\n");
  m.Write("/proc/self/mountinfo", kMountV2);
  m.Write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(m.cpus(), 2);
  m.Write("/proc/self/cgroup", "0::/docker/0123abcd\n");
  EXPECT_EQ(m.cpus(), 2);
}

TEST(Cgroup, Version1) {
  Machine m;
  m.Write("/proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n");
  m.Write("/proc/self/mountinfo",
          "40 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
          "41 30 0:31 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  m.Write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n");
  m.Write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(m.cpus(), 2.5);
  m.Write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(m.cpus(), std::nullopt);
}

TEST(Cgroup, NothingOrNonsenseIsNoLimit) {
  Machine m;
  EXPECT_EQ(m.cpus(), std::nullopt);
  m.Write("/proc/self/cgroup", "no colons\n0::\n::::\n");
  m.Write("/proc/self/mountinfo", std::string(kMountV2) + "short\n - \n");
  m.Write("/sys/fs/cgroup/cpu.max", "many of them");
  EXPECT_EQ(m.cpus(), std::nullopt);
  m.Write("/sys/fs/cgroup/cpu.max", "100000 0\n");
  EXPECT_EQ(m.cpus(), std::nullopt);
}

TEST(Cgroup, Memory) {
  Machine m;
  const std::int64_t machine = m.memory();
  EXPECT_GT(machine, 1 << 20);
  m.Write("/proc/self/cgroup", "4:memory:/docker/abc\n0::/app/worker\n");
  m.Write("/proc/self/mountinfo", std::string(kMountV2) + "41 30 0:31 / /v1 rw - cgroup cgroup rw,memory\n");
  m.Write("/sys/fs/cgroup/app/worker/memory.max", "max\n");
  EXPECT_EQ(m.memory(), machine);
  m.Write("/sys/fs/cgroup/app/memory.max", "1048576\n");
  EXPECT_EQ(m.memory(), 1048576);
  m.Write("/v1/docker/abc/memory.limit_in_bytes", "4096\n");
  EXPECT_EQ(m.memory(), 4096);
  m.Write("/v1/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");  // no limit, as v1 says it
  EXPECT_EQ(m.memory(), 1048576);
}

TEST(Threads, DefaultIsWithinTheMachine) {
  EXPECT_GE(DefaultThreads(), 1);
  EXPECT_EQ(DefaultThreads(), DefaultThreads());
  const bool overridden = std::getenv("TENON_THREADS") != nullptr;
  EXPECT_TRUE(overridden || DefaultThreads() <= static_cast<int>(std::thread::hardware_concurrency()));
}

TEST(ParallelFor, CoversEachElementOnceInPartsOfTheGrain) {
  for (const std::int64_t n : {0, 1, 7, 1000})
    for (const int threads : {1, 3, 8}) {
      std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n));
      ParallelFor(
          n, 7,
          [&](std::int64_t begin, std::int64_t end) {
            EXPECT_EQ(begin % 7, 0);
            EXPECT_EQ(end, std::min(n, begin + 7));
            for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
          },
          threads);
      for (const std::atomic<int>& times : seen) EXPECT_EQ(times, 1);
    }
}

TEST(ParallelFor, AnExceptionComesBack) {
  std::atomic<int> parts{0};
  const auto body = [&](std::int64_t begin, std::int64_t) {
    ++parts;
    if (begin == 3) throw std::runtime_error("part 3");
  };
  EXPECT_THROW(ParallelFor(1000000, 1, body, 4), std::runtime_error);
  EXPECT_LT(parts, 1000000) << "the rest is left out";
}

}  // namespace
}  // namespace tenon::base
