// Bytes of an .onnx file -> onnx::Model.
//
// The file is one protobuf message ModelProto (field numbers in parse.cc). Nothing is executed and no other file is
// opened; tensor payloads stay views into `bytes`. Memory is bounded by a small multiple of the file's size.
#pragma once
#include "formats/onnx/model.h"

namespace tenon::onnx {

/// `where` begins every message (the file's path) and becomes Model::path when `owner` is a file's map. `owner` keeps
/// `bytes` alive; without it the caller does. Errors are kInvalidArgument with the place and the byte offset: bad wire
/// format, names that are not UTF-8, messages nested deeper than 100 levels (33 nested sub-graphs), nodes without an
/// operator, attributes without a value, types or attributes that say two things. Any thread.
Result<Model> Parse(std::string_view bytes, std::string_view where, std::shared_ptr<const void> owner = nullptr);

/// Maps the file and parses it; the Model keeps the map.
Result<Model> ParseFile(const std::string& path);

/// One serialized TensorProto (the .pb files of ONNX's test data).
Result<Tensor> ParseTensor(std::string_view bytes, std::string_view where);

}  // namespace tenon::onnx
