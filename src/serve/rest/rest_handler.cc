#include "serve/rest/rest_handler.h"

#include <fmt/format.h>

#include <optional>

#include "base/gzip.h"
#include "base/status_macros.h"
#include "serve/core/guarded.h"
#include "serve/core/inference.h"
#include "serve/rest/examples_request.h"
#include "serve/rest/examples_response.h"
#include "serve/rest/model_json.h"
#include "serve/rest/predict_request.h"
#include "serve/rest/predict_response.h"
#include "serve/rest/status_page.h"

namespace tenon::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kCheapBody = 64 << 10;  // reading more takes too long for an I/O thread

std::string_view WithoutQuery(std::string_view target) { return target.substr(0, target.find('?')); }

std::string_view ApiName(Route::Verb verb) {
  return verb == Route::Verb::kClassify ? "classify" : verb == Route::Verb::kRegress ? "regress" : "predict";
}

/// The body of a request, inflated when it was sent with gzip. Counts what that takes while it lives.
class Body {
 public:
  explicit Body(const RestOptions& options) : options_(options), held_(options.budget.get()) {}
  /// Empty when the stream is bad or longer than allowed: its reader says so. kUnavailable while there is no room for
  /// it, kInvalidArgument when there will never be.
  Result<std::string_view> Of(const HttpRequest& request) {
    if (request.header("Content-Encoding").find("gzip") == std::string_view::npos) return request.body;
    Status room;
    bool ever = true;
    Result<std::string> bytes =
        base::Gunzip(std::as_bytes(std::span(request.body)), "Request", options_.inflated_limit, [&](std::size_t all) {
          ever = !options_.budget || all <= options_.budget->most();
          return room = held_.Grow(all);
        });
    if (bytes.ok()) inflated_ = *std::move(bytes);
    held_.Set(inflated_.capacity());
    if (!room.ok()) return Status(ever ? Code::kUnavailable : Code::kInvalidArgument, room.message());
    return std::string_view(inflated_);
  }

 private:
  const RestOptions& options_;
  std::string inflated_;
  HeldBytes held_;
};

Status Late() { return Status(Code::kDeadlineExceeded, "Request: the time limit passed before the model had run"); }

Result<std::string> WritePredict(const Result<std::vector<Literal>>& outputs, const Signature& signature,
                                 PredictForm form, Deadline deadline) {
  if (!outputs.ok()) return outputs.status();
  std::string reply;
  if (const Status status = WritePredictResponse(signature, *outputs, form, reply); !status.ok()) return status;
  if (Clock::now() > deadline) return Late();
  return reply;
}

Result<std::string> ExamplesReply(bool classify, const ExamplesCall& call, const std::vector<Literal>& outputs) {
  if (classify) {
    const Result<ClassifyResult> result = ClassifyResultOf(call, outputs);
    return result.ok() ? Result<std::string>(ClassifyResponseJson(*result)) : result.status();
  }
  const Result<std::vector<float>> result = RegressResultOf(call, outputs);
  return result.ok() ? Result<std::string>(RegressResponseJson(*result)) : result.status();
}

}  // namespace

int HttpStatus(Code code) {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kCancelled:
      return 499;
    case Code::kUnknown:
      return 500;
    case Code::kInvalidArgument:
      return 400;
    case Code::kDeadlineExceeded:
      return 504;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
      return 409;
    case Code::kPermissionDenied:
      return 403;
    case Code::kResourceExhausted:
      return 429;
    case Code::kFailedPrecondition:
      return 400;
    case Code::kAborted:
      return 409;
    case Code::kOutOfRange:
      return 400;
    case Code::kUnimplemented:
      return 501;
    case Code::kInternal:
      return 500;
    case Code::kUnavailable:
      return 503;
    case Code::kDataLoss:
      return 500;
    case Code::kUnauthenticated:
      return 401;
  }
  return 500;
}

Result<ServableHandle> RestHandler::Find(const Route& route) const {
  if (route.label) return manager_->serving().Labelled(route.model, *route.label);
  if (route.version) return manager_->serving().Specific(route.model, *route.version);
  return manager_->serving().Latest(route.model);
}

Effort RestHandler::EffortOf(const HttpRequest& request) const {
  if (request.method != "POST") return Effort::kShort;
  if (request.body.size() > kCheapBody || request.header("Content-Encoding").data() != nullptr) return Effort::kLong;
  const Result<Route> route = ParseRoute(request.method, request.target);
  if (!route.ok()) return Effort::kShort;  // an error message
  const Result<ServableHandle> handle = Find(*route);
  if (!handle.ok()) return Effort::kShort;
  if ((*handle)->waits())
    return route->verb == Route::Verb::kPredict && (*handle)->joins() ? Effort::kJoins : Effort::kLong;
  const std::chrono::nanoseconds cost = handle->cost().estimate();
  return cost.count() >= 0 && cost <= options_.cheap ? Effort::kShort : Effort::kLong;
}

HttpResponse RestHandler::MetricsPage() const {
  return {.content_type = "text/plain", .body = invoker_->metrics().registry.Text()};
}

HttpResponse RestHandler::Handle(const HttpRequest& request, Deadline deadline) {
  if (!options_.metrics_path.empty() && WithoutQuery(request.target) == options_.metrics_path) {
    if (request.target == options_.metrics_path) return MetricsPage();
    return {.status = 400,
            .content_type = "text/plain",
            .body = fmt::format("Unexpected path: {}. Should be {}", request.target, options_.metrics_path)};
  }
  if (!IsApiPath(request.target)) {
    const std::string_view path = WithoutQuery(request.target);
    const bool get = request.method == "GET" || request.method == "HEAD";
    if (get && (path == "/healthz" || path == "/livez" || path == "/v2/health/live"))
      return {.content_type = "text/plain", .body = "ok\n"};
    if (get && (path == "/readyz" || path == "/v2/health/ready")) {
      const bool ready = !options_.ready || options_.ready();
      return {.status = ready ? 200 : 503, .content_type = "text/plain", .body = ready ? "ok\n" : "not ready\n"};
    }
    if (get && path == "/metrics") return MetricsPage();
    if (get && path == "/") return {.content_type = "text/html; charset=utf-8", .body = std::string(StatusHtml())};
    if (get && path == "/status.json")
      return {.content_type = "application/json", .body = StatusJson(*manager_, invoker_->metrics())};
    if (get && path == "/openapi.json") return {.content_type = "application/json", .body = OpenApiJson(*manager_)};
    return HttpErrorPage(404);
  }
  HttpResponse response = Shell();
  if (request.method == "OPTIONS") {
    // A preflight: an origin, or nothing to say.
    const std::string_view origin = request.header("Origin");
    const bool good =
        origin.find("http://") != std::string_view::npos || origin.find("https://") != std::string_view::npos;
    response.status = good ? 200 : HttpStatus(Code::kFailedPrecondition);
    return response;
  }
  return Reply(Guarded([&] { return Answer(request, deadline); }));
}

/// A reply of the API without its body.
HttpResponse RestHandler::Shell() const {
  HttpResponse response{.content_type = "application/json"};
  if (options_.enable_cors)
    response.headers = {{"Access-Control-Allow-Origin", "*"},
                        {"Access-Control-Allow-Methods", "POST, GET"},
                        {"Access-Control-Allow-Headers", "Content-Type"}};
  return response;
}

HttpResponse RestHandler::Reply(Result<std::string> body) const {
  HttpResponse response = Shell();
  if (body.ok()) {
    response.body = *std::move(body);
    return response;
  }
  response.status = HttpStatus(body.status().code());
  WriteErrorResponse(body.status().message(), response.body);
  return response;
}

/// Counts a call and sends its reply.
struct RestHandler::Finish {
  void operator()(Result<std::string> body) {
    HttpResponse response;
    const Status made = Guarded([&]() -> Status {
      handler.invoker_->metrics().Request(model, api, "REST", body.status().code(), Clock::now() - begun);
      response = handler.Reply(std::move(body));
      return {};
    });
    done(made.ok() ? std::move(response) : handler.Reply(made));
  }
  const RestHandler& handler;
  Clock::time_point begun;
  std::string model;
  std::string_view api;
  Done done;
};

void RestHandler::HandleAsync(const HttpRequest& request, Patience patience, Done done) {
  const Deadline deadline = patience.deadline;
  const Clock::time_point begun = Clock::now();
  const Result<Route> route = request.method == "POST" ? ParseRoute(request.method, request.target)
                                                       : Result<Route>(Status(Code::kNotFound, ""));
  const bool runs = route.ok() && (route->verb == Route::Verb::kPredict || route->verb == Route::Verb::kClassify ||
                                   route->verb == Route::Verb::kRegress);
  if (!runs) return done(Handle(request, deadline));
  const Result<ServableHandle> handle = Find(*route);
  if (!handle.ok() || !(*handle)->waits()) return done(Handle(request, deadline));
  Finish finish{*this, begun, route->model, ApiName(route->verb), std::move(done)};
  if (route->verb != Route::Verb::kPredict)
    return ExamplesAsync(*route, *handle, request, std::move(patience), std::move(finish));
  std::optional<PredictRequest> read;
  const Status status = Guarded([&]() -> Status {
    Body body(options_);
    TENON_ASSIGN_OR_RETURN(const std::string_view text, body.Of(request));
    TENON_ASSIGN_OR_RETURN(read, ReadPredictRequest(text, {}, &**handle, options_.budget.get()));
    return options_.check_method ? CheckPredictMethod(*read->signature) : Status();
  });
  if (!status.ok()) return finish(status);
  const Clock::time_point was_read = Clock::now();
  invoker_->RunAsync(*handle, *read->signature, std::move(read->inputs), {}, std::move(patience), {"predict", "REST"},
                     [finish = std::move(finish), was_read, deadline, signature = read->signature, form = read->form,
                      handle = *handle](const Result<std::vector<Literal>>& outputs) mutable {
                       const Clock::time_point ran = Clock::now();
                       Result<std::string> reply =
                           Guarded([&] { return WritePredict(outputs, *signature, form, deadline); });
                       if (reply.ok())
                         finish.handler.invoker_->metrics().Stages(handle.id(), was_read - finish.begun, ran - was_read,
                                                                   Clock::now() - ran);
                       finish(std::move(reply));
                     });
}

void RestHandler::ExamplesAsync(const Route& route, const ServableHandle& handle, const HttpRequest& request,
                                Patience patience, Finish finish) const {
  const Deadline deadline = patience.deadline;
  const bool classify = route.verb == Route::Verb::kClassify;
  std::optional<ExamplesRequest> read;
  std::optional<ExamplesCall> call;
  const Status status = Guarded([&]() -> Status {
    Body body(options_);
    TENON_ASSIGN_OR_RETURN(const std::string_view text, body.Of(request));
    TENON_ASSIGN_OR_RETURN(read, ReadExamplesRequest(text, ApiName(route.verb), options_.budget.get()));
    const std::size_t count = read->examples.size();
    TENON_ASSIGN_OR_RETURN(call, classify
                                     ? PrepareClassify(*handle, read->signature_name, count, options_.check_method)
                                     : PrepareRegress(*handle, read->signature_name, count, options_.check_method));
    return {};
  });
  if (!status.ok()) return finish(status);
  invoker_->RunAsync(handle, *call->signature, ExampleInputs(std::move(read->examples)), call->wanted,
                     std::move(patience), {ApiName(route.verb), "REST"},
                     [finish = std::move(finish), classify, deadline, call = *call,
                      handle](const Result<std::vector<Literal>>& outputs) mutable {
                       finish(Guarded([&]() -> Result<std::string> {
                         if (!outputs.ok()) return outputs.status();
                         if (Clock::now() > deadline) return Late();
                         return ExamplesReply(classify, call, *outputs);
                       }));
                     });
}

Result<std::string> RestHandler::Answer(const HttpRequest& request, Deadline deadline) const {
  constexpr std::string_view kModels = "/v1/models/", kShadow = "/shadow";
  if (options_.shadow_report && request.method == "GET" && request.target.starts_with(kModels) &&
      request.target.ends_with(kShadow) && request.target.size() > kModels.size() + kShadow.size()) {
    const std::string_view model =
        request.target.substr(kModels.size(), request.target.size() - kModels.size() - kShadow.size());
    if (std::optional<std::string> report = options_.shadow_report(model)) return *std::move(report);
    return Status(Code::kNotFound, fmt::format("Could not find any versions of model {}", model));
  }
  const Result<Route> route = ParseRoute(request.method, request.target);
  if (!route.ok()) return route.status();
  Body whole(options_);
  const Result<std::string_view> inflated = whole.Of(request);
  if (!inflated.ok()) return inflated.status();
  const std::string_view body = *inflated;
  if (route->verb == Route::Verb::kStatus) return ModelStatus(*route);
  if (route->verb == Route::Verb::kMetadata) return Metadata(*route);
  const Clock::time_point begun = Clock::now();
  Result<std::string> reply = Infer(*route, body, deadline);
  invoker_->metrics().Request(route->model, ApiName(route->verb), "REST", reply.status().code(), Clock::now() - begun);
  return reply;
}

Result<std::string> RestHandler::Infer(const Route& route, std::string_view body, Deadline deadline) const {
  if (route.verb == Route::Verb::kPredict) return Predict(route, body, deadline);
  return Examples(route, body, deadline);
}

Result<std::string> RestHandler::Predict(const Route& route, std::string_view body, Deadline deadline) const {
  const Clock::time_point begun = Clock::now();
  const Result<ServableHandle> handle = Find(route);
  Servable* const servable = handle.ok() ? &**handle : nullptr;
  Result<PredictRequest> request = ReadPredictRequest(body, handle.status(), servable, options_.budget.get());
  if (!request.ok()) return request.status();
  if (options_.check_method)
    if (const Status method = CheckPredictMethod(*request->signature); !method.ok()) return method;
  const Clock::time_point read = Clock::now();
  if (read > deadline) return Late();
  const Result<std::vector<Literal>> outputs =
      invoker_->Run(*handle, *request->signature, std::move(request->inputs), {}, deadline, {"predict", "REST"});
  const Clock::time_point ran = Clock::now();
  Result<std::string> reply = WritePredict(outputs, *request->signature, request->form, deadline);
  const Clock::time_point written = Clock::now();
  handle->cost().Add(written - begun);
  if (reply.ok()) invoker_->metrics().Stages(handle->id(), read - begun, ran - read, written - ran);
  return reply;
}

Result<std::string> RestHandler::Examples(const Route& route, std::string_view body, Deadline deadline) const {
  const bool classify = route.verb == Route::Verb::kClassify;
  const Clock::time_point begun = Clock::now();
  Result<ExamplesRequest> request = ReadExamplesRequest(body, classify ? "classify" : "regress", options_.budget.get());
  if (!request.ok()) return request.status();
  const Result<ServableHandle> handle = Find(route);
  if (!handle.ok()) return handle.status();
  if (Clock::now() > deadline) return Late();
  const RunFunction run = [&](const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted) {
    return invoker_->Run(*handle, signature, std::move(inputs), wanted, deadline, {ApiName(route.verb), "REST"});
  };
  Result<std::string> reply = std::string();
  if (classify) {
    const Result<ClassifyResult> result =
        Classify(**handle, request->signature_name, std::move(request->examples), run, options_.check_method);
    reply = result.ok() ? Result<std::string>(ClassifyResponseJson(*result)) : Result<std::string>(result.status());
  } else {
    const Result<std::vector<float>> result =
        Regress(**handle, request->signature_name, std::move(request->examples), run, options_.check_method);
    reply = result.ok() ? Result<std::string>(RegressResponseJson(*result)) : Result<std::string>(result.status());
  }
  const Clock::time_point ended = Clock::now();
  handle->cost().Add(ended - begun);
  if (reply.ok() && ended > deadline) return Late();
  return reply;
}

Result<std::string> RestHandler::ModelStatus(const Route& route) const {
  if (route.model.empty()) return Status(Code::kInvalidArgument, "Missing model name in request.");
  std::vector<VersionStatus> versions = manager_->monitor().Versions(route.model);
  std::optional<std::int64_t> only = route.version;
  if (route.label)  // an unknown label asks for all versions
    if (const Result<std::int64_t> labelled = manager_->serving().LabelVersion(route.model, *route.label);
        labelled.ok())
      only = *labelled;
  if (only) std::erase_if(versions, [&](const VersionStatus& v) { return v.version != *only; });
  if (versions.empty())
    return Status(Code::kNotFound, only ? fmt::format("Could not find version {} of model {}", *only, route.model)
                                        : fmt::format("Could not find any versions of model {}", route.model));
  return ModelStatusJson(versions);
}

Result<std::string> RestHandler::Metadata(const Route& route) const {
  if (route.model.empty()) return Status(Code::kInvalidArgument, "Missing model name in request.");
  const Result<ServableHandle> handle = Find(route);
  if (!handle.ok()) return handle.status();
  return ModelMetadataJson(handle->id(), (*handle)->signatures());
}

}  // namespace tenon::serve
