// onnx::Model -> ir::Module.
//
// Ops whose meaning is exactly one of ours are found through the ops' records; the others are functions in ops/*.cc,
// one table for each family. Versions of operator sets are dealt with here and nowhere else. Local functions are
// inlined. Sub-graphs (If, Loop, Scan) become closed graphs with explicit captures. Small values that follow from
// constants and shapes are computed while translating, so that Shape -> Gather -> Concat -> Reshape becomes a reshape
// with symbolic dims.
#pragma once
#include <string>

#include "formats/onnx/model.h"
#include "ir/module.h"

namespace tenon::onnx {

struct TranslateOptions {
  /// Weights become Variables (means and variances of BatchNormalization not trainable), in the order of the
  /// initializers; otherwise every initializer is a constant.
  bool trainable_weights = false;
  /// The name of the one function.
  std::string function_name = "serving_default";
};

/// The module has one function; names, order, dtypes and dims of inputs and outputs are the model's. Initializers that
/// are also listed as inputs are no inputs. Values carry their names and the nodes that made them.
/// Errors: Check() and TensorReader's; and one message that lists every node that cannot be translated, with operator,
/// domain, node name and reason (kUnimplemented if each is merely not supported, else kInvalidArgument).
/// The Module needs neither the Model nor the file's bytes afterwards, except that constants view Model::owner's bytes,
/// which they keep alive.
Result<ir::Module> Translate(const Model& model, const TranslateOptions& options = {});

}  // namespace tenon::onnx
