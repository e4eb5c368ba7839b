// GrpcHandler: the methods of the gRPC services, from the bytes of a request to the bytes of a reply. It knows no gRPC.
#pragma once
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serve/core/byte_budget.h"
#include "serve/core/invoker.h"
#include "serve/core/manager.h"
#include "serve/core/model_admin.h"
#include "serve/grpc/later.h"
#include "serve/grpc/profiler.h"
#include "serve/grpc/tensor_writer.h"

namespace tenon::serve {

struct GrpcHandlerOptions {
  bool tensor_content = false;                  // Predict replies use tensor_content
  bool check_method = false;                    // a signature's method_name must be that of the call
  bool profiler = true;                         // the methods of ProfilerService are there
  std::chrono::microseconds cheap = kShortRun;  // a model whose recent requests took less runs on the I/O thread
  std::shared_ptr<ByteBudget> budget = {};      // of tensors that take far more memory than their requests
};

/// Unary methods only. Thread-safe.
class GrpcHandler {
 public:
  /// `admin` may be null: HandleReloadConfigRequest is then UNIMPLEMENTED. It must outlive the handler.
  GrpcHandler(GrpcHandlerOptions options, std::shared_ptr<const Manager> manager,
              std::shared_ptr<const Invoker> invoker, ModelAdmin* admin)
      : options_(options),
        manager_(std::move(manager)),
        invoker_(std::move(invoker)),
        admin_(admin),
        profiler_(invoker_->metrics().tracer) {}

  enum class Method {
    kPredict,
    kClassify,
    kRegress,
    kMultiInference,
    kGetModelMetadata,
    kGetModelStatus,
    kReloadConfig,
    kSessionRun,
    kProfile,
    kTerminate,
    kMonitor
  };
  /// "/tensorflow.serving.PredictionService/Predict", …; nullopt for a method that there is not.
  static std::optional<Method> MethodOf(std::string_view path);
  static std::string_view PathOf(Method method);

  /// Whether Handle returns soon: it may then run on a thread that has other clients to serve. Requests to a servable
  /// that waits are queued, or kept for the thread's BatchRound.
  bool IsCheap(Method method, std::string_view request) const;

  /// Appends the reply to `reply`, which is unspecified on an error; or (nullopt) gives it to what `later` makes, maybe
  /// before this returns: when the servable waits. Large tensors are not copied out of `request`: `owner` keeps it
  /// alive. Never throws; messages are at most 1024 bytes and "...TRUNCATED". The handler may go before the reply
  /// comes.
  std::optional<Status> Handle(Method method, std::string_view request, const std::shared_ptr<const void>& owner,
                               Deadline deadline, std::string& reply, GrpcLater& later) const;

  /// Ends requests that only wait (Profile), for good.
  void StopWaiting() const { profiler_.Stop(); }

 private:
  struct Call;                            // one call on its way through Handle
  struct Tail;                            // its end, when the reply comes later
  using Outcome = std::optional<Status>;  // of a method; none: the reply comes later
  Outcome Predict(Call& call) const;
  Outcome ClassifyOrRegress(Call& call, bool classify) const;
  Outcome MultiInference(Call& call) const;
  Outcome SessionRun(Call& call) const;
  Outcome Profile(Call& call) const;
  Status GetModelMetadata(std::string_view request, std::string& reply) const;
  Status GetModelStatus(std::string_view request, std::string& reply) const;
  Status ReloadConfig(std::string_view request, std::string& reply) const;
  Outcome Dispatch(Call& call) const;
  /// Has `write(handle, outputs, reply)` make the reply of a run: at once, or when a servable that waits is done.
  template <class Write>
  Outcome RunThen(Call& call, const ServableHandle& handle, const Signature& signature, std::vector<Literal> inputs,
                  const std::vector<int>& wanted, const CallKind& kind, Write write) const;

  const GrpcHandlerOptions options_;
  const std::shared_ptr<const Manager> manager_;
  const std::shared_ptr<const Invoker> invoker_;
  ModelAdmin* const admin_;
  mutable rpc::Profiler profiler_;
};

}  // namespace tenon::serve
