#include "serve/grpc/health.h"

#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"

namespace tenon::serve::rpc {

Result<std::string> ParseHealthRequest(std::string_view bytes) {
  const proto_wire::Place place("HealthCheckRequest", bytes);
  std::string service;
  proto_wire::Reader reader(bytes, place);
  while (reader.Next())
    if (reader.number() == 1) reader.Get(&service);
  if (!reader.status().ok()) return reader.status();
  return service;
}

bool HasHealth(std::string_view service) {
  return service.empty() || service == "tensorflow.serving.ModelService" ||
         service == "tensorflow.serving.PredictionService" || service == "ModelService" ||
         service == "PredictionService";
}

std::string HealthResponse(std::string_view service, bool serving) {
  proto_wire::Writer writer;
  writer.Varint(1, !HasHealth(service) ? 3 : serving ? 1 : 2);
  return std::move(writer).Take();
}

}  // namespace tenon::serve::rpc
