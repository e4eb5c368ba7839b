// Replies of the HTTP front, and who makes them.
#pragma once
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/unique_function.h"
#include "serve/core/servable.h"
#include "serve/rest/http_parser.h"

namespace tenon::serve {

struct HttpResponse {
  int status = 200;
  std::string_view content_type = {};  // a text that stays; none when empty
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// Takes the reply of one request: it is called once. Dropped without that it answers 500, so that no client waits for
/// ever for what a handler could not finish. Any thread.
class ReplyTo {
 public:
  template <class Take>
    requires(!std::is_same_v<std::remove_cvref_t<Take>, ReplyTo>)
  ReplyTo(Take&& take) : take_(std::forward<Take>(take)) {}
  ReplyTo(ReplyTo&&) = default;
  ReplyTo& operator=(ReplyTo&&) = delete;
  ~ReplyTo();
  void operator()(HttpResponse response) {
    base::UniqueFunction<void(HttpResponse)> take = std::move(take_);
    take(std::move(response));
  }

 private:
  base::UniqueFunction<void(HttpResponse)> take_;
};

/// How an I/O thread is to answer a request.
enum class Effort {
  kShort,  // Handle, here: a fraction of a millisecond
  kJoins,  // HandleAsync, here, within a BatchRound: as short, but done later
  kLong,   // HandleAsync on another thread
};

/// Answers requests. Called from several threads at once; must outlive the server's last call.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual Effort EffortOf(const HttpRequest& request) const = 0;
  /// `deadline`: when the client no longer wants the answer.
  virtual HttpResponse Handle(const HttpRequest& request, Deadline deadline) = 0;
  /// Handle for what may wait without a thread: `done` gets the reply, now or later, on any thread. The request stays
  /// valid until then, but for its body, which ends with the call where it joins. Where the waiter is gone any reply
  /// will do: nobody gets it. The default calls Handle.
  using Done = ReplyTo;
  // NOLINTNEXTLINE(performance-unnecessary-value-param): overrides move from it
  virtual void HandleAsync(const HttpRequest& request, Patience patience, Done done) {
    done(Handle(request, patience.deadline));
  }
};

std::string_view HttpReason(int status);  // "OK", "Not Found", …

/// Appends the whole message. Without a body when `head_only` (the length is told all the same).
void AppendHttpResponse(const HttpResponse& response, bool head_only, bool keep_alive, std::string& out);

/// The HTML page for errors that no API answers.
HttpResponse HttpErrorPage(int status);

}  // namespace tenon::serve
