// ModelSpec: which servable and signature a message means.
//
//   ModelSpec  name 1, version 2 (Int64Value {value 1}) or version_label 4, signature_name 3
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"
#include "serve/core/manager.h"

namespace tenon::serve::rpc {

struct ModelSpec {
  std::string name = {};
  std::string signature_name = {};
  std::optional<std::int64_t> version = {};
  std::optional<std::string> label = {};  // never together with version
};

Status ParseModelSpec(std::string_view bytes, const proto_wire::Place& place, ModelSpec* spec);
/// The field "model_spec" at which the reader of a request at `place` stands; a second one is merged with the first.
Status ParseModelSpec(proto_wire::Reader& field, const proto_wire::Place& place, std::optional<ModelSpec>* spec);

inline Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

/// `version` < 0 writes none.
void WriteModelSpec(proto_wire::Writer& writer, std::uint32_t field, std::string_view name, std::int64_t version,
                    std::string_view signature_name);

/// The version that it names. kInvalidArgument "Missing ModelSpec" for none, "ModelSpec has no name specified."; and
/// the errors of ServingMap.
Result<ServableHandle> FindServable(const Manager& manager, const std::optional<ModelSpec>& spec);

/// The same for the first field `number` of a request, without an error text: for a look ahead. Empty when there is
/// none.
ServableHandle PeekServable(const Manager& manager, std::string_view request, std::uint32_t number);

}  // namespace tenon::serve::rpc
