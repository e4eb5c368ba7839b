// RestHandler: the REST API of TensorFlow Serving.
#pragma once
#include <functional>
#include <memory>

#include "serve/core/byte_budget.h"
#include "serve/core/invoker.h"
#include "serve/core/manager.h"
#include "serve/rest/http_message.h"
#include "serve/rest/routes.h"

namespace tenon::serve {

struct RestOptions {
  bool enable_cors = false;
  std::size_t inflated_limit = 100 << 20;       // bytes of a body sent with gzip; a longer one counts as empty
  std::chrono::microseconds cheap = kShortRun;  // a model whose recent requests took less runs on the I/O thread
  std::function<bool()> ready = {};             // for the readiness probes; none: always ready
  /// The report of a model's shadow version (GET /v1/models/M/shadow); none: there is no such path.
  std::function<std::optional<std::string>(std::string_view model)> shadow_report = {};
  bool check_method = false;                // a signature's method name must be that of the call
  std::string metrics_path = {};            // a second path of the metrics page, matched exactly; empty: none
  std::shared_ptr<ByteBudget> budget = {};  // of requests that are under way: inflated bodies count; none: no limit
};

/// 200 for kOk, 400 for kInvalidArgument, …
int HttpStatus(Code code);

/// POST /v1/models/…:predict, :classify and :regress, GET /v1/models/… (status and metadata), the probes /healthz,
/// /livez, /readyz, /v2/health/live, /v2/health/ready, and the server's own
/// pages /, /status.json, /openapi.json and /metrics. Thread-safe.
class RestHandler : public HttpHandler {
 public:
  /// Without an invoker it makes its own.
  RestHandler(RestOptions options, std::shared_ptr<const Manager> manager,
              std::shared_ptr<const Invoker> invoker = nullptr)
      : options_(std::move(options)),
        manager_(std::move(manager)),
        invoker_(invoker ? std::move(invoker) : std::make_shared<Invoker>(std::make_shared<ServerMetrics>())) {}
  Effort EffortOf(const HttpRequest& request) const override;
  HttpResponse Handle(const HttpRequest& request, Deadline deadline) override;
  /// Waits without a thread for servables that batch; a request that is queued there while its waiter goes does not
  /// run.
  void HandleAsync(const HttpRequest& request, Patience patience, Done done) override;

 private:
  struct Finish;
  /// The body of a reply, or why there is none.
  Result<std::string> Answer(const HttpRequest& request, Deadline deadline) const;
  Result<std::string> Infer(const Route& route, std::string_view body, Deadline deadline) const;
  Result<std::string> Predict(const Route& route, std::string_view body, Deadline deadline) const;
  Result<std::string> Examples(const Route& route, std::string_view body, Deadline deadline) const;
  void ExamplesAsync(const Route& route, const ServableHandle& handle, const HttpRequest& request, Patience patience,
                     Finish finish) const;
  HttpResponse Shell() const;
  HttpResponse Reply(Result<std::string> body) const;
  Result<std::string> ModelStatus(const Route& route) const;
  HttpResponse MetricsPage() const;
  Result<std::string> Metadata(const Route& route) const;
  Result<ServableHandle> Find(const Route& route) const;

  const RestOptions options_;
  const std::shared_ptr<const Manager> manager_;
  const std::shared_ptr<const Invoker> invoker_;
};

}  // namespace tenon::serve
