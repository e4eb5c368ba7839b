// Classify, Regress, MultiInference.
//
//   ClassificationRequest, RegressionRequest   model_spec 1, input 2
//   ClassificationResponse  result 1 {classifications 1 {classes 1 {label 1, score 2}}}, model_spec 2
//   RegressionResponse      result 1 {regressions 1 {value 1}}, model_spec 2
//   MultiInferenceRequest   tasks 1 {model_spec 1, method_name 2}, input 2
//   MultiInferenceResponse  results 1 {model_spec 1, one of classification_result 2, regression_result 3}
#include <fmt/format.h>

#include <atomic>
#include <set>

#include "base/status_macros.h"
#include "serve/core/inference.h"
#include "serve/grpc/handler_call.h"
#include "serve/grpc/input.h"
#include "serve/grpc/model_spec.h"

namespace tenon::serve {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;
using rpc::Invalid;

void WriteResult(Writer& writer, std::uint32_t field, const ClassifyResult& result) {
  writer.Message(field, [&] {
    for (std::size_t i = 0; i < result.examples; ++i)
      writer.Message(1, [&] {
        for (std::size_t k = i * result.classes; k < (i + 1) * result.classes; ++k)
          writer.Message(1, [&] {
            writer.Text(1, result.labels[k]);
            if (std::bit_cast<std::uint32_t>(result.scores[k]) != 0) writer.Float(2, result.scores[k]);
          });
      });
  });
}

void WriteResult(Writer& writer, std::uint32_t field, const std::vector<float>& values) {
  writer.Message(field, [&] {
    for (const float value : values)
      writer.Message(1, [&] {
        if (std::bit_cast<std::uint32_t>(value) != 0) writer.Float(1, value);
      });
  });
}

struct Request {
  std::optional<rpc::ModelSpec> spec;
  std::vector<std::string> examples;
};

Status Parse(std::string_view bytes, const Place& place, Request* request) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) {
      TENON_RETURN_IF_ERROR(rpc::ParseModelSpec(reader, place, &request->spec));
    } else if (reader.number() == 2) {
      TENON_RETURN_IF_ERROR(rpc::ParseInput(reader.bytes(), Place(place, "input"), &request->examples));
    }
  }
  return reader.status();
}

struct Task {
  std::optional<rpc::ModelSpec> spec;
  std::string method;
};

Status ParseTask(std::string_view bytes, const Place& place, Task* task) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) {
      TENON_RETURN_IF_ERROR(rpc::ParseModelSpec(reader, place, &task->spec));
    } else if (reader.number() == 2) {
      reader.Get(&task->method);
    }
  }
  return reader.status();
}

/// Appends the field that holds what the outputs say.
Status WriteOutputs(Writer& writer, std::uint32_t field, bool classify, const ExamplesCall& call,
                    const std::vector<Literal>& outputs) {
  if (classify) {
    TENON_ASSIGN_OR_RETURN(const ClassifyResult result, ClassifyResultOf(call, outputs));
    WriteResult(writer, field, result);
  } else {
    TENON_ASSIGN_OR_RETURN(const std::vector<float> result, RegressResultOf(call, outputs));
    WriteResult(writer, field, result);
  }
  return {};
}

Result<ExamplesCall> Prepare(bool classify, const Servable& servable, std::string_view signature, std::size_t examples,
                             bool check_method) {
  return classify ? PrepareClassify(servable, signature, examples, check_method)
                  : PrepareRegress(servable, signature, examples, check_method);
}

/// The tasks of a MultiInference and what they have come to. The first error in their order is the call's.
struct Tasks {
  Tasks(ServableHandle h, std::vector<Task> t) : handle(std::move(h)), tasks(std::move(t)) {}
  const ServableHandle handle;
  const std::vector<Task> tasks;
  std::vector<ExamplesCall> calls = {};  // fewer than tasks: `stopped` says what is wrong with the next one
  Status stopped = {};
  std::vector<Result<std::vector<Literal>>> outputs = {};  // of calls
  std::atomic<std::size_t> missing = 0;

  /// Makes the reply, and counts the examples of a good one.
  Status Write(std::size_t examples, ServerMetrics& metrics, std::string& reply) const {
    Writer writer;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].ok()) return outputs[i].status();
      Writer inner;
      const bool classify = tasks[i].method == kClassifyMethod;
      const rpc::ModelSpec& spec = *tasks[i].spec;
      rpc::WriteModelSpec(inner, 1, spec.name, handle.id().version, spec.signature_name);
      TENON_RETURN_IF_ERROR(WriteOutputs(inner, classify ? 2 : 3, classify, calls[i], *outputs[i]));
      writer.Bytes(1, inner.bytes());
    }
    TENON_RETURN_IF_ERROR(stopped);
    const auto count = static_cast<double>(examples);
    metrics.example_counts.At({handle.id().name}).Observe(count);
    metrics.example_count_total.At({handle.id().name}).Add(count);
    reply = std::move(writer).Take();
    return {};
  }
};

}  // namespace

GrpcHandler::Outcome GrpcHandler::ClassifyOrRegress(Call& call, bool classify) const {
  Request request;
  const Place place(classify ? "ClassificationRequest" : "RegressionRequest", call.request);
  TENON_RETURN_IF_ERROR(Parse(call.request, place, &request));
  if (request.spec) call.model = request.spec->name;
  TENON_ASSIGN_OR_RETURN(const ServableHandle handle, rpc::FindServable(*manager_, request.spec));
  if (request.examples.empty()) return Invalid("Input is empty.");
  const CallKind kind{.api = classify ? "Classify" : "Regress", .entrypoint = "GRPC"};
  TENON_ASSIGN_OR_RETURN(const ExamplesCall run, Prepare(classify, *handle, request.spec->signature_name,
                                                         request.examples.size(), options_.check_method));
  auto write = [classify, run, spec = *std::move(request.spec)](
                   const ServableHandle& used, const std::vector<Literal>& outputs, std::string& reply) -> Status {
    Writer writer;
    TENON_RETURN_IF_ERROR(WriteOutputs(writer, 1, classify, run, outputs));
    rpc::WriteModelSpec(writer, 2, spec.name, used.id().version, spec.signature_name);
    reply = std::move(writer).Take();
    return {};
  };
  Outcome outcome = RunThen(call, handle, *run.signature, ExampleInputs(std::move(request.examples)), run.wanted, kind,
                            std::move(write));
  if (outcome && outcome->ok()) handle.cost().Add(Call::Clock::now() - call.begun);
  return outcome;
}

GrpcHandler::Outcome GrpcHandler::MultiInference(Call& call) const {
  constexpr std::size_t kMaxTasks = 1024;
  const Place place("MultiInferenceRequest", call.request);
  std::vector<Task> tasks;
  std::vector<std::string> examples;
  Reader reader(call.request, place);
  while (reader.Next()) {
    if (reader.number() == 1) {
      if (tasks.size() == kMaxTasks) return Invalid("MultiInferenceRequest: more than 1024 tasks");
      tasks.emplace_back();
      TENON_RETURN_IF_ERROR(ParseTask(reader.bytes(), Place(place, "tasks"), &tasks.back()));
    } else if (reader.number() == 2) {
      TENON_RETURN_IF_ERROR(rpc::ParseInput(reader.bytes(), Place(place, "input"), &examples));
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  TENON_ASSIGN_OR_RETURN(const ServableHandle handle,
                         rpc::FindServable(*manager_, tasks.empty() ? std::nullopt : tasks[0].spec));
  const std::string& model = tasks[0].spec->name;
  std::set<std::string> seen;
  for (const Task& task : tasks) {
    if (!task.spec || task.spec->name.empty()) return Invalid("Found ModelSpec with an empty model name.");
    if (task.spec->name != model)
      return Invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.");
    const std::string name =
        task.spec->signature_name.empty() ? std::string(kDefaultSignature) : task.spec->signature_name;
    if (!seen.insert(name).second) return Invalid(fmt::format("Duplicate evaluation of signature: {}", name));
    if (handle->FindSignature(name) == nullptr)
      return Invalid(fmt::format("Requested signature not found in model graph: {}", name));
    if (task.method != kClassifyMethod && task.method != kRegressMethod)
      return Status(Code::kUnimplemented, fmt::format("Unsupported signature method_name: {}", task.method));
  }
  if (examples.empty()) return Invalid("Input is empty.");
  const CallKind kind{.api = "MultiInference", .entrypoint = "GRPC"};
  const auto all = std::make_shared<Tasks>(handle, std::move(tasks));
  for (const Task& task : all->tasks) {
    const bool classify = task.method == kClassifyMethod;
    Result<ExamplesCall> one =
        Prepare(classify, *handle, task.spec->signature_name, examples.size(), options_.check_method);
    if (!one.ok()) {
      all->stopped = one.status();
      break;
    }
    all->calls.push_back(*std::move(one));
  }
  const std::size_t count = all->calls.size();
  if (!handle->waits()) {
    for (const ExamplesCall& one : all->calls) {
      all->outputs.push_back(
          invoker_->Run(handle, *one.signature, ExampleInputs(examples), one.wanted, call.deadline, kind));
      if (!all->outputs.back().ok()) break;
    }
    return all->Write(examples.size(), invoker_->metrics(), call.reply);
  }
  if (count == 0) return all->stopped;
  all->outputs.assign(count, Status(Code::kInternal, "Request: a task has not run"));
  all->missing = count;
  const auto tail = std::make_shared<const Tail>(call, invoker_);
  for (std::size_t i = 0; i < count; ++i) {
    const auto done = [all, tail, i, given = examples.size()](Result<std::vector<Literal>> outputs) {
      all->outputs[i] = std::move(outputs);
      if (--all->missing > 0) return;
      std::string reply;
      Status status = Guarded([&] { return all->Write(given, tail->invoker->metrics(), reply); });
      tail->End(std::move(status), std::move(reply));
    };
    const Status begun = Guarded([&]() -> Status {
      invoker_->RunAsync(handle, *all->calls[i].signature, ExampleInputs(examples), all->calls[i].wanted,
                         {call.deadline, tail->out}, kind, done);
      return {};
    });
    if (!begun.ok()) done(begun);
  }
  return tail->Later();
}

}  // namespace tenon::serve
