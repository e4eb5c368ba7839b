// A small HTTP client for the loopback server of this example.
#pragma once
#include <string>

namespace digits {

struct Reply {
  int status = 0;  // 0: no connection or no answer
  std::string body;
};
/// One connection that is kept open. One thread.
class HttpClient {
 public:
  explicit HttpClient(int port) : port_(port) {}
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  Reply Post(const std::string& path, const std::string& body) { return Send("POST", path, body); }
  Reply Get(const std::string& path) { return Send("GET", path, ""); }

 private:
  Reply Send(const std::string& method, const std::string& path, const std::string& body);
  bool Connect();
  int port_, fd_ = -1;
};

}  // namespace digits
