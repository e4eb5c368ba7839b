// A cgroup's files: /proc/self/cgroup has a line "hierarchy:controllers:path" for each hierarchy; v2 is "0::path".
// /proc/self/mountinfo says where a hierarchy is mounted: "id parent major:minor root mount-point options … - type
// source super-options". Inside a container the path may be relative to a root that is not mounted, so a path that is
// not there falls back on the mount point itself.
#include "base/cgroup.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <sstream>

#include "base/file.h"

namespace tenon::base {
namespace {

std::string ReadText(const std::string& path) {
  Result<std::string> text = ReadFile(path);
  return text.ok() ? *std::move(text) : std::string();
}

// "cpu" among "cpu,cpuacct".
bool Lists(const std::string& list, std::string_view word) {
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');)
    if (part == word) return true;
  return false;
}

struct Mount {
  std::string root, point;
};
std::optional<Mount> FindMount(const std::string& mountinfo, bool v2, std::string_view controller) {
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash)), after(line.substr(dash + 3));
    std::string id, parent, device, type, source, options;
    Mount mount;
    before >> id >> parent >> device >> mount.root >> mount.point;
    after >> type >> source >> options;
    if (v2 ? type == "cgroup2" : type == "cgroup" && Lists(options, controller)) return mount;
  }
  return std::nullopt;
}

}  // namespace

void ForEachCgroup(const std::string& root, std::string_view controller,
                   const std::function<void(const std::string& folder, bool v2)>& visit) {
  const std::string mountinfo = ReadText(root + "/proc/self/mountinfo");
  std::istringstream lines(ReadText(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    const bool v2 = controllers.empty();
    if (!v2 && !Lists(controllers, controller)) continue;
    const std::optional<Mount> mount = FindMount(mountinfo, v2, controller);
    if (!mount) continue;
    if (mount->root != "/" && path.starts_with(mount->root)) path.erase(0, mount->root.size());
    const std::string top = root + mount->point;
    if (path.find("..") != std::string::npos || !IsFolder(top + path)) path.clear();
    while (path.ends_with('/')) path.pop_back();
    for (;;) {  // from our cgroup up to the mount point
      visit(top + path, v2);
      if (path.empty()) break;
      path.erase(path.rfind('/'));
    }
  }
}

std::optional<double> NumberIn(const std::string& path) {
  std::string text = ReadText(path);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::int64_t MemoryLimit(const std::string& root) {
  double least = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  ForEachCgroup(root, "memory", [&](const std::string& folder, bool v2) {
    const std::optional<double> limit = NumberIn(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
    if (limit && *limit > 0) least = std::min(least, *limit);
  });
  return static_cast<std::int64_t>(least);
}

}  // namespace tenon::base
