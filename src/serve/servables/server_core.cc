#include "serve/servables/server_core.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>

#include "base/cgroup.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/threads.h"
#include "serve/config/config_files.h"
#include "serve/rest/guard.h"
#include "serve/rest/rest_handler.h"
#include "serve/servables/load_steps.h"
#include "serve/servables/notify.h"
#include "verify/difference.h"

namespace tenon::serve {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// For unloading at the end. The requests are over by then; a load that is still under way is of no use to anyone.
constexpr milliseconds kUnloadTime{3000};

ManagerOptions OptionsOf(const ServerOptions& options, ServableCreator creator,
                         const std::shared_ptr<BatchPool>& batches, const std::shared_ptr<ServerMetrics>& metrics) {
  ManagerOptions out;
  auto meter = std::make_shared<MemoryMeter>(metrics);
  const UnloadStep around_unload = [meter, metrics](const ServableId& id, const std::function<void()>& unload) {
    const ProcessMemory before = ProcessMemory::Now();
    unload();
    meter->Unloaded(id, before, ProcessMemory::Now());
    metrics->Ended(id);
  };
  out.loaders = MakeLoaderFactory(WithLoadSteps(std::move(creator), options, batches, metrics, meter), around_unload);
  if (options.resource_preserving) out.policy = MakeResourcePreservingPolicy();
  out.max_load_retries = options.max_load_retries;
  out.load_retry_interval = milliseconds(options.load_retry_interval_ms);
  out.memory_budget = options.memory_budget;
  out.unload_threads = options.unload_threads;
  return out;
}

/// The verifier's judgement: what is left in float64, and what rounding explains of the rest.
ShadowDifference CompareByBudget(const Literal& serving, const Literal& serving_wide, const Literal& shadow,
                                 const Literal& shadow_wide) {
  const Result<verify::OutputDifference> d =
      verify::Compare("output", {&serving, &serving_wide}, {&shadow, &shadow_wide});
  if (!d.ok()) return {.difference = INFINITY, .limit = 0, .reason = d.status().message()};
  ShadowDifference out{.difference = d->max_abs, .limit = d->budget, .reason = "other values"};
  // A bug may lie within the budget of the float runs; it is beyond that of the oracle's.
  if (d->verdict != verify::Verdict::kBug) out.limit = std::max(out.limit, out.difference);
  if (d->verdict == verify::Verdict::kBug && out.agrees()) out.difference = INFINITY;
  return out;
}

}  // namespace

ServerCore::ServerCore(ServerOptions options, ServableCreator creator)
    : options_(std::move(options)),
      monitor_(std::make_shared<StateMonitor>()),
      metrics_(std::make_shared<ServerMetrics>()),
      invoker_(std::make_shared<Invoker>(metrics_)),
      request_log_(std::make_shared<RequestLog>(metrics_)),
      budget_(ByteBudget::Make(options_.max_inflight_bytes < 0 ? base::MemoryLimit() / 4 : options_.max_inflight_bytes,
                               &metrics_->refused.At({"memory"}))),
      batch_pool_(MakeBatchPool(options_)),
      manager_(std::make_shared<Manager>(OptionsOf(options_, std::move(creator), batch_pool_, metrics_), monitor_)),
      event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      requests_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  metrics_->registry.OnScrape([this] { CollectStates(); });
  invoker_->AddObserver(request_log_);
  if (options_.shadow_fraction <= 0) return;
  shadow_ = std::make_shared<Shadow>(ShadowOptions{.fraction = options_.shadow_fraction,
                                                   .promote_after = std::max(1, options_.shadow_promote_after),
                                                   .tolerance = options_.shadow_tolerance,
                                                   .compare = CompareByBudget,
                                                   .report_dir = options_.shadow_report_dir},
                                     manager_, metrics_);
  invoker_->AddObserver(shadow_);
}

ServerCore::~ServerCore() {
  Stop();
  signals_.reset();
  if (event_ >= 0) ::close(event_);
  if (requests_ >= 0) ::close(requests_);
}

/// Sets the gauges of what is there.
void ServerCore::CollectStates() {
  metrics_->inflight_bytes.At({}).Set(static_cast<double>(budget_->used()));
  std::vector<ServerMetrics::VersionState> all;
  for (const std::string& name : monitor_->Models())
    for (const VersionStatus& v : monitor_->Versions(name))
      all.push_back({{name, v.version}, PublicStateName(v.state), v.state == PublicState::kEnd});
  metrics_->States(all);
}

Status ServerCore::Check() const {
  const auto bad = [](std::string_view field, std::int64_t got, std::string_view expected) {
    return Status(Code::kInvalidArgument, fmt::format("ServerOptions: {}: got {}, expected {}", field, got, expected));
  };
  if (options_.rest_port < kFreePort || options_.rest_port > 65535)
    return bad("rest_port", options_.rest_port, "0 (off), kFreePort or 1 to 65535");
  TENON_RETURN_IF_ERROR(CheckGrpcOptions(options_));
  if (options_.rest_timeout_ms <= 0) return bad("rest_timeout_ms", options_.rest_timeout_ms, "more than 0");
  if (options_.max_body_bytes <= 0) return bad("max_body_bytes", options_.max_body_bytes, "more than 0");
  if (options_.poll_interval_ms < 0) return bad("poll_interval_ms", options_.poll_interval_ms, "0 or more");
  if (options_.max_load_retries < 0) return bad("max_load_retries", options_.max_load_retries, "0 or more");
  if (options_.memory_budget < 0) return bad("memory_budget", options_.memory_budget, "0 or more");
  if (options_.model_config_poll_ms < 0) return bad("model_config_poll_ms", options_.model_config_poll_ms, "0 or more");
  if (options_.batching) TENON_RETURN_IF_ERROR(CheckBatching(*options_.batching));
  return {};
}

Status ServerCore::Start() {
  if (started_.exchange(true)) return Status(Code::kFailedPrecondition, "Server: start() was called before");
  Status status;
  {
    const std::lock_guard lock(open_mutex_);
    status = stopping_ ? Status(Code::kCancelled, "Server: stopped before it was started") : Open();
  }
  if (!status.ok()) Stop();
  return status;
}

Status ServerCore::Open() {
  TENON_RETURN_IF_ERROR(Check());
  std::vector<ModelConfig> models = options_.models;
  if (!options_.model_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(models, ReadModelServerConfig(options_.model_config_file));
  }
  const std::shared_ptr<RateLimit> rate =  // one for both protocols
      options_.requests_per_second > 0 ? std::make_shared<RateLimit>(options_.requests_per_second) : nullptr;
  if (options_.rest_port != 0) {
    const int cpus = base::DefaultThreads();
    HttpServerOptions http;
    http.address = options_.address;
    http.port = options_.rest_port == kFreePort ? 0 : options_.rest_port;
    http.io_threads = options_.rest_threads > 0 ? options_.rest_threads : std::clamp((cpus + 1) / 2, 1, 8);
    http.worker_threads = options_.worker_threads > 0 ? options_.worker_threads : std::max(2, cpus);
    http.max_connections = static_cast<std::size_t>(std::max(1, options_.max_connections));
    http.limits.body_bytes = static_cast<std::size_t>(options_.max_body_bytes);
    if (options_.rest_tls) {
      TENON_ASSIGN_OR_RETURN(http.tls, TlsContext::Make(*options_.rest_tls));
    }
    http.spin = SpinOptions::Of(options_.spin_us);
    http.request_timeout = milliseconds(options_.rest_timeout_ms);
    http.budget = budget_;
    http.refused = [&refused = metrics_->refused.At({"connections"})] { refused.Add(); };
    RestOptions rest{.enable_cors = options_.enable_cors, .ready = [this] { return ready(); }};
    if (shadow_) rest.shadow_report = [shadow = shadow_](std::string_view model) { return shadow->Report(model); };
    rest.metrics_path = options_.metrics_path;
    rest.budget = budget_;
    rest.check_method = options_.check_signature_method;
    auto handler = std::make_shared<RestHandler>(std::move(rest), manager_, invoker_);
    GuardOptions guard{.bearer_tokens = options_.bearer_tokens, .rate = rate, .compress = options_.compress_replies};
    if (!options_.access_log.empty()) {
      TENON_ASSIGN_OR_RETURN(guard.access_log, AccessLog::Open(options_.access_log));
    }
    rest_ = std::make_unique<HttpServer>(std::move(http),
                                         std::make_shared<Guard>(std::move(guard), std::move(handler), metrics_));
    TENON_RETURN_IF_ERROR(rest_->Bind());
    rest_port_ = rest_->port();
  }
  source_ = std::make_unique<FileSystemSource>(
      milliseconds(options_.poll_interval_ms),
      [this](const std::string& model, std::vector<AspiredVersion> versions) {
        if (shadow_)
          shadow_->SetAspired(model, std::move(versions));
        else
          manager_->SetAspired(model, std::move(versions));
      },
      monitor_);
  {
    const std::lock_guard lock(reload_mutex_);
    TENON_RETURN_IF_ERROR(CheckModels(models, false));
    TENON_RETURN_IF_ERROR(CheckChange(models));
    TENON_RETURN_IF_ERROR(Apply(models));
  }
  Status loaded;
  {
    // A signal ends the wait: as the first process of a container this one would not be ended by it otherwise.
    std::jthread watch;
    if (options_.signals_from_start) {
      signals_.emplace(event_, requests_);
      watch = std::jthread([this](const std::stop_token& done) {
        for (pollfd event{.fd = event_, .events = POLLIN, .revents = 0}; !done.stop_requested();)
          if (::poll(&event, 1, 10) > 0) return CancelStart();
      });
    }
    loaded = WaitForModels(models);
  }
  if (stopping_) return Status(Code::kCancelled, "Server: stopped while it was starting");
  manager_->SetLoadThreads(options_.load_threads);
  if (loaded.ok()) loaded = CheckLabelled(models);
  if (!loaded.ok()) {
    if (options_.strict_start) return loaded;
    base::Log(base::LogLevel::kError, loaded.message());
  }
  if (rest_) {
    TENON_RETURN_IF_ERROR(rest_->Start());
    base::Log(base::LogLevel::kInfo, fmt::format("Exporting HTTP/REST API at:localhost:{} ...", rest_->port()));
  }
  TENON_ASSIGN_OR_RETURN(grpc_, StartGrpc(options_, manager_, invoker_, budget_, rate, *this));
  if (grpc_) {
    grpc_port_ = grpc_->port();
    grpc_->SetServing(true);
  }
  ready_ = served_ = true;
  NotifySystem("READY=1");
  if (!options_.model_config_file.empty()) poll_thread_ = std::thread([this] { PollConfig(); });
  return {};
}

void ServerCore::Notify() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(event_, &one, sizeof one);
}

void ServerCore::Wait() {
  if (!started_) return;
  {
    std::optional<SignalWatch> own;
    if (!signals_) own.emplace(event_, requests_);
    std::array<pollfd, 2> waited{pollfd{.fd = event_, .events = POLLIN, .revents = 0},
                                 pollfd{.fd = requests_, .events = POLLIN, .revents = 0}};
    while (!stopping_) {
      if (::poll(waited.data(), waited.size(), -1) <= 0) continue;
      if (waited[0].revents != 0) break;
      std::uint64_t asked = 0;
      if (::read(requests_, &asked, sizeof asked) != sizeof asked) continue;
      if (asked >= SignalWatch::kDumpRequest) DumpState();
      if (asked % SignalWatch::kDumpRequest > 0) {
        const std::lock_guard poll(poll_mutex_);  // on its own thread: a reload may wait for models
        reload_asked_ = true;
        poll_wake_.notify_all();
      }
    }
    ready_ = false;
    if (grpc_) grpc_->SetServing(false);
    if (rest_) rest_->AnnounceEnd();
    NotifySystem("STOPPING=1");
    // Balancers look at the probes now and then: go on serving until they have seen that no more is wanted.
    const auto until = Clock::now() + milliseconds(options_.shutdown_delay_ms);
    while (!stopping_ && Clock::now() < until) std::this_thread::sleep_for(milliseconds(10));
    Stop();
  }
  signals_.reset();
}

void ServerCore::CancelStart() {
  stopping_ = true;
  monitor_->Cancel();
}

void ServerCore::Stop() {
  stopping_ = true;
  ready_ = false;
  Notify();
  monitor_->Cancel();
  const std::lock_guard open(open_mutex_);  // a start in progress ends first: it gives up at its next step
  const std::lock_guard lock(stop_mutex_);
  if (stopped_) return;
  stopped_ = true;
  ready_ = false;
  {
    const std::lock_guard poll(poll_mutex_);  // so that the thread does not miss it
    poll_wake_.notify_all();
  }
  if (poll_thread_.joinable()) poll_thread_.join();
  // Without a request there is nothing to wait for.
  const auto until = Clock::now() + milliseconds(served_ ? options_.shutdown_timeout_ms : 0);
  if (source_) source_->Stop();
  if (shadow_) shadow_->Stop();
  if (batch_pool_) batch_pool_->RunAtOnce();
  {
    // Side by side: neither goes on taking requests while the other one drains, nor gets only the time that is left.
    std::jthread rest;
    if (rest_) rest = std::jthread([&] { rest_->Stop(until); });
    if (grpc_) grpc_->Stop(until);
  }
  rest_port_ = 0;
  grpc_port_ = 0;
  if (const Status s = manager_->Stop(Clock::now() + kUnloadTime); !s.ok())
    base::Log(base::LogLevel::kWarning, s.message());
}

}  // namespace tenon::serve
