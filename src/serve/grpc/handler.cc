#include "serve/grpc/handler.h"

#include <utility>

#include "base/log.h"
#include "serve/grpc/handler_call.h"
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

/// How metrics name the call; empty for one that they do not count.
std::string_view CountedAs(Method method) {
  switch (method) {
    case Method::kPredict:
      return "Predict";
    case Method::kClassify:
      return "Classify";
    case Method::kRegress:
      return "Regress";
    default:
      return {};
  }
}

void Count(const Invoker& invoker, Method method, const std::string& model, const Status& status,
           Clock::time_point begun) {
  if (const std::string_view api = CountedAs(method); !api.empty())
    invoker.metrics().Request(model, api, "GRPC", status.code(), Clock::now() - begun);
}

/// What the client gets of it.
Status Ended(Status status, Deadline deadline) {
  if (status.ok() && Clock::now() > deadline) status = Status(Code::kDeadlineExceeded, "Deadline Exceeded");
  if (status.message().size() > kMaxMessage)
    status = Status(status.code(), status.message().substr(0, kMaxMessage) + "...TRUNCATED");
  return status;
}

}  // namespace

std::optional<Method> GrpcHandler::MethodOf(std::string_view path) {
  for (const auto& [name, method] : kMethods)
    if (path == name) return method;
  return std::nullopt;
}

std::string_view GrpcHandler::PathOf(Method method) {
  for (const auto& [name, known] : kMethods)
    if (known == method) return name;
  return {};
}

bool GrpcHandler::IsCheap(Method method, std::string_view request) const {
  switch (method) {
    case Method::kGetModelMetadata:
    case Method::kGetModelStatus:
    case Method::kProfile:
    case Method::kTerminate:
    case Method::kMonitor:
      return true;
    case Method::kPredict:
    case Method::kClassify:
    case Method::kRegress: {
      if (request.size() > kCheapRequest) return false;
      const ServableHandle handle = rpc::PeekServable(*manager_, request, 1);
      if (!handle) return true;  // an error message
      if (handle->waits()) return true;
      const std::chrono::nanoseconds cost = handle.cost().estimate();
      return cost.count() >= 0 && cost <= options_.cheap;
    }
    default:
      return false;
  }
}

void GrpcHandler::Tail::End(Status status, std::string reply) const {
  const Status sent = Guarded([&]() -> Status {
    Count(*invoker, method, model, status, begun);
    status = Ended(std::move(status), deadline);
    out->Send(status, status.ok() ? std::move(reply) : std::string());
    return {};
  });
  ended_ = sent.ok();
  if (sent.ok()) return;
  try {  // a short one: the client would wait until its deadline
    out->Send(sent, {});
    ended_ = true;
  } catch (const std::exception& error) {
    base::Log(base::LogLevel::kWarning, std::string("gRPC: an answer could not be sent: ") + error.what());
  }
}

GrpcHandler::Tail::~Tail() {
  if (!left_ || ended_) return;
  try {
    out->Send(Status(Code::kInternal, ""), {});
  } catch (const std::exception&) {  // no memory for that either: the client waits until its deadline
  }
}

GrpcHandler::Outcome GrpcHandler::Profile(Call& call) const {
  if (!options_.profiler) return Status(Code::kUnimplemented, "");
  const auto tail = std::make_shared<const Tail>(call, invoker_);
  TENON_RETURN_IF_ERROR(
      profiler_.Profile(call.request, {call.deadline, tail->out},
                        [tail](Status status, std::string reply) { tail->End(std::move(status), std::move(reply)); }));
  return tail->Later();
}

GrpcHandler::Outcome GrpcHandler::Dispatch(Call& call) const {
  const auto counted = [&](Outcome outcome) {
    if (outcome) Count(*invoker_, call.method, call.model, *outcome, call.begun);
    return outcome;
  };
  switch (call.method) {
    case Method::kPredict:
      return counted(Predict(call));
    case Method::kClassify:
    case Method::kRegress:
      return counted(ClassifyOrRegress(call, call.method == Method::kClassify));
    case Method::kMultiInference:
      return MultiInference(call);
    case Method::kGetModelMetadata:
      return GetModelMetadata(call.request, call.reply);
    case Method::kGetModelStatus:
      return GetModelStatus(call.request, call.reply);
    case Method::kReloadConfig:
      return ReloadConfig(call.request, call.reply);
    case Method::kSessionRun:
      return SessionRun(call);
    case Method::kProfile:
      return Profile(call);
    case Method::kTerminate:
      return options_.profiler ? profiler_.Terminate(call.request) : Status(Code::kUnimplemented, "");
    case Method::kMonitor:  // as TensorFlow's own service answers
      return Status(Code::kUnimplemented, options_.profiler ? "unimplemented." : "");
  }
  return Status(Code::kInternal, "Request: no such method");
}

std::optional<Status> GrpcHandler::Handle(Method method, std::string_view request,
                                          const std::shared_ptr<const void>& owner, Deadline deadline,
                                          std::string& reply, GrpcLater& later) const {
  const Outcome outcome = Guarded([&]() -> Outcome {
    Call call{
        .method = method, .request = request, .owner = owner, .deadline = deadline, .reply = reply, .later = later};
    if (call.begun >= deadline) return Status(Code::kDeadlineExceeded, "Deadline Exceeded");
    return Dispatch(call);
  });
  if (!outcome) return outcome;
  return Ended(*outcome, deadline);
}

}  // namespace tenon::serve
