#include "serve/grpc/profiler.h"

#include <algorithm>

#include "base/status_macros.h"
#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"

namespace tenon::serve::rpc {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kLongest = 3'600'000;  // ms
constexpr std::size_t kRemembered = 1024;

struct Request {
  std::int64_t milliseconds = 0;
  std::string session;
};

Status Parse(std::string_view bytes, Request* request) {
  const Place place("ProfileRequest", bytes);
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 6) reader.Get(&request->session);
    if (reader.number() != 4) continue;
    const Place at(place, "opts");
    Reader options(reader.bytes(), at);
    while (options.Next())
      if (options.number() == 9) options.Get(&request->milliseconds);
    TENON_RETURN_IF_ERROR(options.status());
  }
  return reader.status();
}

}  // namespace

Status Profiler::Profile(std::string_view bytes, Deadline deadline, std::string& reply) {
  Request request;
  TENON_RETURN_IF_ERROR(Parse(bytes, &request));
  const auto wait = std::chrono::milliseconds(std::clamp<std::int64_t>(request.milliseconds, 0, kLongest));
  const Clock::time_point end = Clock::now() + wait, until = std::min(end, deadline);
  std::unique_lock lock(mutex_);
  if (waiting_ == kMost)
    return Status(Code::kResourceExhausted, "Profile: " + std::to_string(kMost) + " sessions are under way already");
  ++waiting_;
  bool ended = false;
  changed_.wait_until(lock, until, [&] {
    ended = ended_.erase(request.session) > 0;
    return ended || stopped_;
  });
  --waiting_;
  if (stopped_) return Status(Code::kCancelled, "Profile: the server stops");
  if (!ended && until < end) return Status(Code::kDeadlineExceeded, "Deadline Exceeded");
  proto_wire::Writer writer;
  writer.Varint(7, 1);
  reply = std::move(writer).Take();
  return {};
}

Status Profiler::Terminate(std::string_view bytes) {
  std::string session;
  const Place place("TerminateRequest", bytes);
  Reader reader(bytes, place);
  while (reader.Next())
    if (reader.number() == 1) reader.Get(&session);
  TENON_RETURN_IF_ERROR(reader.status());
  const std::lock_guard lock(mutex_);
  if (ended_.size() >= kRemembered) ended_.clear();
  ended_.insert(std::move(session));
  changed_.notify_all();
  return {};
}

void Profiler::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace tenon::serve::rpc
