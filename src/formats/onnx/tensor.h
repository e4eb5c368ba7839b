// onnx::Tensor -> Literal: every storage form of TensorProto, and external data.
//
// A payload stands in one of: raw_data (little endian, int4 two per byte, low nibble first), the typed field of its
// data type (int32_data also holds the narrow integers, bool, the bits of f16, bf16 and f8, and bytes of two int4;
// float_data also complex64 as pairs; uint64_data also uint32), string_data, or a file beside the model: external_data
// with the keys location (a relative path), offset and length (bytes, decimal).
#pragma once
#include <map>
#include <memory>
#include <string>

#include "base/file.h"
#include "formats/onnx/model.h"

namespace tenon::onnx {

/// Reads tensors of one model. Sizes are checked against the bytes that are there before anything is allocated.
/// raw_data and external data become views (no copy) when they are aligned for their type and something keeps them
/// alive: the Model's owner, or the mapped external file. Not thread-safe.
class TensorReader {
 public:
  /// For a model that was made from `model.path`; external data lies in the folder of that file. Without a path,
  /// external data is refused. `model` must outlive the reader; the Literals need neither.
  explicit TensorReader(const Model& model);

  /// Errors name the tensor: wrong counts, values out of the range of the type, two payloads, none, unsupported types
  /// (kUnimplemented), and for external data paths that are absolute, contain "..", a backslash or a link out of the
  /// folder, or name no regular file, and ranges beyond the file's end.
  Result<Literal> Read(const Tensor& tensor);
  /// The dense form. Refused above 64 MiB plus 64 times the bytes that are stored.
  Result<Literal> Read(const SparseTensor& tensor);

 private:
  Result<std::string_view> External(const Tensor& tensor, std::size_t bytes, std::shared_ptr<const void>* owner);
  Result<std::shared_ptr<const base::MappedFile>> Open(const std::string& location);

  std::string path_;    // of the model
  std::string folder_;  // resolved, empty when there is none
  std::shared_ptr<const void> owner_;
  std::map<std::string, std::shared_ptr<const base::MappedFile>> files_;
};

}  // namespace tenon::onnx
