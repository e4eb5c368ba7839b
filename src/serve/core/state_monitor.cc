#include "serve/core/state_monitor.h"

#include <algorithm>

namespace tenon::serve {

std::string_view PublicStateName(PublicState state) {
  switch (state) {
    case PublicState::kUnknown:
      return "UNKNOWN";
    case PublicState::kStart:
      return "START";
    case PublicState::kLoading:
      return "LOADING";
    case PublicState::kAvailable:
      return "AVAILABLE";
    case PublicState::kUnloading:
      return "UNLOADING";
    case PublicState::kEnd:
      return "END";
  }
  return "UNKNOWN";
}

void StateMonitor::Publish(const ServableId& id, PublicState state, Status status) {
  const std::lock_guard lock(mutex_);
  Model& model = models_[id.name];
  if (state == PublicState::kAvailable) model.failed_attempt = {};
  model.versions[id.version] = VersionStatus{id.version, state, std::move(status)};
  if (state == PublicState::kEnd) {
    const auto has_ended = [](const auto& v) { return v.second.state == PublicState::kEnd; };
    auto ended = static_cast<std::size_t>(std::ranges::count_if(model.versions, has_ended));
    for (auto it = model.versions.end(); ended > kMaxEnded && it != model.versions.begin();) {
      --it;
      if (it->second.state != PublicState::kEnd) continue;
      it = model.versions.erase(it);
      --ended;
    }
  }
  changed_.notify_all();
}

void StateMonitor::PublishModelError(const std::string& model, Status status) {
  const std::lock_guard lock(mutex_);
  models_[model].error = std::move(status);
  changed_.notify_all();
}

void StateMonitor::PublishFailedAttempt(const ServableId& id, Status status) {
  const std::lock_guard lock(mutex_);
  models_[id.name].failed_attempt = std::move(status);
  changed_.notify_all();
}

std::vector<VersionStatus> StateMonitor::Versions(std::string_view model) const {
  const std::lock_guard lock(mutex_);
  std::vector<VersionStatus> out;
  if (const auto it = models_.find(model); it != models_.end())
    for (const auto& [version, status] : it->second.versions) out.push_back(status);
  return out;
}

Status StateMonitor::ModelError(std::string_view model) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(model);
  return it == models_.end() ? Status() : it->second.error;
}

bool StateMonitor::AnyAvailable(std::string_view model) const {
  const std::vector<VersionStatus> all = Versions(model);
  return std::ranges::any_of(all, [](const VersionStatus& v) { return v.state == PublicState::kAvailable; });
}

std::vector<std::string> StateMonitor::Models() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& [name, model] : models_) out.push_back(name);
  return out;
}

void StateMonitor::Forget(const std::string& model) {
  const std::lock_guard lock(mutex_);
  models_.erase(model);
}

std::map<std::string, Status> StateMonitor::WaitUntilSettled(const std::vector<std::string>& models,
                                                             std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  std::map<std::string, Status> failed;
  const auto settled = [&] {
    failed.clear();
    bool all = true;
    for (const std::string& name : models) {
      const Model& model = models_[name];
      Status why;
      bool available = false, loading = false;
      for (const auto& [version, status] : model.versions) {
        available |= status.state == PublicState::kAvailable;
        loading |= status.state == PublicState::kStart || status.state == PublicState::kLoading;
        if (why.ok() && status.state == PublicState::kEnd) why = status.status;
      }
      if (available) continue;
      if (why.ok()) why = model.failed_attempt;
      if (why.ok() && !loading) why = model.error;
      if (why.ok()) {
        all = false;
        why = Status(Code::kDeadlineExceeded, "model " + name + ": not loaded in time");
      }
      failed[name] = std::move(why);
    }
    return all || cancelled_;
  };
  changed_.wait_until(lock, until, settled);
  return failed;
}

void StateMonitor::Cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  changed_.notify_all();
}

}  // namespace tenon::serve
