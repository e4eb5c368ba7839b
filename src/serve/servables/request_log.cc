#include "serve/servables/request_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <random>

#include "base/log.h"
#include "base/tf_record.h"
#include "serve/servables/prediction_log.h"

namespace tenon::serve {
namespace {

/// A task of MultiInference is what its signature is for.
LoggedCall::Kind KindOf(std::string_view api, const Signature& signature) {
  const bool multi = api == "MultiInference";
  if (api == "classify" || api == "Classify") return LoggedCall::Kind::kClassify;
  if (api == "regress" || api == "Regress" || (multi && signature.output_index("outputs") >= 0))
    return LoggedCall::Kind::kRegress;
  return multi ? LoggedCall::Kind::kClassify : LoggedCall::Kind::kPredict;
}

}  // namespace

RequestLog::~RequestLog() {
  for (const auto& [name, file] : files_)
    if (file.fd >= 0) ::close(file.fd);
}

void RequestLog::SetModels(const std::vector<ModelConfig>& models) {
  const std::lock_guard lock(mutex_);
  std::map<std::string, File, std::less<>> next;
  for (const ModelConfig& model : models) {
    if (model.logging.sampling_rate <= 0 || model.logging.filename_prefix.empty()) continue;
    std::string name = model.name;
    std::ranges::replace(name, '/', '_');
    File file{.logging = model.logging, .path = fmt::format("{}.{}.log", model.logging.filename_prefix, name)};
    if (const auto old = files_.find(model.name); old != files_.end() && old->second.path == file.path)
      file.fd = std::exchange(old->second.fd, -1);
    next[model.name] = std::move(file);
  }
  for (const auto& [name, file] : files_)
    if (file.fd >= 0) ::close(file.fd);
  files_ = std::move(next);
  any_ = !files_.empty();
}

bool RequestLog::Wants(const ServableId& id, const Signature&) {
  if (!any_) return false;
  const std::lock_guard lock(mutex_);
  const auto it = files_.find(id.name);
  if (it == files_.end()) return false;
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<double>()(random) < it->second.logging.sampling_rate;
}

void RequestLog::Ran(const ServableHandle& handle, const Signature& signature, const std::vector<Literal>& inputs,
                     std::span<const int> wanted, const CallKind& call, const Result<std::vector<Literal>>& outputs) {
  if (!outputs.ok()) return;
  const std::lock_guard lock(mutex_);
  const auto it = files_.find(handle.id().name);
  if (it == files_.end()) return;
  File& file = it->second;
  std::string record;
  base::AppendTfRecord(record, EncodePredictionLog(KindOf(call.api, signature), handle.id(), signature, inputs, wanted,
                                                   *outputs, file.logging.sampling_rate, std::time(nullptr)));
  if (file.fd < 0) file.fd = ::open(file.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  const off_t before = file.fd < 0 ? -1 : ::lseek(file.fd, 0, SEEK_END);
  const ssize_t n = file.fd < 0 ? -1 : ::write(file.fd, record.data(), record.size());
  const bool ok = n == static_cast<ssize_t>(record.size());
  metrics_->request_log_count.At({handle.id().name, ok ? "OK" : "UNAVAILABLE"}).Add();
  if (!ok && !file.failed)
    base::Log(base::LogLevel::kError,
              fmt::format("{}: requests cannot be recorded: {}", file.path, std::strerror(n < 0 ? errno : ENOSPC)));
  file.failed = !ok;
  // Half a record would make all that follow unreadable.
  if (!ok && n > 0 && ::ftruncate(file.fd, before) != 0) {
    ::close(file.fd);
    file.fd = -1;
  }
}

}  // namespace tenon::serve
