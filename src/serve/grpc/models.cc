// GetModelMetadata and GetModelStatus.
//
//   GetModelMetadataRequest   model_spec 1, metadata_field 2 repeated string
//   GetModelMetadataResponse  model_spec 1, metadata 2 map<string, Any {type_url 1, value 2}>
//   SignatureDefMap           signature_def 1 map<string, SignatureDef {inputs 1, outputs 2: map<string, TensorInfo>,
//                             method_name 3}>
//   TensorInfo                name 1, dtype 2, tensor_shape 3 {dim 2 {size 1}, unknown_rank 3}
//   GetModelStatusRequest     model_spec 1
//   GetModelStatusResponse    model_version_status 1 {version 1, state 2, status 3 {error_code 1, error_message 2}}
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/tensor_proto.h"
#include "serve/grpc/handler.h"
#include "serve/grpc/model_spec.h"

namespace tenon::serve {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;
using rpc::Invalid;

struct Request {
  std::optional<rpc::ModelSpec> spec;
  std::vector<std::string> fields;
};

Status Parse(std::string_view bytes, const Place& place, Request* request) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) {
      TENON_RETURN_IF_ERROR(rpc::ParseModelSpec(reader, place, &request->spec));
    } else if (reader.number() == 2) {
      request->fields.emplace_back();
      reader.Get(&request->fields.back());
    }
  }
  return reader.status();
}

constexpr int kReference = 100;  // on top of a type's number

void WriteTensors(Writer& writer, std::uint32_t field, const std::vector<TensorInfo>& tensors, bool internal) {
  for (const TensorInfo& t : tensors)
    writer.MapEntry(field, t.alias, [&] {
      writer.Text(1, t.tensor_name);
      if (!internal)
        writer.Varint(2, static_cast<int>(savedmodel::TfOfDType(t.dtype)) + (t.is_reference ? kReference : 0));
      savedmodel::WriteShape(writer, 3, savedmodel::TfShape{t.unknown_rank, t.dims});
    });
}

}  // namespace

Status GrpcHandler::GetModelMetadata(std::string_view bytes, std::string& reply) const {
  Request request;
  TENON_RETURN_IF_ERROR(Parse(bytes, Place("GetModelMetadataRequest", bytes), &request));
  if (request.fields.empty()) return Invalid("GetModelMetadataRequest must specify at least one metadata_field");
  for (const std::string& field : request.fields)
    if (field != "signature_def") return Invalid(fmt::format("Metadata field {} is not supported", field));
  TENON_ASSIGN_OR_RETURN(const ServableHandle handle, rpc::FindServable(*manager_, request.spec));
  Writer map;
  for (const Signature& s : handle->signatures())
    map.MapEntry(1, s.name, [&] {
      WriteTensors(map, 1, s.inputs, s.internal);
      WriteTensors(map, 2, s.outputs, s.internal);
      map.Text(3, s.method_name);
      for (const TensorInfo& input : s.inputs)
        if (input.default_value && rpc::TensorSize(*input.default_value, rpc::TensorForm::kTyped).ok())
          map.MapEntry(4, input.alias,
                       [&] { rpc::WriteTensorBody(map, *input.default_value, rpc::TensorForm::kTyped); });
    });
  Writer writer;
  rpc::WriteModelSpec(writer, 1, handle.id().name, handle.id().version, "");
  writer.MapEntry(2, "signature_def", [&] {
    writer.Bytes(1, "type.googleapis.com/tensorflow.serving.SignatureDefMap");
    writer.Bytes(2, map.bytes());
  });
  reply = std::move(writer).Take();
  return {};
}

Status GrpcHandler::GetModelStatus(std::string_view bytes, std::string& reply) const {
  Request request;
  TENON_RETURN_IF_ERROR(Parse(bytes, Place("GetModelStatusRequest", bytes), &request));
  if (!request.spec) return Invalid("Missing ModelSpec");
  const std::string& model = request.spec->name;
  std::vector<VersionStatus> versions = manager_->monitor().Versions(model);
  if (request.spec->version)
    std::erase_if(versions, [&](const VersionStatus& v) { return v.version != *request.spec->version; });
  if (versions.empty())
    return Status(Code::kNotFound,
                  request.spec->version
                      ? fmt::format("Could not find version {} of model {}", *request.spec->version, model)
                      : fmt::format("Could not find any versions of model {}", model));
  Writer writer;
  for (const VersionStatus& v : versions)
    writer.Message(1, [&] {
      if (v.version != 0) writer.Varint(1, v.version);
      if (v.state != PublicState::kUnknown) writer.Varint(2, v.state);
      writer.Message(3, [&] {
        if (!v.status.ok()) writer.Varint(1, v.status.code());
        writer.Text(2, v.status.message());
      });
    });
  reply = std::move(writer).Take();
  return {};
}

}  // namespace tenon::serve
