// The transport: completion queues, one thread each. A call is requested, read, answered and finished by tags that come
// back on its queue; a cheap unary call runs between its read and its answer on the queue's thread, without a
// hand-over.
#include "serve/grpc/transport.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <climits>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <thread>

namespace tenon::serve {
namespace {

using Kind = GrpcService::Kind;

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), status.message());
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

class Transport;

/// One call, from its request to its end. It deletes itself when no tag of its is under way.
class Call {
 public:
  Call(Transport& transport, grpc::ServerCompletionQueue* queue);
  struct Tag {
    Call* call;
    void (Call::*event)(bool ok);
  };
  void Cancel() { context_.TryCancel(); }
  /// Sends the state of a Watch if it is another than the last one. Under the transport's mutex.
  void UpdateWatch();

 private:
  void OnRequested(bool ok);
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool) { Release(); }
  void OnDone(bool);
  void Answer(const grpc::Slice& request);
  void Finish(const Status& status, std::string reply);
  void Release() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  void* Begin(Tag& tag) {
    references_.fetch_add(1, std::memory_order_relaxed);
    return &tag;
  }
  bool Admit();

  Transport& transport_;
  grpc::ServerCompletionQueue* const queue_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  grpc::ByteBuffer request_;
  GrpcService::Route route_;
  std::atomic<int> references_{1};  // the done tag, and each operation under way
  std::string watched_, sent_;      // of a Watch: the request, the last response
  bool writing_ = false;
  Tag requested_{this, &Call::OnRequested}, read_{this, &Call::OnRead}, written_{this, &Call::OnWritten},
      finished_{this, &Call::OnFinished}, done_{this, &Call::OnDone};
};

class Transport : public GrpcTransport {
 public:
  Transport(const GrpcTransportOptions& options, GrpcService& service) : options_(options), service_(service) {}
  ~Transport() override { Finish(); }

  Status Start() override;
  int port() const override { return port_; }
  void SetServing(bool serving) override {
    const std::lock_guard lock(mutex_);
    serving_ = serving;
    for (Call* call : streams_) call->UpdateWatch();
  }
  void Drain(std::chrono::steady_clock::time_point until) override;
  void Finish() override;

  /// Waits for one more call on the queue. A call that nobody waits for when the server shuts down would be cancelled.
  void Expect(grpc::ServerCompletionQueue* queue) {
    const std::shared_lock lock(expect_mutex_);
    if (!shut_down_) new Call(*this, queue);
  }
  bool Draining() {
    if (!draining_.load(std::memory_order_acquire)) return false;
    last_refused_ = std::chrono::steady_clock::now().time_since_epoch().count();
    return true;
  }

  const GrpcTransportOptions options_;
  GrpcService& service_;
  grpc::AsyncGenericService generic_;
  std::mutex mutex_;
  std::set<Call*> streams_;  // calls that last: watches and reflection
  bool serving_ = false;
  std::atomic<bool> draining_{false};
  std::shared_mutex expect_mutex_;  // the library takes no call for a queue that is shut down: it ends the process
  bool shut_down_ = false;          // guarded by expect_mutex_
  std::atomic<std::chrono::steady_clock::rep> last_refused_{0};

 private:
  Status Configure(grpc::ServerBuilder& builder, std::vector<int>& ports) const;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues_;
  std::vector<std::thread> threads_;
  int port_ = 0;
};

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
  if (service.Allowed(route_, value)) return true;
  stream_.Finish(grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "Request: a valid bearer token is needed"),
                 Begin(finished_));
  return false;
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
          Answer(slice);
          Release();
        };
        if (!service.Submit(run)) {
          Finish(Status(Code::kUnavailable, "Request: the server is stopping"), {});
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

void Call::Answer(const grpc::Slice& request) {
  const std::shared_ptr<const void> owner = std::make_shared<const grpc::Slice>(request);
  std::string reply;
  const Status status =
      transport_.service_.Handle(route_.method, {reinterpret_cast<const char*>(request.begin()), request.size()}, owner,
                                 DeadlineOf(context_), reply);
  Finish(status, std::move(reply));
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
  if (route_.kind != Kind::kUnary) {
    const std::lock_guard lock(transport_.mutex_);
    transport_.streams_.erase(this);
    watched_.clear();  // no write may begin any more
  }
  Release();
}

Status Transport::Configure(grpc::ServerBuilder& builder, std::vector<int>& ports) const {
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (options_.tls) {
    const Tls& tls = *options_.tls;
    grpc::SslServerCredentialsOptions ssl(tls.verify_client ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                            : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    ssl.force_client_auth = tls.verify_client;
    ssl.pem_root_certs = tls.client_ca;
    ssl.pem_key_cert_pairs.push_back({tls.key, tls.certificate});
    credentials = grpc::SslServerCredentials(ssl);
    if (credentials == nullptr) return Status(Code::kInvalidArgument, "gRPC: tls: the key or the certificate is wrong");
  }
  ports.assign(options_.addresses.size() + 1, 0);
  for (std::size_t i = 0; i < options_.addresses.size(); ++i)
    builder.AddListeningPort(options_.addresses[i], credentials, &ports[i]);
  if (!options_.socket_path.empty())
    builder.AddListeningPort("unix:" + options_.socket_path, grpc::InsecureServerCredentials(), &ports.back());
  const int limit = options_.max_message_bytes < 0 || options_.max_message_bytes > INT_MAX
                        ? INT_MAX
                        : static_cast<int>(options_.max_message_bytes);
  builder.SetMaxReceiveMessageSize(limit);
  builder.SetMaxSendMessageSize(INT_MAX);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a port in use is an error
  for (const auto& [key, value] : options_.channel_arguments) {
    int number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc() && end == value.data() + value.size())
      builder.AddChannelArgument(key, number);
    else
      builder.AddChannelArgument(key, value);
  }
  return {};
}

Status Transport::Start() {
  grpc::EnableDefaultHealthCheckService(false);
  grpc::ServerBuilder builder;
  std::vector<int> ports;
  if (Status s = Configure(builder, ports); !s.ok()) return s;
  builder.RegisterAsyncGenericService(&generic_);
  for (int i = 0; i < options_.io_threads; ++i) queues_.push_back(builder.AddCompletionQueue());
  server_ = builder.BuildAndStart();
  std::string missing;
  for (std::size_t i = 0; i < options_.addresses.size(); ++i)
    if (server_ == nullptr || ports[i] == 0) missing += (missing.empty() ? "" : ", ") + options_.addresses[i];
  if (!options_.socket_path.empty() && (server_ == nullptr || ports.back() == 0))
    missing += (missing.empty() ? "" : ", ") + options_.socket_path;
  if (server_ == nullptr || !missing.empty())
    return Status(Code::kUnavailable, "gRPC: cannot listen on " + missing +
                                          ": the address is in use or not of this machine, or the key and the "
                                          "certificate do not belong together");
  if (!options_.addresses.empty()) port_ = ports[0];
  for (const auto& queue : queues_) {
    constexpr int kExpected = 8;  // calls that a queue can take at once before its thread has to look
    for (int i = 0; i < kExpected; ++i) Expect(queue.get());
    threads_.emplace_back([q = queue.get()] {
      void* tag = nullptr;
      bool ok = false;
      while (q->Next(&tag, &ok)) {
        const auto* t = static_cast<Call::Tag*>(tag);
        (t->call->*t->event)(ok);
      }
    });
  }
  return {};
}

void Transport::Drain(std::chrono::steady_clock::time_point until) {
  {
    const std::lock_guard lock(mutex_);
    if (draining_.exchange(true) || server_ == nullptr) return;
    for (Call* call : streams_) call->Cancel();
  }
  // The library cancels calls that are on their way when it shuts down. Clients that go on calling are told first that
  // the server is not available, which they can act on, until for a moment none does.
  using Clock = std::chrono::steady_clock;
  constexpr auto kQuiet = std::chrono::milliseconds(50), kLongest = std::chrono::milliseconds(1000);
  const Clock::time_point begun = Clock::now();
  last_refused_ = begun.time_since_epoch().count();
  while (Clock::now() < std::min(until, begun + kLongest) &&
         Clock::now().time_since_epoch() - Clock::duration(last_refused_.load()) < kQuiet)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  server_->Shutdown(std::chrono::system_clock::now() + (until - std::chrono::steady_clock::now()));
}

void Transport::Finish() {
  Drain(std::chrono::steady_clock::now());
  {
    const std::lock_guard lock(expect_mutex_);
    shut_down_ = true;
  }
  for (const auto& queue : queues_) queue->Shutdown();
  for (std::thread& thread : threads_) thread.join();
  if (threads_.empty()) {
    void* tag = nullptr;
    bool ok = false;
    for (const auto& queue : queues_)
      while (queue->Next(&tag, &ok)) {
      }
  }
  threads_.clear();
  server_.reset();
  queues_.clear();
}

}  // namespace
}  // namespace tenon::serve

extern "C" TENON_API tenon::serve::GrpcTransport* tenon_make_grpc_transport(
    int abi, const tenon::serve::GrpcTransportOptions& options, tenon::serve::GrpcService& service) {
  return abi == tenon::serve::kGrpcAbi ? new tenon::serve::Transport(options, service) : nullptr;
}
