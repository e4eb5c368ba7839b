#include "serve/rest/guard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/gzip.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "serve/rest/predict_response.h"

namespace tenon::serve {
namespace {

constexpr std::size_t kCompressFrom = 1024;
constexpr std::size_t kMaxRequestId = 128;

bool IsProbe(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  return path == "/healthz" || path == "/livez" || path == "/readyz" || path.starts_with("/v2/health/");
}

HttpResponse Refusal(int status, std::string_view message) {
  HttpResponse response{.status = status, .content_type = "application/json"};
  WriteErrorResponse(message, response.body);
  return response;
}

bool GoodRequestId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxRequestId &&
         std::ranges::all_of(id, [](char c) { return c > ' ' && c < 127; });
}

/// A line's beginning: {"ts":"…".
std::string Stamp() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm t{};
  ::gmtime_r(&now.tv_sec, &t);
  std::array<char, 32> stamp{};
  std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%S", &t);
  return fmt::format("{{\"ts\":\"{}.{:03}Z\"", stamp.data(), now.tv_nsec / 1'000'000);
}

}  // namespace

bool RateLimit::Allow(std::string_view key, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (buckets_.size() >= kMaxKeys)
    std::erase_if(buckets_, [&](const auto& b) { return now - b.second.at > std::chrono::seconds(1); });
  if (buckets_.size() >= kMaxKeys) buckets_.clear();
  Bucket& bucket = buckets_.try_emplace(std::string(key), Bucket{burst_, now}).first->second;
  const double since = std::chrono::duration<double>(now - bucket.at).count();
  bucket.tokens = std::min(burst_, bucket.tokens + since * rate_);
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

Result<std::shared_ptr<AccessLog>> AccessLog::Open(const std::string& path) {
  const int fd =
      path == "-" ? ::dup(STDOUT_FILENO) : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0)
    return Status(Code::kUnavailable, fmt::format("access log {}: cannot be opened: {}", path, std::strerror(errno)));
  return std::shared_ptr<AccessLog>(new AccessLog(fd));
}

AccessLog::~AccessLog() { ::close(fd_); }

void AccessLog::Write(const HttpRequest& request, std::size_t bytes_in, int status, std::size_t bytes_out,
                      std::chrono::nanoseconds took) {
  std::string line = Stamp() + ",\"peer\":";
  base::AppendJsonString(line, request.peer);
  line += ",\"method\":";
  base::AppendJsonString(line, request.method);
  line += ",\"path\":";
  base::AppendJsonString(line, request.target.substr(0, 1024));
  line += fmt::format(",\"status\":{},\"bytes_in\":{},\"bytes_out\":{},\"ms\":{:.3f}", status, bytes_in, bytes_out,
                      static_cast<double>(took.count()) / 1e6);
  if (const std::string_view id = request.header("X-Request-Id"); GoodRequestId(id)) {
    line += ",\"request_id\":";
    base::AppendJsonString(line, id);
  }
  line += "}\n";
  [[maybe_unused]] const ssize_t n = ::write(fd_, line.data(), line.size());  // a full disk costs lines, not requests
}

void AccessLog::WriteCall(std::string_view peer, std::string_view path, Code code, std::size_t bytes_in,
                          std::size_t bytes_out, std::chrono::nanoseconds took) {
  const std::string line =
      Stamp() +
      fmt::format(
          ",\"peer\":\"{}\",\"protocol\":\"grpc\",\"path\":\"{}\",\"code\":\"{}\",\"bytes_in\":{},\"bytes_out\":{},"
          "\"ms\":{:.3f}}}\n",
          peer, path, code_name(code), bytes_in, bytes_out, static_cast<double>(took.count()) / 1e6);
  [[maybe_unused]] const ssize_t n = ::write(fd_, line.data(), line.size());
}

std::optional<HttpResponse> Guard::Refused(const HttpRequest& request) {
  if (IsProbe(request.target)) return std::nullopt;
  // First the rate, so that guesses at tokens are limited too.
  if (options_.rate && !options_.rate->Allow(request.peer, RateLimit::Clock::now())) {
    metrics_->refused.At({"rate"}).Add();
    HttpResponse response = Refusal(429, "Too many requests from this address; try again in a second");
    response.headers = {{"Retry-After", "1"}};
    return response;
  }
  if (!tokens_.Admit(request.header("Authorization"))) {
    metrics_->refused.At({"auth"}).Add();
    HttpResponse response = Refusal(401, "Expected \"Authorization: Bearer TOKEN\" with a valid token");
    response.headers = {{"WWW-Authenticate", "Bearer"}};
    return response;
  }
  return std::nullopt;
}

void Guard::Finish(const HttpRequest& request, std::size_t bytes_in, std::chrono::steady_clock::time_point begun,
                   HttpResponse& response) {
  inflight_.Add(-1);
  try {
    Decorate(request, response);
  } catch (const std::exception& error) {  // no memory for it: the reply goes as it is
    base::Log(base::LogLevel::kWarning, std::string("REST: a reply could not be compressed: ") + error.what());
  }
  if (options_.access_log)
    options_.access_log->Write(request, bytes_in, response.status, response.body.size(),
                               std::chrono::steady_clock::now() - begun);
}

void Guard::Decorate(const HttpRequest& request, HttpResponse& response) const {
  response.headers.reserve(response.headers.size() + 3);
  if (options_.compress && response.body.size() >= kCompressFrom &&
      request.header("Accept-Encoding").find("gzip") != std::string_view::npos) {
    std::string packed = base::Gzip(response.body);
    response.headers.emplace_back("Content-Encoding", "gzip");
    response.headers.emplace_back("Vary", "Accept-Encoding");
    response.body = std::move(packed);
  }
  if (const std::string_view id = request.header("X-Request-Id"); GoodRequestId(id))
    response.headers.emplace_back("X-Request-Id", id);
}

HttpResponse Guard::Handle(const HttpRequest& request, Deadline deadline) {
  const auto begun = std::chrono::steady_clock::now();
  inflight_.Add(1);
  HttpResponse response;
  try {
    std::optional<HttpResponse> refused = Refused(request);
    response = refused ? *std::move(refused) : inner_->Handle(request, deadline);
  } catch (const std::exception& error) {
    base::Log(base::LogLevel::kWarning, std::string("REST: a request could not be answered: ") + error.what());
    response = HttpErrorPage(500);
  }
  Finish(request, request.body.size(), begun, response);
  return response;
}

void Guard::HandleAsync(const HttpRequest& request, Patience patience, Done done) {
  const auto begun = std::chrono::steady_clock::now();
  inflight_.Add(1);
  Done finish = [this, &request, bytes_in = request.body.size(), begun,
                 done = std::move(done)](HttpResponse response) mutable {
    Finish(request, bytes_in, begun, response);
    done(std::move(response));
  };
  if (std::optional<HttpResponse> refused = Refused(request)) return finish(*std::move(refused));
  inner_->HandleAsync(request, std::move(patience), std::move(finish));
}

}  // namespace tenon::serve
