// load and save: every format, both ways.
#pragma once
#include <cstdint>
#include <string>

#include "tenon/module.h"

namespace tenon {

/// kAuto: save() goes by the name (.tenon, .onnx; a folder is a SavedModel), load() by the content.
enum class Format { kAuto, kTenon, kOnnx, kSavedModel, kKeras, kTfLite, kTorch, kTfJs };
/// "onnx", "saved_model", …
TENON_API std::string_view format_name(Format format);
TENON_API std::optional<Format> format_from_name(std::string_view name);

struct SaveOptions {
  Format format = Format::kAuto;
  int onnx_opset = 21;  // 13..28
  /// ONNX: weights of this many bytes and more go to a side file in the model's folder, NAME.data. Negative: only where
  /// the file would pass 2 GiB, the limit of its encoding.
  std::int64_t onnx_external_threshold = -1;
};
struct LoadOptions {
  Format format = Format::kAuto;
  /// ONNX: initializers that stand where an operator has weights become Variables, to be trained further
  /// (keras/module_layer.h); means and variances of batch normalizations are Variables that no optimizer changes.
  bool trainable_weights = false;
};

/// Atomic: a failed save leaves the old file whole. All ops that cannot be written are reported at once. kUnimplemented
/// for a format that this version cannot write.
TENON_API Result<void> save(const Module& module, const std::string& path, SaveOptions options = {});
/// kNotFound, kInvalidArgument or kDataLoss with the place in the file; kUnimplemented lists every op that is not
/// known.
TENON_API Result<Module> load(const std::string& path, LoadOptions options = {});
/// What load() would take the file for; kInvalidArgument when nothing fits.
TENON_API Result<Format> detect_format(const std::string& path);

}  // namespace tenon
