// The object graphs of a written model: what tf.saved_model.load and TFSMLayer read, and what the checkpoint keeps.
//   root: one child for each variable, "variables", "trainable_variables", "non_trainable_variables" (lists),
//   "signatures", and, for the default signature, "__call__" and "serve".
#pragma once
#include <string>
#include <vector>

#include "formats/savedmodel/graph_def.h"
#include "ir/module.h"

namespace tenon::savedmodel {

struct WrittenSignature {
  const ir::Function* function = nullptr;
  std::string concrete;                // the library function
  std::string call;                    // the one behind m(x), of the default signature; else empty
  std::vector<std::size_t> variables;  // of its resource arguments, in order
};

/// The key of a variable in the checkpoint: its path escaped ("." as "..", "/" as ".S") and
/// "/.ATTRIBUTES/VARIABLE_VALUE".
std::string CheckpointKey(const std::string& path);

SavedObjectGraph MakeObjects(const ir::Module& module, const std::vector<WrittenSignature>& signatures);
TrackableGraph MakeTrackable(const SavedObjectGraph& objects);

}  // namespace tenon::savedmodel
