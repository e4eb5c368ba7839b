// How a call is answered when its reply is not there yet as its method returns.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "serve/core/servable.h"
#include "tenon/status.h"

namespace tenon::serve {

/// Takes the reply of one call, on any thread. One that dies without a reply answers nothing: its maker does then.
/// As a waiter it is gone when the client has cancelled the call, or is gone itself.
class GrpcReply : public Waiter {
 public:
  /// Once, or again after it threw (there was no memory for that reply). A client that is gone by now gets nothing.
  virtual void Send(const Status& status, std::string reply) = 0;
};

/// Given with each call; lives until its method returns.
class GrpcLater {
 public:
  virtual ~GrpcLater() = default;
  /// The call's reply comes by what this makes. At most once.
  virtual std::shared_ptr<GrpcReply> Make() = 0;
  /// The client's address as text, without its port; empty when unknown (a unix socket).
  virtual std::string_view peer() const { return {}; }
};

}  // namespace tenon::serve
