// TensorFlow models as Modules. docs/formats/savedmodel.md says which forms and ops are understood.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "ir/module.h"

namespace tenon::savedmodel {

struct LoadOptions {
  /// The meta graph is the one with exactly these tags; empty asks for "serve", or takes the only one.
  std::vector<std::string> tags = {};
  /// Of a frozen GraphDef: names of tensors ("node" or "node:k"). Empty takes every placeholder as an input and every
  /// node that nothing uses as an output.
  std::vector<std::string> inputs = {}, outputs = {};
  /// Of a SavedModel: in the signature of this name the inputs named here get that rank with free dims, whatever the
  /// signature declares. TensorFlow does not check what it is fed against the declared shape either.
  std::string ranks_of = {};
  std::map<std::string, int> input_ranks = {};
};

/// A SavedModel folder: each signature becomes a function, each variable that a signature uses a Variable with its
/// value from the folder's checkpoint. All ops that cannot be translated are named in one message (kUnimplemented).
/// Literals may be views of the mapped files, which live as long as they do.
Result<ir::Module> LoadSavedModel(const std::string& folder, const LoadOptions& options = {});

/// A frozen GraphDef file (.pb): one function, "serving_default".
Result<ir::Module> LoadGraphDef(const std::string& path, const LoadOptions& options = {});

/// Writes a folder that tf.saved_model.load, sessions, TFSMLayer, the TFLite converter and TensorFlow Serving read:
/// each function becomes a signature, variables stay variables (trainable ones can be trained on), symbolic dims are
/// left open. Composites that TensorFlow lacks are lowered. Atomic: an existing folder is replaced as a whole, or
/// stays. kUnimplemented names everything that cannot be written, before anything is; the same module gives the same
/// bytes.
Status SaveSavedModel(const ir::Module& module, const std::string& folder);

}  // namespace tenon::savedmodel
