// Literal -> TensorProto (tensor_proto.h of formats/savedmodel describes the message and reads it).
#pragma once
#include <cstdint>

#include "formats/proto_wire/wire_writer.h"
#include "tenon/types.h"

namespace tenon::serve::rpc {

enum class TensorForm {
  kTyped,    // float_val, int_val, …: what clients of TensorFlow Serving read by default
  kContent,  // tensor_content, but for strings
};

/// Bytes of the message. kUnimplemented for an element type that TensorFlow has not.
Result<std::size_t> TensorSize(const Literal& literal, TensorForm form);
/// The fields of the message, TensorSize bytes, without a tag and length around them.
void WriteTensorBody(proto_wire::Writer& writer, const Literal& literal, TensorForm form);
/// A field that holds the message; `key` not null: an entry of a map of them.
Status WriteTensor(proto_wire::Writer& writer, std::uint32_t field, const std::string* key, const Literal& literal,
                   TensorForm form);

}  // namespace tenon::serve::rpc
