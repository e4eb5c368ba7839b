// GrpcHandler: the methods of the gRPC services, from the bytes of a request to the bytes of a reply. It knows no gRPC.
#pragma once
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serve/core/invoker.h"
#include "serve/core/manager.h"
#include "serve/core/model_admin.h"
#include "serve/grpc/profiler.h"
#include "serve/grpc/tensor_writer.h"

namespace tenon::serve {

struct GrpcHandlerOptions {
  bool tensor_content = false;           // Predict replies use tensor_content
  bool check_method = false;             // a signature's method_name must be that of the call
  bool profiler = true;                  // the methods of ProfilerService are there
  std::chrono::microseconds cheap{250};  // a model whose recent requests took less runs on the I/O thread
};

/// Unary methods only. Thread-safe.
class GrpcHandler {
 public:
  /// `admin` may be null: HandleReloadConfigRequest is then UNIMPLEMENTED. It must outlive the handler.
  GrpcHandler(GrpcHandlerOptions options, std::shared_ptr<const Manager> manager,
              std::shared_ptr<const Invoker> invoker, ModelAdmin* admin)
      : options_(options), manager_(std::move(manager)), invoker_(std::move(invoker)), admin_(admin) {}

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

  /// Whether Handle returns soon: it may then run on a thread that has other clients to serve.
  bool IsCheap(Method method, std::string_view request) const;

  /// Appends the reply to `reply`, which is unspecified on an error. Large tensors are not copied out of `request`:
  /// `owner` keeps it alive. Never throws; messages are at most 1024 bytes and "...TRUNCATED".
  Status Handle(Method method, std::string_view request, const std::shared_ptr<const void>& owner, Deadline deadline,
                std::string& reply) const;

  /// Ends requests that only wait (Profile), for good.
  void StopWaiting() const { profiler_.Stop(); }

 private:
  Status Predict(std::string_view request, const std::shared_ptr<const void>& owner, Deadline deadline,
                 std::string& reply, std::string& model) const;
  Status ClassifyOrRegress(bool classify, std::string_view request, Deadline deadline, std::string& reply,
                           std::string& model) const;
  Status MultiInference(std::string_view request, Deadline deadline, std::string& reply) const;
  Status GetModelMetadata(std::string_view request, std::string& reply) const;
  Status GetModelStatus(std::string_view request, std::string& reply) const;
  Status ReloadConfig(std::string_view request, std::string& reply) const;
  Status SessionRun(std::string_view request, const std::shared_ptr<const void>& owner, Deadline deadline,
                    std::string& reply) const;
  Status Dispatch(Method method, std::string_view request, const std::shared_ptr<const void>& owner, Deadline deadline,
                  std::string& reply) const;

  const GrpcHandlerOptions options_;
  const std::shared_ptr<const Manager> manager_;
  const std::shared_ptr<const Invoker> invoker_;
  ModelAdmin* const admin_;
  mutable rpc::Profiler profiler_;
};

}  // namespace tenon::serve
