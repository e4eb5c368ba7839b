// ir::Module -> onnx::Model: the reverse of translate.h. write.h then makes the file.
//
// Ops that ONNX has at the target opset are written as themselves; composites that it lacks are written as their
// lowering. Variables and constants become initializers. Names, order, dtypes and named dims of inputs and outputs are
// kept. Convolutions and poolings of a channels-last layout are written with transposes around groups of them.
#pragma once
#include <string>

#include "formats/onnx/check.h"
#include "formats/onnx/model.h"
#include "ir/module.h"

namespace tenon::onnx {

inline constexpr std::int64_t kOldestOpset = 13;  // that can be written; the newest is kNewestOpset

struct ExportOptions {
  /// The signature to write; empty: Module::Signature's choice.
  std::string function = {};
  /// Target operator set, kOldestOpset to kNewestOpset. The IR version follows from it.
  std::int64_t opset = 21;
};

/// Errors: kNotFound for the signature, kInvalidArgument for the opset, kUnimplemented with every node that cannot be
/// written: functions that write Variables (but for the state of draws, "random/state"), ops without a form in ONNX at
/// that opset, dims that no input tells.
Result<Model> Export(const ir::Module& module, const ExportOptions& options = {});

}  // namespace tenon::onnx
