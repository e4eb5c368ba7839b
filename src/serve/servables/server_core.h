// ServerCore: the parts of a server put together, for any kind of servable.
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "serve/core/batch_pool.h"
#include "serve/core/byte_budget.h"
#include "serve/core/file_system_source.h"
#include "serve/core/invoker.h"
#include "serve/core/manager.h"
#include "serve/core/model_admin.h"
#include "serve/core/server_metrics.h"
#include "serve/core/shadow.h"
#include "serve/rest/http_server.h"
#include "serve/servables/request_log.h"
#include "serve/servables/signals.h"
#include "serve/servables/start_grpc.h"
#include "tenon/serve.h"

namespace tenon::serve {

/// What Server promises (include/tenon/serve.h), with the servables that `creator` makes.
class ServerCore : public ModelAdmin {
 public:
  ServerCore(ServerOptions options, ServableCreator creator);
  ~ServerCore() override;  // Stop
  ServerCore(const ServerCore&) = delete;
  ServerCore& operator=(const ServerCore&) = delete;

  Status Start();
  void Wait();
  void Stop();
  Status ReloadModels(const std::vector<ModelConfig>& models) override;
  int rest_port() const { return rest_port_; }
  int grpc_port() const { return grpc_port_; }
  /// Started, the first loads are over, and not about to stop.
  bool ready() const { return ready_; }
  /// What the protocols share.
  const std::shared_ptr<Manager>& manager() const { return manager_; }
  const std::shared_ptr<Invoker>& invoker() const { return invoker_; }
  const std::shared_ptr<ServerMetrics>& metrics() const { return metrics_; }

 private:
  Status Check() const;
  Status Open();
  Status CheckChange(const std::vector<ModelConfig>& models) const;
  Status CheckLabels(const std::vector<ModelConfig>& models) const;
  Status Apply(const std::vector<ModelConfig>& models);
  void PollConfig();
  void ReloadConfigFile();
  void DumpState() const;
  void CollectStates();
  /// kFailedPrecondition names those that have no available version, within start_timeout_ms.
  Status WaitForModels(const std::vector<ModelConfig>& models);
  /// The same for labels of these models whose version is not there: neither loaded nor on its way.
  Status CheckLabelled(const std::vector<ModelConfig>& models) const;
  void Notify();
  void CancelStart();

  const ServerOptions options_;
  const std::shared_ptr<StateMonitor> monitor_;
  const std::shared_ptr<ServerMetrics> metrics_;
  const std::shared_ptr<Invoker> invoker_;
  const std::shared_ptr<RequestLog> request_log_;
  const std::shared_ptr<ByteBudget> budget_;     // of the requests under way
  const std::shared_ptr<BatchPool> batch_pool_;  // null without batching
  std::shared_ptr<Manager> manager_;
  std::shared_ptr<Shadow> shadow_;  // null without one
  std::unique_ptr<FileSystemSource> source_;
  std::unique_ptr<HttpServer> rest_;
  std::unique_ptr<GrpcServer> grpc_;
  std::atomic<int> rest_port_{0}, grpc_port_{0};
  std::atomic<bool> ready_{false};
  std::atomic<bool> started_{false};
  std::atomic<bool> stopping_{false};
  std::mutex open_mutex_;            // held by Start while it makes the members that Stop ends
  std::mutex stop_mutex_;            // one Stop at a time
  std::mutex reload_mutex_;          // one Reload at a time
  std::vector<ModelConfig> models_;  // what is served, guarded by reload_mutex_
  std::thread poll_thread_;          // re-reads the config file
  std::mutex poll_mutex_;
  std::condition_variable poll_wake_;  // stopping_ or reload_asked_ was set
  bool reload_asked_ = false;          // guarded by poll_mutex_
  bool stopped_ = false;
  std::atomic<bool> served_{false};     // a request may have come in
  int event_ = -1;                      // wakes Wait
  int requests_ = -1;                   // reloads and dumps asked for by signals
  std::optional<SignalWatch> signals_;  // from before the first request on, when the options ask for it
};

}  // namespace tenon::serve
