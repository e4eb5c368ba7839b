// RequestLog: samples of a model's requests, appended to a file in the form of a warm-up file.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serve/core/invoker.h"
#include "tenon/serve.h"

namespace tenon::serve {

/// One file for each model that asks for it, PREFIX.MODEL.log (a "/" in the name becomes "_"). A record is written in
/// one call, so that a crash leaves whole records but for the last. A failed write (a full disk) is logged once,
/// counted and takes nothing from the request. Thread-safe.
class RequestLog : public RunObserver {
 public:
  explicit RequestLog(std::shared_ptr<ServerMetrics> metrics) : metrics_(std::move(metrics)) {}
  ~RequestLog() override;
  /// Replaces what is recorded; models that are not named are not recorded.
  void SetModels(const std::vector<ModelConfig>& models);

  bool Wants(const ServableId& id, const Signature& signature) override;
  void Ran(const ServableHandle& handle, const Signature& signature, const std::vector<Literal>& inputs,
           std::span<const int> wanted, const CallKind& call, const Result<std::vector<Literal>>& outputs) override;

 private:
  struct File {
    RequestLogging logging;
    std::string path;
    int fd = -1;
    bool failed = false;  // said so
  };
  const std::shared_ptr<ServerMetrics> metrics_;
  std::mutex mutex_;
  std::map<std::string, File, std::less<>> files_;
  std::atomic<bool> any_{false};
};

}  // namespace tenon::serve
