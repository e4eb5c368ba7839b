// The models of a server: which list of them is taken, its reload, and what is waited for and said of them.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/log.h"
#include "base/status_macros.h"
#include "serve/config/config_files.h"
#include "serve/servables/server_core.h"

namespace tenon::serve {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// A model whose platform was not named is TensorFlow's, as the flags --model_name and --model_base_path mean it.
std::string_view PlatformOf(const ModelConfig& model) {
  return model.platform.empty() ? std::string_view("tensorflow") : std::string_view(model.platform);
}

Status UnavailableLabel(const std::string& model, std::int64_t version) {
  return Status(Code::kFailedPrecondition,
                fmt::format("Request to assign label to {} of model {}, which is not currently available for inference",
                            version, model));
}

}  // namespace

/// What depends on the models that are served now.
Status ServerCore::CheckChange(const std::vector<ModelConfig>& models) const {
  static constexpr std::array<std::string_view, 9> kPlatforms = {"",      "tensorflow", "onnx",  "pytorch", "keras",
                                                                 "tenon", "tflite",     "torch", "native"};
  for (const ModelConfig& model : models) {
    if (std::ranges::find(kPlatforms, model.platform) == kPlatforms.end())
      return Status(Code::kInvalidArgument,
                    fmt::format("Model {} has an unknown model_platform: {}", model.name, model.platform));
    for (const ModelConfig& old : models_)
      if (old.name == model.name && PlatformOf(old) != PlatformOf(model))
        return Status(Code::kFailedPrecondition,
                      fmt::format("Illegal to change a model's platform. For model {} platform was {} and now is {}",
                                  model.name, old.platform, model.platform));
  }
  return {};
}

/// A label of a model that is served already must name a version that is available, or (allowed) be new.
Status ServerCore::CheckLabels(const std::vector<ModelConfig>& models) const {
  for (const ModelConfig& model : models) {
    const auto old = std::ranges::find_if(models_, [&](const ModelConfig& m) { return m.name == model.name; });
    if (old == models_.end()) continue;
    for (const auto& [label, version] : model.labels) {
      const auto known = old->labels.find(label);
      if (known != old->labels.end() ? known->second == version : options_.allow_labels_of_unavailable_versions)
        continue;
      if (!manager_->serving().Specific(model.name, version).ok()) return UnavailableLabel(model.name, version);
    }
  }
  return {};
}

Status ServerCore::Apply(const std::vector<ModelConfig>& models) {
  TENON_RETURN_IF_ERROR(source_->SetModels(models));
  ServingMap::Labels labels;
  for (const ModelConfig& model : models)
    if (!model.labels.empty()) labels[model.name].insert(model.labels.begin(), model.labels.end());
  manager_->SetLabels(std::move(labels));
  request_log_->SetModels(models);
  models_ = models;
  return {};
}

Status ServerCore::WaitForModels(const std::vector<ModelConfig>& models) {
  std::vector<std::string> names;
  for (const ModelConfig& model : models) names.push_back(model.name);
  const auto failed = monitor_->WaitUntilSettled(names, Clock::now() + milliseconds(options_.start_timeout_ms));
  if (failed.empty()) return {};
  std::string list;
  for (const auto& [name, why] : failed)
    list += fmt::format("{}{{{} due to error: {}: {}}}", list.empty() ? "" : ", ", name, code_name(why.code()),
                        why.message());
  return Status(Code::kFailedPrecondition,
                fmt::format("{} servable(s) did not become available: {{{}}}", failed.size(), list));
}

Status ServerCore::CheckLabelled(const std::vector<ModelConfig>& models) const {
  if (options_.allow_labels_of_unavailable_versions) return {};
  for (const ModelConfig& model : models) {
    const std::vector<VersionStatus> versions = monitor_->Versions(model.name);
    for (const auto& [label, version] : model.labels) {
      const auto found = std::ranges::find(versions, version, &VersionStatus::version);
      if (found == versions.end() || found->state == PublicState::kEnd) return UnavailableLabel(model.name, version);
    }
  }
  return {};
}

Status ServerCore::ReloadModels(const std::vector<ModelConfig>& models) {
  const std::lock_guard lock(reload_mutex_);
  if (!ready_) return Status(Code::kFailedPrecondition, "Server: reload() needs a server that has started");
  TENON_RETURN_IF_ERROR(CheckModels(models, false));
  TENON_RETURN_IF_ERROR(CheckChange(models));
  TENON_RETURN_IF_ERROR(CheckLabels(models));
  std::vector<ModelConfig> added;
  for (const ModelConfig& model : models)
    if (std::ranges::none_of(models_, [&](const ModelConfig& m) { return m.name == model.name; }))
      added.push_back(model);
  TENON_RETURN_IF_ERROR(Apply(models));
  TENON_RETURN_IF_ERROR(WaitForModels(added));
  return CheckLabelled(added);
}

void ServerCore::PollConfig() {
  const auto due = [&] { return stopping_.load() || reload_asked_; };
  std::unique_lock lock(poll_mutex_);
  for (;;) {
    if (options_.model_config_poll_ms > 0)
      poll_wake_.wait_for(lock, milliseconds(options_.model_config_poll_ms), due);
    else
      poll_wake_.wait(lock, due);
    if (stopping_) return;
    reload_asked_ = false;
    lock.unlock();
    ReloadConfigFile();
    lock.lock();
  }
}

void ServerCore::ReloadConfigFile() {
  const Result<std::vector<ModelConfig>> models = ReadModelServerConfig(options_.model_config_file);
  const Status status = models.ok() ? ReloadModels(*models) : models.status();
  if (!status.ok())
    base::Log(base::LogLevel::kError, fmt::format("PollFilesystemAndReloadConfig failed to ReloadConfig(): {}: {}",
                                                  code_name(status.code()), status.message()));
}

void ServerCore::DumpState() const {
  for (const std::string& name : monitor_->Models())
    for (const VersionStatus& v : monitor_->Versions(name))
      base::Log(base::LogLevel::kInfo,
                fmt::format("state: model {} version {}: {}{}{}", name, v.version, PublicStateName(v.state),
                            v.status.ok() ? "" : ": ", v.status.message()));
}

}  // namespace tenon::serve
