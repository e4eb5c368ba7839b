// onnx::Model -> the bytes of an .onnx file (fields by ascending number, so the same model gives the same bytes), with
// external data when wanted. What Parse reads, Serialize writes back: tensors in raw_data stay there, typed fields stay
// typed, unset stays unset.
#pragma once
#include "formats/onnx/model.h"

namespace tenon::onnx {

struct WriteOptions {
  /// Initializers of this many bytes and more go to a side file; negative: none, unless the model would pass the limit
  /// of 2 GiB, in which case those of 1,024 bytes and more do.
  std::int64_t external_threshold = -1;
  /// Name of the side file, in the model's folder. Empty: the model's file name with ".data" behind it, or, where that
  /// is there already, the first free of ".data-1", ".data-2", …: the old model has its own until the new one is in
  /// place, and then it is removed.
  std::string external_name = {};
};

/// The whole model in one piece. kInvalidArgument when it passes 2 GiB, protobuf's limit: use WriteFile.
Result<std::string> Serialize(const Model& model);
std::string SerializeTensor(const Tensor& tensor);

/// Writes `path` and, when wanted, its side file; both appear whole or not at all (a side file of a given name that is
/// there already is replaced just before the model). Offsets in the side file are
/// multiples of 4,096. External tensors of the model are read from the folder of model.path and written anew.
Status WriteFile(const Model& model, const std::string& path, const WriteOptions& options = {});

}  // namespace tenon::onnx
