#include "serve/grpc/profiler.h"

#include <algorithm>

#include "base/status_macros.h"
#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"
#include "serve/core/guarded.h"
#include "serve/grpc/xspace.h"

namespace tenon::serve::rpc {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kLongest = 3'600'000;  // ms
constexpr std::size_t kRemembered = 1024;

constexpr auto kLook = std::chrono::milliseconds(100);  // between two looks whether the client is still there

}  // namespace

Status Profiler::Parse(std::string_view bytes, Session* session) {
  const Place place("ProfileRequest", bytes);
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&session->milliseconds);
    if (reader.number() == 6) reader.Get(&session->name);
    if (reader.number() == 7) reader.Get(&session->host);
    if (reader.number() == 9) reader.Get(&session->emit_xspace);
    if (reader.number() != 4) continue;
    const Place at(place, "opts");
    Reader options(reader.bytes(), at);
    while (options.Next())
      if (options.number() == 9) options.Get(&session->milliseconds);
    TENON_RETURN_IF_ERROR(options.status());
  }
  return reader.status();
}

Profiler::~Profiler() {
  Stop();
  threads_.clear();  // joins
}

Status Profiler::Profile(std::string_view bytes, Patience patience, Done done) {
  Session session;
  TENON_RETURN_IF_ERROR(Parse(bytes, &session));
  const std::lock_guard lock(mutex_);
  std::erase_if(threads_, [&](const std::jthread& t) { return std::erase(over_, t.get_id()) > 0; });  // joins
  if (waiting_ == kMost)
    return Status(Code::kResourceExhausted, "Profile: " + std::to_string(kMost) + " sessions are under way already");
  threads_.emplace_back([this, session = std::move(session), patience = std::move(patience), done = std::move(done)] {
    Result<std::string> reply = Guarded([&] { return Run(session, patience); });
    {
      const std::lock_guard own(mutex_);
      --waiting_;
      over_.push_back(std::this_thread::get_id());
    }
    if (reply.ok())
      done({}, *std::move(reply));
    else
      done(reply.status(), {});
  });
  ++waiting_;
  return {};
}

Result<std::string> Profiler::Run(const Session& session, const Patience& patience) {
  const Tracer::Recording recording(tracer_);
  const auto wait = std::chrono::milliseconds(std::clamp<std::int64_t>(session.milliseconds, 0, kLongest));
  const Clock::time_point end = Clock::now() + wait, until = std::min(end, patience.deadline);
  {
    std::unique_lock lock(mutex_);
    bool ended = false;
    const auto over = [&] {
      ended = ended || ended_.erase(session.name) > 0;
      return ended || stopped_;
    };
    while (!over() && Clock::now() < until) {
      if (patience.waiter && patience.waiter->gone())
        return Status(Code::kCancelled, "Profile: its client has given up");
      changed_.wait_until(lock, std::min(until, Clock::now() + kLook));
    }
    if (stopped_) return Status(Code::kCancelled, "Profile: the server stops");
    if (!ended && until < end) return Status(Code::kDeadlineExceeded, "Deadline Exceeded");
  }
  std::int64_t dropped = 0;
  const std::vector<Span> spans = recording.Take(&dropped);
  proto_wire::Writer writer;
  if (spans.empty()) {
    writer.Varint(7, 1);
    return std::move(writer).Take();
  }
  const std::string space = XSpaceOf(spans, recording.begun(), dropped, session.host);
  if (session.emit_xspace)
    writer.Bytes(8, space);
  else
    writer.Message(6, [&] {
      writer.Bytes(1, "xplane.pb");
      writer.Bytes(2, space);
    });
  return std::move(writer).Take();
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
