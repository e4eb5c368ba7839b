#include "serve/rest/http_connection.h"

#include <algorithm>
#include <cerrno>
#include <exception>

#include "base/give_back.h"
#include "base/log.h"
#include "serve/rest/peer.h"
#include "serve/rest/predict_response.h"

namespace tenon::serve {
namespace {

/// A body that could never be held is refused as soon as its size is known.
HttpLimits WithinBudget(const HttpServerOptions& options) {
  HttpLimits limits = options.limits;
  if (options.budget) limits.body_bytes = std::min(limits.body_bytes, options.budget->most());
  return limits;
}

void LogFailure(const std::exception& error) {
  base::Log(base::LogLevel::kWarning, std::string("HTTP server: a request could not be answered: ") + error.what());
}

}  // namespace

HttpConnection::HttpConnection(Socket socket, ConnectionOwner& owner, const HttpServerOptions& options,
                               HttpHandler& handler)
    : socket_(std::move(socket)),
      owner_(owner),
      options_(options),
      handler_(handler),
      peer_(PeerOf(socket_.fd())),
      parser_(WithinBudget(options)),
      counted_(options.budget.get()) {
  parser_.SetPeer(peer_);
  done_ = socket_.fd() < 0;
}

void HttpConnection::Want(bool read, bool write) {
  if (read == reading_ && write == writing_) return;
  reading_ = read;
  writing_ = write;
  owner_.Watch(*this, read, write);
}

void HttpConnection::Readable(Clock::time_point now, std::string& scratch) {
  now_ = now;
  if (done_) return;
  if (busy_ || output_full()) {  // bytes wait in the kernel until there is room for them
    Want(false, writing_);
    return;
  }
  const bool direct = !in_.empty();  // the rest of a request: behind what is there
  const std::size_t old = in_.size();
  if (direct) {
    const std::size_t more = std::min<std::size_t>(std::max<std::size_t>(old, 16 << 10), 1 << 20);
    if (!lingering_ && !MakeRoom(old + more)) return AfterProgress();
    in_.resize(old + more);
  }
  char* const to = direct ? in_.data() + old : scratch.data();
  const ssize_t n = socket_.Read(to, direct ? in_.size() - old : scratch.size());
  if (direct) in_.resize(old + static_cast<std::size_t>(n > 0 ? n : 0));
  if (n < 0) {
    if (Socket::Failed()) done_ = true;
    if (socket_.wants_write()) Want(reading_, true);
    return;
  }
  progress_ = now;
  used_ = true;
  if (n == 0) eof_ = true;
  if (lingering_) {
    base::GiveBack(in_);
    done_ = eof_;
    return;
  }
  if (!parser_.in_request()) begun_ = now;
  received_ += static_cast<std::size_t>(n);
  if (direct)
    Process(std::string_view(in_).substr(in_at_), true);
  else
    Process({scratch.data(), static_cast<std::size_t>(n)}, false);
  AfterProgress();
}

void HttpConnection::Process(std::string_view input, bool stored) {
  std::size_t used = 0;
  while (!busy_ && !closing_ && !output_full()) {
    const HttpParser::State state = parser_.Parse(input.substr(used));
    if (state == HttpParser::State::kMore) {
      if (parser_.TakeContinue()) out_ += "HTTP/1.1 100 Continue\r\n\r\n";
      break;
    }
    if (state == HttpParser::State::kError) {
      RefuseUnread();
      break;
    }
    deadline_ = now_ + options_.request_timeout;
    const Effort effort = handler_.EffortOf(parser_.request());
    if (effort == Effort::kLong) {
      // The worker reads the request where it lies: it must lie in a place of its own.
      if (!stored) {
        if (!MayKeep(input.size() - used)) break;
        in_.assign(input.substr(used));
        CountInput();
        in_at_ = used = 0;
        stored = true;
        input = in_;
        parser_.Moved(input);
      }
      in_at_ += used;
      held_ = parser_.consumed();
      busy_ = owner_.Offload(shared_from_this());
      if (busy_) return;
      RefuseForNow("Request: the server has no memory or no thread to answer it; try again");
      break;
    }
    if (effort == Effort::kJoins) {
      used += parser_.consumed();
      held_ = 0;
      busy_ = joining_ = true;
      parser_.KeepHead(head_);  // before another thread may read it
      owner_.Join(shared_from_this());
      joining_ = false;
      continue;
    }
    const HttpRequest& request = parser_.request();
    Answer(HandleSafely(request), request.method == "HEAD", request.keep_alive);
    used += parser_.consumed();
    parser_.Next();
    begun_ = now_;
    received_ = 0;
  }
  stalled_ = !closing_ && output_full();
  if (closing_ || (!stored && !busy_ && used < input.size() && !MayKeep(input.size() - used))) {
    base::GiveBack(in_);  // nothing more of it is read
    in_at_ = 0;
  } else if (!stored) {
    in_.assign(input.substr(used));
    in_at_ = 0;
  } else if (used > 0) {
    in_at_ += used;
    if (in_at_ == in_.size() || in_at_ > (64 << 10)) {
      in_.erase(0, in_at_);
      in_at_ = 0;
    }
  }
  if (in_.empty() && in_.capacity() > 4096) base::GiveBack(in_);
  CountInput();
}

void HttpConnection::RefuseUnread() {
  const int status = parser_.error_status();
  if (status != 413 || !options_.budget || options_.limits.body_bytes <= options_.budget->most()) return Refuse(status);
  HttpResponse response{.status = status, .content_type = "application/json"};
  WriteErrorResponse(options_.budget->RefuseForEver().message(), response.body);
  Answer(response, false, false);
}

bool HttpConnection::MakeRoom(std::size_t size) {
  if (size <= in_.capacity()) return true;
  const std::size_t room = std::max(size, std::min(2 * in_.size(), parser_.expected()));
  if (!MayKeep(room - in_.capacity())) return false;
  std::string larger;  // as large as was asked for: a string that grows takes twice what it had
  larger.reserve(room);
  larger = in_;
  in_.swap(larger);
  CountInput();
  return true;
}

bool HttpConnection::MayKeep(std::size_t bytes) {
  const std::size_t total = std::max(in_.size() + bytes, parser_.expected());
  if (!options_.budget || options_.budget->Admits(total, bytes)) return true;
  RefuseForNow(options_.budget->Refuse().message());
  return false;
}

void HttpConnection::RefuseForNow(std::string_view message) {
  base::GiveBack(in_);
  in_at_ = held_ = 0;
  parser_.Next();
  CountInput();
  HttpResponse response{.status = 503, .content_type = "application/json", .headers = {{"Retry-After", "1"}}};
  WriteErrorResponse(message, response.body);
  Answer(response, false, false);
}

void HttpConnection::Answer(const HttpResponse& response, bool head_only, bool keep_alive) {
  closing_ |= !keep_alive || draining_ || owner_.ending();
  AppendHttpResponse(response, head_only, !closing_, out_);
}

HttpResponse HttpConnection::HandleSafely(const HttpRequest& request) {
  try {
    return handler_.Handle(request, deadline_);
  } catch (const std::exception& error) {
    LogFailure(error);
    return HttpErrorPage(500);
  }
}

/// Makes the reply of one request. Dropped without having been called it answers with 500, so that no client waits for
/// ever for what a handler could not finish.
class HttpConnection::Answering {
 public:
  Answering(HttpConnection& connection, base::UniqueFunction<void(Reply)> done)
      : connection_(connection),
        head_only_(connection.parser_.request().method == "HEAD"),
        keep_alive_(connection.parser_.request().keep_alive),
        done_(std::move(done)) {}
  Answering(Answering&&) = default;
  ~Answering() {
    try {
      if (done_) (*this)(HttpErrorPage(500));
    } catch (const std::exception& error) {
      LogFailure(error);
    }
  }
  void operator()(const HttpResponse& response) {
    Reply reply{.last = !keep_alive_ || connection_.owner_.ending()};
    AppendHttpResponse(response, head_only_, !reply.last, reply.bytes);
    base::UniqueFunction<void(Reply)> done = std::move(done_);
    done(std::move(reply));
  }

 private:
  HttpConnection& connection_;  // stays until it has its reply
  bool head_only_, keep_alive_;
  base::UniqueFunction<void(Reply)> done_;
};

void HttpConnection::Work(base::UniqueFunction<void(Reply)> done) {
  if (presence_->gone()) return done({});
  Answering answering(*this, std::move(done));
  try {
    handler_.HandleAsync(parser_.request(), {deadline_, presence_}, std::move(answering));
  } catch (const std::exception& error) {
    LogFailure(error);
  }
}

void HttpConnection::Joined(Reply reply) {
  progress_ = begun_ = now_;
  busy_ = false;
  received_ = 0;
  closing_ |= reply.last;
  parser_.Next();
  if (out_.empty())
    out_ = std::move(reply.bytes);
  else
    out_ += reply.bytes;
}

void HttpConnection::Letters::Add(const std::shared_ptr<HttpConnection>& connection, Reply reply) {
  connection->arrived_ = std::move(reply);
  (last_ == nullptr ? first_ : last_->next_) = connection;
  last_ = connection.get();
}

std::shared_ptr<HttpConnection> HttpConnection::Letters::Take() {
  std::shared_ptr<HttpConnection> first = std::move(first_);
  if (first) first_ = std::move(first->next_);
  if (!first_) last_ = nullptr;
  return first;
}

void HttpConnection::Finished(Clock::time_point now) {
  now_ = now;
  Joined(std::exchange(arrived_, {}));
  in_at_ += held_;
  if (in_at_ == in_.size()) {
    base::GiveBack(in_);
    in_at_ = 0;
  } else if (in_at_ > (64 << 10)) {
    in_.erase(0, in_at_);
    in_at_ = 0;
  }
  CountInput();
  if (done_) return;
  if (!in_.empty()) Process(std::string_view(in_).substr(in_at_), true);
  AfterProgress();
}

/// Sends, and asks for the events that can bring the connection further.
void HttpConnection::AfterProgress() {
  for (;;) {
    Flush();
    if (done_) return;
    if (!stalled_ || busy_ || output_full()) break;
    Process(std::string_view(in_).substr(in_at_), true);  // requests that waited for room
  }
  if (eof_ && !busy_ && !stalled_) closing_ = true;  // nothing complete is left
  const bool pending = out_at_ < out_.size();
  if (closing_ && !pending && !busy_) {
    if (eof_) {
      done_ = true;
      return;
    }
    Linger();
  }
  Want(lingering_ || (!busy_ && !eof_ && !closing_ && !output_full()) || (busy_ && reading_), pending);
}

void HttpConnection::Flush() {
  while (out_at_ < out_.size()) {
    const ssize_t n = socket_.Write(out_.data() + out_at_, out_.size() - out_at_);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (Socket::Failed()) Broken();
      return;
    }
    out_at_ += static_cast<std::size_t>(n);
    progress_ = now_;
  }
  out_at_ = 0;
  uptake_.Rest();
  if (out_.capacity() > (64 << 10)) base::GiveBack(out_);
  out_.clear();
}

void HttpConnection::Writable(Clock::time_point now) {
  now_ = now;
  if (done_) return;
  AfterProgress();
}

void HttpConnection::Tick(Clock::time_point now) {
  now_ = now;
  if (done_ || busy_) return;
  const auto quiet = now - progress_;
  if (lingering_) {
    done_ = quiet > std::chrono::milliseconds(draining_ ? 200 : 2000) || now - begun_ > options_.write_timeout;
  } else if (out_at_ < out_.size()) {
    if (!uptake_.GoesOn(socket_, now, options_.write_timeout, options_.least_rate)) Broken();
  } else if (parser_.in_request()) {
    const auto since = now - begun_;
    const auto seconds = static_cast<std::size_t>(std::chrono::duration_cast<std::chrono::seconds>(since).count());
    const bool slow = parser_.head_done() ? quiet > options_.read_timeout || (since > options_.read_timeout &&
                                                                              received_ < seconds * options_.least_rate)
                                          : since > options_.read_timeout;
    if (slow) {
      Refuse(408);
      AfterProgress();
    }
  } else {
    done_ = quiet > (draining_ ? std::chrono::milliseconds(200) : options_.idle_timeout);
  }
}

void HttpConnection::Linger() {
  lingering_ = true;
  begun_ = now_;  // a client that goes on sending is not read for ever
  socket_.ShutDown();
}

void HttpConnection::Drain(Clock::time_point now, std::string& scratch) {
  if (done_) return;
  draining_ = true;
  if (!busy_ && reading_) Readable(now, scratch);
  if (done_ || busy_ || lingering_ || !used_ || parser_.in_request() || out_at_ < out_.size()) return;
  progress_ = now;
  Linger();
}

}  // namespace tenon::serve
