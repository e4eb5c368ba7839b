// Start, drain and end of the transport, and what the server opens this library for.
#include <algorithm>
#include <charconv>
#include <climits>

#include "serve/grpc_transport/call.h"

namespace tenon::serve::grpc_library {

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
  if (options_.budget && options_.budget->limit() > 0)
    builder.SetResourceQuota(
        grpc::ResourceQuota("requests").Resize(static_cast<std::size_t>(options_.budget->limit())));
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

}  // namespace tenon::serve::grpc_library

extern "C" TENON_API tenon::serve::GrpcTransport* tenon_make_grpc_transport(
    int abi, const tenon::serve::GrpcTransportOptions& options, tenon::serve::GrpcService& service) {
  return abi == tenon::serve::kGrpcAbi ? new tenon::serve::grpc_library::Transport(options, service) : nullptr;
}
