// One call on its way through GrpcHandler; for the files of its methods.
#pragma once
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

/// The last steps of a call whose reply comes later. It owns what they need.
struct GrpcHandler::Tail {
  Tail(const Call& call, std::shared_ptr<const Invoker> in)
      : invoker(std::move(in)),
        method(call.method),
        deadline(call.deadline),
        begun(call.begun),
        model(call.model),
        out(call.later.Make()) {}

  const std::shared_ptr<const Invoker> invoker;
  const Method method;
  const Deadline deadline;
  const Call::Clock::time_point begun;
  const std::string model;
  const std::shared_ptr<GrpcReply> out;

  /// Counts the call and sends its reply.
  void End(Status status, std::string reply) const;
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
  auto tail = std::make_shared<const Tail>(call, invoker_);
  const std::shared_ptr<const Waiter> waiter = tail->out;
  invoker_->RunAsync(
      handle, signature, std::move(inputs), wanted, {call.deadline, waiter}, kind,
      [tail = std::move(tail), handle, write = std::move(write)](const Result<std::vector<Literal>>& outputs) {
        std::string reply;
        const auto make = [&] { return write(handle, *outputs, reply); };
        Status status = outputs.ok() ? Guarded(make) : outputs.status();
        tail->End(std::move(status), std::move(reply));
      });
  return std::nullopt;
}

}  // namespace tenon::serve
