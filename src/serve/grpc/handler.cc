#include "serve/grpc/handler.h"

#include <exception>
#include <new>
#include <utility>

#include "serve/grpc/model_spec.h"

namespace tenon::serve {
namespace {

using Clock = std::chrono::steady_clock;
using Method = GrpcHandler::Method;

constexpr std::size_t kCheapRequest = 1 << 20;
constexpr std::size_t kMaxMessage = 1024;

constexpr std::pair<std::string_view, Method> kMethods[] = {
    {"/tensorflow.serving.PredictionService/Predict", Method::kPredict},
    {"/tensorflow.serving.PredictionService/Classify", Method::kClassify},
    {"/tensorflow.serving.PredictionService/Regress", Method::kRegress},
    {"/tensorflow.serving.PredictionService/MultiInference", Method::kMultiInference},
    {"/tensorflow.serving.PredictionService/GetModelMetadata", Method::kGetModelMetadata},
    {"/tensorflow.serving.ModelService/GetModelStatus", Method::kGetModelStatus},
    {"/tensorflow.serving.ModelService/HandleReloadConfigRequest", Method::kReloadConfig},
    {"/tensorflow.serving.SessionService/SessionRun", Method::kSessionRun},
    {"/tensorflow.ProfilerService/Profile", Method::kProfile},
    {"/tensorflow.ProfilerService/Terminate", Method::kTerminate},
    {"/tensorflow.ProfilerService/Monitor", Method::kMonitor},
};

}  // namespace

std::optional<Method> GrpcHandler::MethodOf(std::string_view path) {
  for (const auto& [name, method] : kMethods)
    if (path == name) return method;
  return std::nullopt;
}

bool GrpcHandler::IsCheap(Method method, std::string_view request) const {
  switch (method) {
    case Method::kGetModelMetadata:
    case Method::kGetModelStatus:
    case Method::kTerminate:
    case Method::kMonitor:
      return true;
    case Method::kPredict:
    case Method::kClassify:
    case Method::kRegress: {
      if (request.size() > kCheapRequest) return false;
      const ServableHandle handle = rpc::PeekServable(*manager_, request, 1);
      if (!handle) return true;  // an error message
      const std::chrono::nanoseconds cost = handle.cost().estimate();
      return cost.count() >= 0 && cost <= options_.cheap;
    }
    default:
      return false;
  }
}

Status GrpcHandler::Dispatch(Method method, std::string_view request, const std::shared_ptr<const void>& owner,
                             Deadline deadline, std::string& reply) const {
  const Clock::time_point begun = Clock::now();
  std::string model;
  Status status;
  const auto counted = [&](std::string_view api) {
    invoker_->metrics().Request(model, api, "GRPC", status.code(), Clock::now() - begun);
    return std::move(status);
  };
  switch (method) {
    case Method::kPredict:
      status = Predict(request, owner, deadline, reply, model);
      return counted("Predict");
    case Method::kClassify:
      status = ClassifyOrRegress(true, request, deadline, reply, model);
      return counted("Classify");
    case Method::kRegress:
      status = ClassifyOrRegress(false, request, deadline, reply, model);
      return counted("Regress");
    case Method::kMultiInference:
      return MultiInference(request, deadline, reply);
    case Method::kGetModelMetadata:
      return GetModelMetadata(request, reply);
    case Method::kGetModelStatus:
      return GetModelStatus(request, reply);
    case Method::kReloadConfig:
      return ReloadConfig(request, reply);
    case Method::kSessionRun:
      return SessionRun(request, owner, deadline, reply);
    case Method::kProfile:
      return options_.profiler ? profiler_.Profile(request, deadline, reply) : Status(Code::kUnimplemented, "");
    case Method::kTerminate:
      return options_.profiler ? profiler_.Terminate(request) : Status(Code::kUnimplemented, "");
    case Method::kMonitor:  // as TensorFlow's own service answers
      return Status(Code::kUnimplemented, options_.profiler ? "unimplemented." : "");
  }
  return Status(Code::kInternal, "Request: no such method");
}

Status GrpcHandler::Handle(Method method, std::string_view request, const std::shared_ptr<const void>& owner,
                           Deadline deadline, std::string& reply) const {
  Status status;
  try {
    if (Clock::now() >= deadline)
      status = Status(Code::kDeadlineExceeded, "Deadline Exceeded");
    else
      status = Dispatch(method, request, owner, deadline, reply);
    if (status.ok() && Clock::now() > deadline) status = Status(Code::kDeadlineExceeded, "Deadline Exceeded");
  } catch (const Error& error) {
    status = error.status();
  } catch (const std::bad_alloc&) {
    status = Status(Code::kResourceExhausted, "Request: no memory to answer it");
  } catch (const std::exception& error) {
    status = Status(Code::kInternal, std::string("Request: ") + error.what());
  }
  if (status.message().size() > kMaxMessage)
    status = Status(status.code(), status.message().substr(0, kMaxMessage) + "...TRUNCATED");
  return status;
}

}  // namespace tenon::serve
