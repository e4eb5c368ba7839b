// SessionRun: tensors by the names of the graph, for a set of feeds and fetches that a signature has.
//
//   SessionRunRequest   model_spec 1, feed 2 repeated NamedTensorProto {name 1, tensor 2}, fetch 3 repeated string,
//                       target 4 repeated string, options 5, tensor_name_is_alias 6
//   SessionRunResponse  tensor 1 repeated NamedTensorProto, metadata 2, model_spec 3
#include <fmt/format.h>

#include "base/status_macros.h"
#include "serve/core/tf_names.h"
#include "serve/grpc/handler_call.h"
#include "serve/grpc/model_spec.h"
#include "serve/grpc/request_tensor.h"

namespace tenon::serve {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;
using rpc::Invalid;

struct Request {
  std::optional<rpc::ModelSpec> spec;
  std::vector<std::pair<std::string, std::string_view>> feeds;
  std::vector<std::string> fetches, targets;
  bool by_alias = false;
};

Status Parse(std::string_view bytes, const Place& place, Request* request) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        TENON_RETURN_IF_ERROR(rpc::ParseModelSpec(reader, place, &request->spec));
        break;
      case 2: {
        auto& [name, tensor] = request->feeds.emplace_back();
        const Place feed_place(place, "feed");
        Reader feed(reader.bytes(), feed_place);
        while (feed.Next()) {
          if (feed.number() == 1) feed.Get(&name);
          if (feed.number() == 2) tensor = feed.bytes();
        }
        TENON_RETURN_IF_ERROR(feed.status());
        break;
      }
      case 3:
        reader.Append(&request->fetches);
        break;
      case 4:
        reader.Append(&request->targets);
        break;
      case 6:
        reader.Get(&request->by_alias);
        break;
      default:
        break;
    }
  }
  return reader.status();
}

/// "x" is "x:0".
std::string_view Plain(std::string_view name) { return name.ends_with(":0") ? name.substr(0, name.size() - 2) : name; }

int IndexOf(const std::vector<TensorInfo>& tensors, std::string_view name, bool by_alias) {
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (by_alias ? tensors[i].alias == name : Plain(tensors[i].tensor_name) == Plain(name)) return static_cast<int>(i);
  return -1;
}

/// The first signature that has all the feeds, no other inputs, and all the fetches.
const Signature* Match(const Request& request, const Servable& servable) {
  for (const Signature& s : servable.signatures()) {
    if (s.internal) continue;
    if (!request.spec->signature_name.empty() && s.name != request.spec->signature_name) continue;
    bool good = request.feeds.size() == s.inputs.size();
    for (const auto& [name, tensor] : request.feeds) good = good && IndexOf(s.inputs, name, request.by_alias) >= 0;
    for (const std::string& name : request.fetches) good = good && IndexOf(s.outputs, name, request.by_alias) >= 0;
    if (good) return &s;
  }
  return nullptr;
}

}  // namespace

GrpcHandler::Outcome GrpcHandler::SessionRun(Call& call) const {
  Request request;
  TENON_RETURN_IF_ERROR(Parse(call.request, Place("SessionRunRequest", call.request), &request));
  TENON_ASSIGN_OR_RETURN(const ServableHandle handle, rpc::FindServable(*manager_, request.spec));
  if (request.feeds.size() > 4096 || request.fetches.size() > 4096)
    return Invalid("SessionRunRequest: more than 4096 feeds or fetches");
  if (!request.targets.empty())
    return Status(Code::kUnimplemented, "SessionRun: target: nodes without a value are not run; fetch a tensor");
  if (request.fetches.empty()) return Invalid("Must specify at least one target to fetch or execute.");
  const Signature* const signature = Match(request, *handle);
  if (signature == nullptr)
    return Status(Code::kNotFound,
                  "SessionRun: no signature of the model has exactly these feeds and these fetches: "
                  "only tensors of one signature can be run");
  std::vector<Literal> inputs(signature->inputs.size());
  std::vector<bool> fed(inputs.size());
  for (const auto& [name, tensor] : request.feeds) {
    const auto at = static_cast<std::size_t>(IndexOf(signature->inputs, name, request.by_alias));
    if (fed[at]) return Invalid(fmt::format("SessionRun: {} is fed more than once", name));
    fed[at] = true;
    TENON_ASSIGN_OR_RETURN(inputs[at], rpc::RequestTensor(tensor, call.owner, options_.budget.get()));
    if (inputs[at].dtype() != signature->inputs[at].dtype)
      return Invalid(fmt::format("Expects arg[{}] to be {} but {} is provided", at,
                                 TfTypeName(signature->inputs[at].dtype), TfTypeName(inputs[at].dtype())));
  }
  std::vector<int> wanted;
  for (const std::string& name : request.fetches) wanted.push_back(IndexOf(signature->outputs, name, request.by_alias));
  const CallKind kind{.api = "SessionRun", .entrypoint = "GRPC"};
  return RunThen(
      call, handle, *signature, std::move(inputs), wanted, kind,
      [request = std::move(request)](const ServableHandle& used, const std::vector<Literal>& outputs,
                                     std::string& reply) -> Status {
        Writer writer;
        for (std::size_t i = 0; i < outputs.size(); ++i)
          TENON_RETURN_IF_ERROR(rpc::WriteTensor(writer, 1, &request.fetches[i], outputs[i], rpc::TensorForm::kTyped));
        const rpc::ModelSpec& spec = *request.spec;
        rpc::WriteModelSpec(writer, 3, spec.name, used.id().version, spec.signature_name);
        reply = std::move(writer).Take();
        return {};
      });
}

}  // namespace tenon::serve
