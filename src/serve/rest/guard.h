// Guard: what stands before the API: tokens, rates, request ids, compression and the access log.
#pragma once
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "serve/core/bearer_tokens.h"
#include "serve/core/server_metrics.h"
#include "serve/rest/http_message.h"

namespace tenon::serve {

/// At most `rate` events a second of each key, and a burst of as many (at least one). Remembers at most kMaxKeys keys:
/// beyond that those that have been quiet are forgotten. Thread-safe.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxKeys = 100'000;
  explicit RateLimit(double rate) : rate_(rate), burst_(rate < 1 ? 1 : rate) {}
  bool Allow(std::string_view key, Clock::time_point now);

 private:
  struct Bucket {
    double tokens;
    Clock::time_point at;
  };
  const double rate_, burst_;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
};

/// A JSON object a line: ts, peer, method, path, status, bytes_in, bytes_out, ms, and request_id where the client gave
/// one. Each line is one write, so that programs may share the file. Thread-safe.
class AccessLog {
 public:
  /// "-" is standard output. kUnavailable when the file cannot be opened.
  static Result<std::shared_ptr<AccessLog>> Open(const std::string& path);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  void Write(const HttpRequest& request, std::size_t bytes_in, int status, std::size_t bytes_out,
             std::chrono::nanoseconds took);
  /// A gRPC call: ts, peer, protocol ("grpc"), path, code, bytes_in, bytes_out, ms.
  void WriteCall(std::string_view peer, std::string_view path, Code code, std::size_t bytes_in, std::size_t bytes_out,
                 std::chrono::nanoseconds took);

 private:
  explicit AccessLog(int fd) : fd_(fd) {}
  const int fd_;
};

struct GuardOptions {
  std::vector<std::string> bearer_tokens = {};  // empty: no check
  std::shared_ptr<RateLimit> rate = {};         // of requests of one client address; none: no limit
  bool compress = false;                        // gzip replies of 1 KB and more to clients that accept it
  std::shared_ptr<AccessLog> access_log = {};
};

/// Refuses with 401 (no or a wrong token; compared in constant time) or 429 (too many), else asks the inner handler.
/// The probes /healthz, /livez, /readyz and /v2/health/… are never refused. A request's X-Request-Id is sent back.
class Guard : public HttpHandler {
 public:
  Guard(GuardOptions options, std::shared_ptr<HttpHandler> inner, std::shared_ptr<ServerMetrics> metrics)
      : options_(std::move(options)),
        tokens_(options_.bearer_tokens),
        inner_(std::move(inner)),
        metrics_(std::move(metrics)),
        inflight_(metrics_->inflight.At({})) {}
  Effort EffortOf(const HttpRequest& request) const override { return inner_->EffortOf(request); }
  HttpResponse Handle(const HttpRequest& request, Deadline deadline) override;
  void HandleAsync(const HttpRequest& request, Patience patience, Done done) override;

 private:
  std::optional<HttpResponse> Refused(const HttpRequest& request);
  /// What is done with every reply.
  void Finish(const HttpRequest& request, std::size_t bytes_in, std::chrono::steady_clock::time_point begun,
              HttpResponse& response);
  void Decorate(const HttpRequest& request, HttpResponse& response) const;
  const GuardOptions options_;
  const BearerTokens tokens_;
  const std::shared_ptr<HttpHandler> inner_;
  const std::shared_ptr<ServerMetrics> metrics_;
  Gauge& inflight_;
};

}  // namespace tenon::serve
