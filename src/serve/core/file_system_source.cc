#include "serve/core/file_system_source.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/log_failure.h"

namespace tenon::serve {
namespace {

std::optional<std::int64_t> VersionOf(std::string_view name) {
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), version);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return version;
}

std::string Join(const std::string& folder, const std::string& name) {
  return folder.ends_with('/') ? folder + name : folder + "/" + name;
}

/// The folder that a base path names: "file://" is left out, another scheme is refused.
Result<std::string> LocalPath(const std::string& base) {
  constexpr std::string_view kFile = "file://";
  const std::size_t colon = base.find("://");
  if (colon == std::string::npos || base.starts_with('/')) return base;
  if (base.starts_with(kFile)) return base.substr(kFile.size());
  return Status(Code::kUnimplemented,
                fmt::format("File system scheme '{}' not implemented (file: '{}')", base.substr(0, colon), base));
}

/// number -> path of every version below the folder.
Result<std::map<std::int64_t, std::string>> Children(const std::string& folder) {
  DIR* dir = ::opendir(folder.c_str());
  if (dir == nullptr) {
    const int error = errno;
    const bool missing = error == ENOENT || error == ENOTDIR;
    return Status(missing ? Code::kNotFound : Code::kUnavailable,
                  fmt::format("{}: the base path {}: {}", folder, missing ? "is no folder" : "cannot be listed",
                              std::strerror(error)));
  }
  std::set<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir))
    if (VersionOf(entry->d_name)) names.insert(entry->d_name);
  const int error = errno;
  ::closedir(dir);
  if (error != 0)
    return Status(Code::kUnavailable, fmt::format("{}: cannot be listed: {}", folder, std::strerror(error)));
  std::map<std::int64_t, std::string> out;
  for (const std::string& name : names) {
    std::string path = Join(folder, name);
    if (!base::IsFolder(path)) continue;
    std::string& slot = out[*VersionOf(name)];
    if (!slot.empty())
      base::Log(base::LogLevel::kWarning, fmt::format("{}: {} is the same version; the latter is used", slot, path));
    slot = std::move(path);
  }
  return out;
}

}  // namespace

Result<std::vector<AspiredVersion>> ListVersions(const ModelConfig& config) {
  const Result<std::string> local = LocalPath(config.base_path);
  if (!local.ok()) return local.status();
  const std::string& base = *local;
  std::vector<AspiredVersion> out;
  std::vector<std::int64_t> wanted;
  if (config.versions.kind() == Versions::Kind::kSpecific) {
    if (!base::IsFolder(base)) return Status(Code::kNotFound, base + ": the base path is no folder");
    for (const std::int64_t version : config.versions.numbers()) {
      // A folder of exactly that name spares the listing, which is slow on remote storage.
      if (std::string path = Join(base, std::to_string(version)); base::IsFolder(path))
        out.push_back({version, std::move(path)});
      else
        wanted.push_back(version);
    }
    if (wanted.empty()) return out;
  }
  Result<std::map<std::int64_t, std::string>> children = Children(base);
  if (!children.ok()) return children.status();
  if (config.versions.kind() == Versions::Kind::kSpecific) {
    for (const std::int64_t version : wanted) {
      const auto it = children->find(version);
      if (it != children->end()) out.push_back({version, it->second});
    }
    std::ranges::sort(out, {}, &AspiredVersion::version);
    return out;
  }
  for (auto& [version, path] : *children) out.push_back({version, std::move(path)});
  if (config.versions.kind() == Versions::Kind::kLatest) {
    const auto keep = static_cast<std::size_t>(config.versions.count());
    if (out.size() > keep) out.erase(out.begin(), out.end() - config.versions.count());
  }
  return out;
}

namespace {

/// The versions asked for by number that are not there; empty when there are none.
std::string MissingVersions(const ModelConfig& config, const std::vector<AspiredVersion>& found) {
  std::string list;
  if (config.versions.kind() != Versions::Kind::kSpecific) return list;
  for (const std::int64_t version : config.versions.numbers())
    if (std::ranges::find(found, version, &AspiredVersion::version) == found.end())
      list += fmt::format("{}{}", list.empty() ? "" : ", ", version);
  return list;
}

}  // namespace

struct FileSystemSource::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::map<std::string, Watched> models;
  bool stopping = false;
  AspiredSink sink;
  std::shared_ptr<StateMonitor> monitor;
};

FileSystemSource::FileSystemSource(std::chrono::milliseconds interval, AspiredSink sink,
                                   std::shared_ptr<StateMonitor> monitor)
    : state_(std::make_shared<State>()), interval_(interval), pool_(64, "tenon-source") {
  state_->sink = std::move(sink);
  state_->monitor = std::move(monitor);
  if (interval_.count() > 0) thread_ = std::thread(&FileSystemSource::Loop, this);
}

FileSystemSource::~FileSystemSource() { Stop(); }

void FileSystemSource::Stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->wake.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  // A look at a file system that hangs is left to itself; it owns its state and calls nothing any more.
  pool_.Stop(std::chrono::steady_clock::now() + std::chrono::seconds(2));
}

Status FileSystemSource::SetModels(const std::vector<ModelConfig>& models) {
  std::map<std::string, Watched> next;
  for (const ModelConfig& model : models) {
    if (model.name.empty()) return Status(Code::kInvalidArgument, "model: got an empty name");
    if (model.base_path.empty())
      return Status(Code::kInvalidArgument, fmt::format("model {}: got an empty base path", model.name));
    if (!next.emplace(model.name, Watched{.config = model}).second)
      return Status(Code::kInvalidArgument, fmt::format("model {}: the name is used twice", model.name));
  }
  std::vector<std::string> gone;
  {
    const std::lock_guard lock(state_->mutex);
    for (auto& [name, watched] : state_->models) {
      const auto it = next.find(name);
      if (it == next.end()) {
        gone.push_back(name);
        continue;
      }
      it->second.busy = watched.busy;
    }
    state_->models = std::move(next);
    for (const std::string& name : gone) {
      state_->monitor->PublishModelError(name, {});
      state_->sink(name, {});
    }
    LookAtAllLocked();
  }
  return {};
}

void FileSystemSource::LookAtAllLocked() {
  for (auto& [name, watched] : state_->models) {
    if (watched.busy) {
      watched.again = true;
      continue;
    }
    // Else, and after a look that found no memory, at the next interval.
    watched.busy = pool_.Submit([state = state_, model = name] {
      try {
        Look(state, model);
      } catch (const std::exception& error) {
        base::LogFailure(base::LogLevel::kError, model, error);
        const std::lock_guard lock(state->mutex);
        if (const auto it = state->models.find(model); it != state->models.end()) it->second.busy = false;
      }
    });
  }
}

void FileSystemSource::Look(const std::shared_ptr<State>& state, const std::string& model) {
  std::unique_lock lock(state->mutex);
  for (;;) {
    auto it = state->models.find(model);
    if (state->stopping || it == state->models.end()) return;
    const ModelConfig config = it->second.config;
    it->second.again = false;
    lock.unlock();
    Result<std::vector<AspiredVersion>> found = ListVersions(config);
    Status error = found.status();
    if (found.ok() && found->empty())
      error = Status(Code::kFailedPrecondition,
                     fmt::format("{}: no versions of model {} below the base path; a version is a sub-folder with a "
                                 "number for its name, such as {}",
                                 config.base_path, model, Join(config.base_path, "1")));
    lock.lock();
    it = state->models.find(model);
    if (state->stopping || it == state->models.end()) return;
    Watched& watched = it->second;
    if (watched.config.base_path == config.base_path && watched.config.versions == config.versions) {
      if (error.message() != watched.last_error) {
        watched.last_error = error.message();
        if (!error.ok()) base::Log(base::LogLevel::kError, error.message());
      }
      std::string missing = found.ok() && !found->empty() ? MissingVersions(config, *found) : std::string();
      if (missing != watched.last_missing && !missing.empty())
        base::Log(base::LogLevel::kWarning,
                  fmt::format("{}: versions of model {} that are not there: {}", config.base_path, model, missing));
      watched.last_missing = std::move(missing);
      state->monitor->PublishModelError(model, error);
      if (found.ok()) state->sink(model, *std::move(found));
      if (!watched.again) {
        watched.busy = false;
        return;
      }
    }
  }
}

void FileSystemSource::Loop() {
  std::unique_lock lock(state_->mutex);
  while (!state_->stopping) {
    state_->wake.wait_for(lock, interval_, [&] { return state_->stopping; });
    if (!state_->stopping) LookAtAllLocked();
  }
}

}  // namespace tenon::serve
