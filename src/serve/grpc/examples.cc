// Classify, Regress, MultiInference.
//
//   ClassificationRequest, RegressionRequest   model_spec 1, input 2
//   ClassificationResponse  result 1 {classifications 1 {classes 1 {label 1, score 2}}}, model_spec 2
//   RegressionResponse      result 1 {regressions 1 {value 1}}, model_spec 2
//   MultiInferenceRequest   tasks 1 {model_spec 1, method_name 2}, input 2
//   MultiInferenceResponse  results 1 {model_spec 1, one of classification_result 2, regression_result 3}
#include <fmt/format.h>

#include <set>

#include "base/status_macros.h"
#include "serve/core/inference.h"
#include "serve/grpc/handler.h"
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

}  // namespace

Status GrpcHandler::ClassifyOrRegress(bool classify, std::string_view bytes, Deadline deadline, std::string& reply,
                                      std::string& model) const {
  const auto begun = std::chrono::steady_clock::now();
  Request request;
  const Place place(classify ? "ClassificationRequest" : "RegressionRequest", bytes);
  TENON_RETURN_IF_ERROR(Parse(bytes, place, &request));
  if (request.spec) model = request.spec->name;
  TENON_ASSIGN_OR_RETURN(const ServableHandle handle, rpc::FindServable(*manager_, request.spec));
  if (request.examples.empty()) return Invalid("Input is empty.");
  const CallKind kind{.api = classify ? "Classify" : "Regress", .entrypoint = "GRPC"};
  const RunFunction run = [&](const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted) {
    return invoker_->Run(handle, signature, std::move(inputs), wanted, deadline, kind);
  };
  Writer writer;
  const std::string& signature = request.spec->signature_name;
  if (classify) {
    TENON_ASSIGN_OR_RETURN(const ClassifyResult result,
                           Classify(*handle, signature, std::move(request.examples), run, options_.check_method));
    WriteResult(writer, 1, result);
  } else {
    TENON_ASSIGN_OR_RETURN(const std::vector<float> result,
                           Regress(*handle, signature, std::move(request.examples), run, options_.check_method));
    WriteResult(writer, 1, result);
  }
  rpc::WriteModelSpec(writer, 2, request.spec->name, handle.id().version, signature);
  reply = std::move(writer).Take();
  handle.cost().Add(std::chrono::steady_clock::now() - begun);
  return {};
}

Status GrpcHandler::MultiInference(std::string_view bytes, Deadline deadline, std::string& reply) const {
  constexpr std::size_t kMaxTasks = 1024;
  const Place place("MultiInferenceRequest", bytes);
  std::vector<Task> tasks;
  std::vector<std::string> examples;
  Reader reader(bytes, place);
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
  const RunFunction run = [&](const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted) {
    return invoker_->Run(handle, signature, std::move(inputs), wanted, deadline,
                         {.api = "MultiInference", .entrypoint = "GRPC"});
  };
  Writer writer;
  for (const Task& task : tasks) {
    const std::string& signature = task.spec->signature_name;
    ClassifyResult classes;
    std::vector<float> values;
    const bool classify = task.method == kClassifyMethod;
    if (classify) {
      TENON_ASSIGN_OR_RETURN(classes, Classify(*handle, signature, examples, run, options_.check_method));
    } else {
      TENON_ASSIGN_OR_RETURN(values, Regress(*handle, signature, examples, run, options_.check_method));
    }
    writer.Message(1, [&] {
      rpc::WriteModelSpec(writer, 1, model, handle.id().version, signature);
      if (classify)
        WriteResult(writer, 2, classes);
      else
        WriteResult(writer, 3, values);
    });
  }
  const auto count = static_cast<double>(examples.size());
  invoker_->metrics().example_counts.At({model}).Observe(count);
  invoker_->metrics().example_count_total.At({model}).Add(count);
  reply = std::move(writer).Take();
  return {};
}

}  // namespace tenon::serve
