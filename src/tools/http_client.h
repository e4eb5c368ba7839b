// HttpClient: one keep-alive HTTP/1.1 connection, blocking.
#pragma once
#include <string>
#include <string_view>

#include "tenon/status.h"

namespace tenon::tools {

/// "[http://]host[:port][/]"; the port is that of a server's REST API unless it is named. kInvalidArgument for anything
/// else: https needs a proxy, and paths are made from other options.
struct HttpUrl {
  std::string host = {};
  std::string port = "8501";
};
Result<HttpUrl> ParseHttpUrl(std::string_view url);

struct HttpReply {
  int status = 0;
  std::string body = {};
};

/// Reconnects when the server has closed the connection between two requests. Not thread-safe.
class HttpClient {
 public:
  /// Each wait for the network ends after `seconds`. `token` is sent as bearer token unless empty.
  HttpClient(HttpUrl url, int seconds, std::string token = {})
      : url_(std::move(url)), seconds_(seconds), token_(std::move(token)) {}
  ~HttpClient() { Close(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// kUnavailable when nobody answers, kDeadlineExceeded when it takes too long, kDataLoss for a reply that is none.
  Result<HttpReply> Send(std::string_view method, std::string_view target, std::string_view body);

 private:
  Status Connect();
  void Close();
  Status Write(std::string_view bytes);
  Result<HttpReply> Read();
  Status More();
  const HttpUrl url_;
  const int seconds_;
  const std::string token_;
  int fd_ = -1;
  std::string buffer_;
};

}  // namespace tenon::tools
