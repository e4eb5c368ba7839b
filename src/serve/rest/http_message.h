// Replies of the HTTP front, and who makes them.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/core/servable.h"
#include "serve/rest/http_parser.h"

namespace tenon::serve {

struct HttpResponse {
  int status = 200;
  std::string content_type = {};  // none when empty
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// Answers requests. Called from several threads at once; must outlive the server's last call.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// Whether Handle will take so little time (a fraction of a millisecond) that the I/O thread may do it.
  virtual bool IsCheap(const HttpRequest& request) const = 0;
  /// `deadline`: when the client no longer wants the answer.
  virtual HttpResponse Handle(const HttpRequest& request, Deadline deadline) = 0;
  /// Handle for what may wait without a thread: `done` gets the reply, now or later, on any thread. The request stays
  /// valid until then. The default calls Handle.
  virtual void HandleAsync(const HttpRequest& request, Deadline deadline, std::function<void(HttpResponse)> done) {
    const std::function<void(HttpResponse)> finish = std::move(done);
    finish(Handle(request, deadline));
  }
};

std::string_view HttpReason(int status);  // "OK", "Not Found", …

/// Appends the whole message. Without a body when `head_only` (the length is told all the same).
void AppendHttpResponse(const HttpResponse& response, bool head_only, bool keep_alive, std::string& out);

/// The HTML page for errors that no API answers.
HttpResponse HttpErrorPage(int status);

}  // namespace tenon::serve
