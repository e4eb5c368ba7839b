// TensorShapeProto and TensorProto: bytes <-> Shape and Literal.
//
//   TensorShapeProto: dim 2 {size 1, name 2}, unknown_rank 3
//   TensorProto: dtype 1, tensor_shape 2, tensor_content 4 (raw little-endian elements), or values: half 13 (bits of
//     f16 and bf16), float 5, double 6, int 7 (int32, int16, int8, uint8, uint16 and the quantized types), string 8,
//     scomplex 9 and dcomplex 12 (real, imaginary), int64 10, bool 11, uint32 16, uint64 17, float8 18 (bytes)
// Fewer values than elements: the last one is repeated; none at all: zeros.
#pragma once
#include <string>
#include <string_view>

#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"
#include "formats/savedmodel/graph_def.h"

namespace tenon::savedmodel {

/// An absent size is 0, as protobuf has it; below -1 is refused, and more than 254 dims are (TensorFlow's limit).
Status ParseShape(std::string_view bytes, const proto_wire::Place& place, TfShape* shape);
void WriteShape(proto_wire::Writer& writer, std::uint32_t field, const TfShape& shape);

/// Reads dtype and shape and keeps a view of the message; values are looked at by LiteralOf only.
Status ParseTensor(std::string_view bytes, const proto_wire::Place& place, TensorProto* tensor);
void WriteTensor(proto_wire::Writer& writer, std::uint32_t field, const TensorProto& tensor);

/// The value. Elements in tensor_content are viewed in place when `owner` is given (it keeps the bytes alive) and they
/// are aligned, else copied. Splats (fewer values than elements) of more than 2^28 bytes are refused with
/// kResourceExhausted. kInvalidArgument for a shape that is unknown, content of another size, more values than
/// elements (unless `ignore_surplus`, as TensorFlow does at run time) or a type that a Literal cannot hold; `what`
/// starts the messages.
Result<Literal> LiteralOf(const TensorProto& tensor, const std::string& what,
                          const std::shared_ptr<const void>& owner = nullptr, bool ignore_surplus = false);

TensorProto TensorOf(Literal literal);

}  // namespace tenon::savedmodel
