// The transport of the gRPC library: completion queues, one thread each. A call is requested, read, answered and
// finished by tags that come back on its queue; a cheap unary call runs between its read and its answer on the queue's
// thread, without a hand-over.
#pragma once
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "serve/grpc/transport.h"

namespace tenon::serve::grpc_library {

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
  class Reply;
  class Later;
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
  std::atomic<int> references_{1};  // the done tag, each operation and each answer under way
  std::string watched_, sent_;      // of a Watch: the request, the last response
  bool writing_ = false;
  std::atomic<bool> gone_{false};  // it has ended: nobody reads an answer
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

}  // namespace tenon::serve::grpc_library
