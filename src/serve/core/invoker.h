// Invoker: runs signatures for the protocols. The one place where runs are measured, recorded and mirrored.
#pragma once
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "serve/core/servable_handle.h"
#include "serve/core/server_metrics.h"

namespace tenon::serve {

/// Which call of which protocol a run belongs to; the texts are those of ServerMetrics::Request.
struct CallKind {
  std::string_view api = "predict";
  std::string_view entrypoint = "REST";
};

/// Sees runs after they ended, on the thread that ran them, before the answer is written. Any thread.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  /// Whether Ran is to be called for this run: asked before it, so that inputs are kept only where they are wanted.
  virtual bool Wants(const ServableId& id, const Signature& signature) = 0;
  /// `wanted` as given to Servable::Run. Literals may be kept: they are shared, not copied.
  virtual void Ran(const ServableHandle& handle, const Signature& signature, const std::vector<Literal>& inputs,
                   std::span<const int> wanted, const CallKind& call, const Result<std::vector<Literal>>& outputs) = 0;
};

/// Thread-safe once the observers are added.
class Invoker {
 public:
  explicit Invoker(std::shared_ptr<ServerMetrics> metrics) : metrics_(std::move(metrics)) {}
  void AddObserver(std::shared_ptr<RunObserver> observer) { observers_.push_back(std::move(observer)); }
  ServerMetrics& metrics() const { return *metrics_; }

  /// Servable::Run of the handle's version.
  Result<std::vector<Literal>> Run(const ServableHandle& handle, const Signature& signature,
                                   std::vector<Literal> inputs, std::span<const int> wanted, Deadline deadline,
                                   const CallKind& call) const;
  /// Servable::RunAsync of the handle's version. The texts of `call` and the invoker must live until `done` was called.
  void RunAsync(const ServableHandle& handle, const Signature& signature, std::vector<Literal> inputs,
                std::span<const int> wanted, Patience patience, const CallKind& call, Servable::Done done) const;

 private:
  struct Watch {
    std::vector<RunObserver*> interested = {};
    std::vector<Literal> inputs = {};
    std::chrono::steady_clock::time_point begun = {};
  };
  Watch Begin(const ServableHandle& handle, const Signature& signature, const std::vector<Literal>& inputs) const;
  void End(const Watch& watch, const ServableHandle& handle, const Signature& signature, std::span<const int> wanted,
           const CallKind& call, const Result<std::vector<Literal>>& outputs) const;

  const std::shared_ptr<ServerMetrics> metrics_;
  std::vector<std::shared_ptr<RunObserver>> observers_;
};

}  // namespace tenon::serve
