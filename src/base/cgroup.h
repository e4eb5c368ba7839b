// The cgroup folders whose limits hold for this process.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::base {

/// Calls `visit(folder, v2)` for our cgroup and its parents up to the mount point: of cgroup v2, and of the v1
/// hierarchy that has `controller` ("cpu", "memory"). `root` stands before the paths that are read ("" but in tests):
/// /proc/self/cgroup, /proc/self/mountinfo and the folders that these name.
void ForEachCgroup(const std::string& root, std::string_view controller,
                   const std::function<void(const std::string& folder, bool v2)>& visit);

/// The number that a file holds; nothing for "max", another text, or no file.
std::optional<double> NumberIn(const std::string& path);

/// The bytes of memory that we may use: the smallest of the machine's and the limits of our cgroup and its parents
/// (v2 memory.max, v1 memory.limit_in_bytes). `root` as above.
std::int64_t MemoryLimit(const std::string& root = "");

}  // namespace tenon::base
