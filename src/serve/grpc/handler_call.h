// One call on its way through GrpcHandler; for the files of its methods.
#pragma once
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "serve/core/guarded.h"
#include "serve/grpc/handler.h"

namespace tenon::serve {

struct GrpcHandler::Call {
  using Clock = std::chrono::steady_clock;
  const Method method;
  const std::string_view request;
  const std::shared_ptr<const void>& owner;
  const Deadline deadline;
  std::string& reply;
  GrpcLater& later;
  const Clock::time_point begun = Clock::now();
  std::string model = {};  // as soon as it is known
};

/// The last steps of a call whose reply comes later. It owns what they need. A call that was left to it is answered:
/// when all that could do so is gone without, its client gets kInternal, and does not wait for ever.
struct GrpcHandler::Tail {
  Tail(const Call& call, std::shared_ptr<const Invoker> in)
      : invoker(std::move(in)),
        method(call.method),
        deadline(call.deadline),
        begun(call.begun),
        model(call.model),
        out(call.later.Make()) {}
  ~Tail();
  Tail(const Tail&) = delete;
  Tail& operator=(const Tail&) = delete;

  const std::shared_ptr<const Invoker> invoker;
  const Method method;
  const Deadline deadline;
  const Call::Clock::time_point begun;
  const std::string model;
  const std::shared_ptr<GrpcReply> out;

  /// Counts the call and sends its reply.
  void End(Status status, std::string reply) const;
  /// From now on the call is not answered otherwise: what GrpcHandler returns says so.
  Outcome Later() const {
    left_ = true;
    return std::nullopt;
  }

 private:
  mutable std::atomic<bool> left_ = false, ended_ = false;
};

template <class Write>
GrpcHandler::Outcome GrpcHandler::RunThen(Call& call, const ServableHandle& handle, const Signature& signature,
                                          std::vector<Literal> inputs, const std::vector<int>& wanted,
                                          const CallKind& kind, Write write) const {
  if (!handle->waits()) {
    TENON_ASSIGN_OR_RETURN(const std::vector<Literal> outputs,
                           invoker_->Run(handle, signature, std::move(inputs), wanted, call.deadline, kind));
    return write(handle, outputs, call.reply);
  }
  const auto tail = std::make_shared<const Tail>(call, invoker_);
  invoker_->RunAsync(handle, signature, std::move(inputs), wanted, {call.deadline, tail->out}, kind,
                     [tail, handle, write = std::move(write)](const Result<std::vector<Literal>>& outputs) {
                       std::string reply;
                       const auto make = [&] { return write(handle, *outputs, reply); };
                       Status status = outputs.ok() ? Guarded(make) : outputs.status();
                       tail->End(std::move(status), std::move(reply));
                     });
  return tail->Later();
}

}  // namespace tenon::serve
