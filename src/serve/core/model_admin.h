// ModelAdmin: how a protocol changes what the server serves.
#pragma once
#include <vector>

#include "tenon/serve.h"

namespace tenon::serve {

/// Implemented by the server, called by the protocols (HandleReloadConfigRequest, the polled config file). Thread-safe.
class ModelAdmin {
 public:
  virtual ~ModelAdmin() = default;

  /// Replaces the whole list of models: loads new ones, unloads those gone, sets the labels. Waits, for a bounded time,
  /// until each new model has an available version or has failed. Nothing changes when the list is refused:
  ///   kInvalidArgument  an empty name or base path, a name given twice, a relative base path, an unknown platform
  ///   kFailedPrecondition  a label of a version that is not available (unless that is allowed), the server not started
  virtual Status ReloadModels(const std::vector<ModelConfig>& models) = 0;
};

}  // namespace tenon::serve
