#include "serve/grpc_transport/call.h"

#include <utility>

namespace tenon::serve::grpc_library {
namespace {

using Kind = GrpcService::Kind;

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), status.message());
}

/// The address in "ipv4:127.0.0.1:5000", "ipv6:%5B::1%5D:5000" or "ipv6:[::1]:5000"; empty for others.
std::string PeerOf(const grpc::ServerContext& context) {
  const std::string whole = context.peer();
  const std::size_t port = whole.rfind(':');
  if ((!whole.starts_with("ipv4:") && !whole.starts_with("ipv6:")) || port < 5) return {};
  std::string address = whole.substr(5, port - 5);
  for (const std::string_view bracket : {"%5B", "%5D", "[", "]"})
    if (const std::size_t at = address.find(bracket); at != std::string::npos) address.erase(at, bracket.size());
  return address.starts_with("::ffff:") ? address.substr(7) : address;
}

grpc::ByteBuffer ToBuffer(std::string bytes) {
  constexpr std::size_t kCopied = 512;
  if (bytes.size() <= kCopied) {
    const grpc::Slice slice(bytes.data(), bytes.size());
    return grpc::ByteBuffer(&slice, 1);
  }
  auto* const kept = new std::string(std::move(bytes));
  const grpc::Slice slice(kept->data(), kept->size(), [](void* p) { delete static_cast<std::string*>(p); }, kept);
  return grpc::ByteBuffer(&slice, 1);
}

Deadline DeadlineOf(const grpc::ServerContext& context) {
  const gpr_timespec raw = context.raw_deadline();
  if (gpr_time_cmp(raw, gpr_inf_future(raw.clock_type)) == 0) return kNoDeadline;
  const gpr_timespec left =
      gpr_time_sub(gpr_convert_clock_type(raw, GPR_CLOCK_MONOTONIC), gpr_now(GPR_CLOCK_MONOTONIC));
  constexpr std::int64_t kYear = 365 * 24 * 3600;
  if (left.tv_sec > kYear) return kNoDeadline;
  return std::chrono::steady_clock::now() + std::chrono::seconds(left.tv_sec) + std::chrono::nanoseconds(left.tv_nsec);
}

}  // namespace

Call::Call(Transport& transport, grpc::ServerCompletionQueue* queue) : transport_(transport), queue_(queue) {
  context_.AsyncNotifyWhenDone(&done_);
  transport_.generic_.RequestCall(&context_, &stream_, queue_, queue_, &requested_);
}

bool Call::Admit() {
  GrpcService& service = transport_.service_;
  route_ = service.Find(context_.method());
  if (route_.kind == Kind::kUnknown) {
    stream_.Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, ""), Begin(finished_));
    return false;
  }
  if (!service.guarded()) return true;
  const auto& metadata = context_.client_metadata();
  const auto found = metadata.find("authorization");
  const std::string_view value =
      found == metadata.end() ? std::string_view() : std::string_view(found->second.data(), found->second.size());
  const Status status = service.Admit(route_, value, PeerOf(context_));
  if (!status.ok()) stream_.Finish(ToGrpc(status), Begin(finished_));
  return status.ok();
}

void Call::OnRequested(bool ok) {
  if (!ok) {  // the server stops; the done tag does not come
    delete this;
    return;
  }
  transport_.Expect(queue_);
  if (transport_.Draining()) {
    stream_.Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "Request: the server is stopping"), Begin(finished_));
    return;
  }
  if (!Admit()) return;
  if (route_.kind != Kind::kUnary) {
    const std::lock_guard lock(transport_.mutex_);
    transport_.streams_.insert(this);
    if (transport_.draining_) Cancel();
  }
  stream_.Read(&request_, Begin(read_));
}

void Call::OnRead(bool ok) {
  GrpcService& service = transport_.service_;
  if (!ok) {
    // The client is done. A stream ends well; a unary call without a request does not.
    if (route_.kind != Kind::kHealthWatch || watched_.empty())
      stream_.Finish(route_.kind == Kind::kReflection
                         ? grpc::Status::OK
                         : grpc::Status(grpc::StatusCode::INTERNAL, "Request: the call came without a message"),
                     Begin(finished_));
    Release();
    return;
  }
  grpc::Slice slice;
  if (!request_.TrySingleSlice(&slice).ok() && !request_.DumpToSingleSlice(&slice).ok()) {
    stream_.Finish(grpc::Status(grpc::StatusCode::INTERNAL, "Request: cannot be read"), Begin(finished_));
    Release();
    return;
  }
  request_.Clear();
  const std::string_view bytes(reinterpret_cast<const char*>(slice.begin()), slice.size());
  switch (route_.kind) {
    case Kind::kUnary:
      if (service.IsCheap(route_.method, bytes)) {
        Answer(slice);
      } else {
        references_.fetch_add(1, std::memory_order_relaxed);
        const auto run = [this, slice] {
          if (gone_.load(std::memory_order_relaxed))
            Finish(Status(Code::kCancelled, "Request: its client has given up before the model had run"), {});
          else
            Answer(slice);
          Release();
        };
        if (!service.Submit(run)) {
          Finish(Status(Code::kUnavailable, "Request: the server is stopping or has no memory for it"), {});
          Release();
        }
      }
      break;
    case Kind::kHealthCheck: {
      bool serving;
      {
        const std::lock_guard lock(transport_.mutex_);
        serving = transport_.serving_;
      }
      Result<std::string> reply = service.Health(bytes, false, serving);
      if (reply.ok())
        Finish({}, *std::move(reply));
      else
        Finish(reply.status(), {});
      break;
    }
    case Kind::kHealthWatch: {
      if (const Status s = service.Health(bytes, true, false).status(); !s.ok()) {
        Finish(s, {});
        break;
      }
      const std::lock_guard lock(transport_.mutex_);
      watched_ = std::string(bytes) + '\0';  // never empty; the NUL is cut off again
      UpdateWatch();
      break;
    }
    case Kind::kReflection: {
      Result<std::string> reply = service.Reflect(bytes);
      if (reply.ok())
        stream_.Write(ToBuffer(*std::move(reply)), Begin(written_));
      else
        stream_.Finish(ToGrpc(reply.status()), Begin(finished_));
      break;
    }
    case Kind::kUnknown:
      break;
  }
  Release();
}

/// An answer that comes later.
class Call::Reply : public GrpcReply {
 public:
  explicit Reply(Call& call) : call_(call) { call_.references_.fetch_add(1, std::memory_order_relaxed); }
  ~Reply() override { call_.Release(); }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  void Send(const Status& status, std::string reply) override { call_.Finish(status, std::move(reply)); }
  bool gone() const override { return call_.gone_.load(std::memory_order_relaxed); }

 private:
  Call& call_;
};

class Call::Later : public GrpcLater {
 public:
  explicit Later(Call& call) : call_(call) {}
  std::shared_ptr<GrpcReply> Make() override { return std::make_shared<Reply>(call_); }
  std::string_view peer() const override {
    if (!peer_) peer_ = PeerOf(call_.context_);
    return *peer_;
  }

 private:
  Call& call_;
  mutable std::optional<std::string> peer_;
};

void Call::Answer(const grpc::Slice& request) {
  const std::shared_ptr<const void> owner = std::make_shared<const grpc::Slice>(request);
  std::string reply;
  Later later(*this);
  const std::optional<Status> status =
      transport_.service_.Handle(route_.method, {reinterpret_cast<const char*>(request.begin()), request.size()}, owner,
                                 DeadlineOf(context_), reply, later);
  if (status) Finish(*status, std::move(reply));
}

void Call::Finish(const Status& status, std::string reply) {
  if (status.ok())
    stream_.WriteAndFinish(ToBuffer(std::move(reply)), grpc::WriteOptions(), grpc::Status::OK, Begin(finished_));
  else
    stream_.Finish(ToGrpc(status), Begin(finished_));
}

void Call::UpdateWatch() {
  if (watched_.empty() || writing_) return;
  const std::string_view request = std::string_view(watched_).substr(0, watched_.size() - 1);
  Result<std::string> state = transport_.service_.Health(request, true, transport_.serving_);
  if (!state.ok() || *state == sent_) return;
  sent_ = *state;
  writing_ = true;
  stream_.Write(ToBuffer(*std::move(state)), Begin(written_));
}

void Call::OnWritten(bool ok) {
  if (route_.kind == Kind::kReflection) {
    if (ok)
      stream_.Read(&request_, Begin(read_));
    else
      stream_.Finish(grpc::Status::CANCELLED, Begin(finished_));
  } else {
    const std::lock_guard lock(transport_.mutex_);
    writing_ = false;
    if (ok) UpdateWatch();
  }
  Release();
}

void Call::OnDone(bool) {
  gone_.store(true, std::memory_order_relaxed);
  if (route_.kind != Kind::kUnary) {
    const std::lock_guard lock(transport_.mutex_);
    transport_.streams_.erase(this);
    watched_.clear();  // no write may begin any more
  }
  Release();
}

}  // namespace tenon::serve::grpc_library
