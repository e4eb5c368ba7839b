// Predict.
//
//   PredictRequest   model_spec 1, inputs 2 map<string, TensorProto>, output_filter 3 repeated string
//   PredictResponse  outputs 1 map<string, TensorProto>, model_spec 2
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/status_macros.h"
#include "serve/core/inference.h"
#include "serve/core/tf_names.h"
#include "serve/grpc/handler_call.h"
#include "serve/grpc/model_spec.h"
#include "serve/grpc/request_tensor.h"

namespace tenon::serve {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;
using Names = std::set<std::string_view>;

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

struct Request {
  std::optional<rpc::ModelSpec> spec;
  std::vector<std::pair<std::string_view, std::string_view>> inputs;  // alias, TensorProto; each alias once
  std::vector<std::string> filter;
};

Status ParseMapEntry(std::string_view bytes, const Place& place, std::string_view* key, std::string_view* value) {
  Reader entry(bytes, place);
  while (entry.Next()) {
    if (entry.number() == 1) entry.Get(key);
    if (entry.number() == 2) *value = entry.bytes();
  }
  return entry.status();
}

Status Parse(std::string_view bytes, Request* request) {
  const Place place("PredictRequest", bytes);
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) {
      if (!request->spec) request->spec.emplace();
      TENON_RETURN_IF_ERROR(rpc::ParseModelSpec(reader.bytes(), Place(place, "model_spec"), &*request->spec));
    } else if (reader.number() == 2) {
      std::string_view key, value;
      TENON_RETURN_IF_ERROR(ParseMapEntry(reader.bytes(), Place(place, "inputs"), &key, &value));
      const auto old = std::ranges::find(request->inputs, key, &std::pair<std::string_view, std::string_view>::first);
      if (old != request->inputs.end())
        old->second = value;  // the last entry of a key counts
      else if (request->inputs.size() == 4096)
        return Invalid("PredictRequest: more than 4096 inputs");
      else
        request->inputs.emplace_back(key, value);
    } else if (reader.number() == 3) {
      request->filter.emplace_back();
      reader.Get(&request->filter.back());
    }
  }
  return reader.status();
}

std::string Minus(const Names& a, const Names& b) {
  std::vector<std::string_view> out;
  std::ranges::set_difference(a, b, std::back_inserter(out));
  return fmt::format("{}", fmt::join(out, ","));
}

/// The aliases must be those of the signature.
Status CheckAliases(const Request& request, const Signature& signature) {
  std::size_t needed = 0;
  for (const TensorInfo& input : signature.inputs) needed += input.default_value ? 0 : 1;
  bool same = true;
  for (const auto& [alias, tensor] : request.inputs) {
    const int at = signature.input_index(alias);
    same = same && at >= 0;
    if (at >= 0 && !signature.inputs[static_cast<std::size_t>(at)].default_value) --needed;
  }
  if (same && needed == 0) return {};
  Names sent, required;
  for (const auto& [alias, tensor] : request.inputs) sent.insert(alias);
  for (const TensorInfo& input : signature.inputs)
    if (!input.default_value) required.insert(input.alias);
  if (sent.size() == required.size()) {
    for (const std::string_view alias : sent)
      if (!required.contains(alias))
        return Invalid(
            fmt::format("input tensor alias not found in signature: {}. Inputs expected to be in the set {{{}}}.",
                        alias, fmt::join(required, ",")));
  }
  return Invalid(
      fmt::format("input size does not match signature: {}!={} len({{{}}}) != len({{{}}}). Sent extra: {{{}}}. "
                  "Missing but required: {{{}}}.",
                  sent.size(), required.size(), fmt::join(sent, ","), fmt::join(required, ","), Minus(sent, required),
                  Minus(required, sent)));
}

Result<std::vector<int>> FilterOutputs(const std::vector<std::string>& filter, const Signature& signature) {
  std::vector<int> wanted;
  for (const std::string& alias : filter) {
    const int at = signature.output_index(alias);
    if (at < 0) {
      Names known;
      for (const TensorInfo& output : signature.outputs) known.insert(output.alias);
      return Invalid(
          fmt::format("output tensor alias not found in signature: {} Outputs expected to be in the set {{{}}}.", alias,
                      fmt::join(known, ",")));
    }
    if (std::ranges::find(wanted, at) != wanted.end())
      return Invalid(fmt::format("duplicate output tensor alias: {}", alias));
    wanted.push_back(at);
  }
  return wanted;
}

}  // namespace

GrpcHandler::Outcome GrpcHandler::Predict(Call& call) const {
  Request request;
  TENON_RETURN_IF_ERROR(Parse(call.request, &request));
  if (request.spec) call.model = request.spec->name;
  TENON_ASSIGN_OR_RETURN(const ServableHandle handle, rpc::FindServable(*manager_, request.spec));
  std::string& asked = request.spec->signature_name;
  const Signature* const signature = handle->FindSignature(asked);
  if (signature == nullptr)
    return Status(Code::kFailedPrecondition,
                  fmt::format("Serving signature key \"{}\" not found.", asked.empty() ? kDefaultSignature : asked));
  if (options_.check_method) TENON_RETURN_IF_ERROR(CheckPredictMethod(*signature));
  TENON_RETURN_IF_ERROR(CheckAliases(request, *signature));
  std::vector<Literal> inputs;
  for (const TensorInfo& input : signature->inputs)
    inputs.push_back(input.default_value ? *input.default_value : Literal());
  for (const auto& [alias, tensor] : request.inputs) {
    Result<Literal> literal = rpc::RequestTensor(tensor, call.owner, options_.budget.get());
    if (!literal.ok() && literal.status().code() == Code::kResourceExhausted) return literal.status();
    if (!literal.ok()) return Invalid(fmt::format("tensor parsing error: {}", alias));
    inputs[static_cast<std::size_t>(signature->input_index(alias))] = *std::move(literal);
  }
  TENON_ASSIGN_OR_RETURN(std::vector<int> wanted, FilterOutputs(request.filter, *signature));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].dtype() != signature->inputs[i].dtype)
      return Invalid(fmt::format("Expects arg[{}] to be {} but {} is provided", i,
                                 TfTypeName(signature->inputs[i].dtype), TfTypeName(inputs[i].dtype())));
  const rpc::TensorForm form = options_.tensor_content ? rpc::TensorForm::kContent : rpc::TensorForm::kTyped;
  auto write = [signature, wanted, form, model = std::move(request.spec->name), asked = std::move(asked)](
                   const ServableHandle& used, const std::vector<Literal>& outputs, std::string& reply) -> Status {
    Writer writer;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const auto at = wanted.empty() ? i : static_cast<std::size_t>(wanted[i]);
      TENON_RETURN_IF_ERROR(rpc::WriteTensor(writer, 1, &signature->outputs[at].alias, outputs[i], form));
    }
    rpc::WriteModelSpec(writer, 2, model, used.id().version, asked.empty() ? kDefaultSignature : asked);
    reply = std::move(writer).Take();
    return {};
  };
  Outcome outcome = RunThen(call, handle, *signature, std::move(inputs), wanted,
                            {.api = "Predict", .entrypoint = "GRPC"}, std::move(write));
  if (outcome && outcome->ok()) handle.cost().Add(Call::Clock::now() - call.begun);
  return outcome;
}

}  // namespace tenon::serve
