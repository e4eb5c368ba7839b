// FileSystemSource: a model is a folder, its versions are the sub-folders whose names are whole numbers.
#pragma once
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serve/core/source.h"
#include "serve/core/state_monitor.h"
#include "serve/core/task_pool.h"
#include "tenon/serve.h"

namespace tenon::serve {

/// The versions that `config` asks for among those below its base path, in ascending order.
///   - A child is a version when it is a folder (or a link to one) and its whole name is a decimal int64; leading zeros
///     are fine ("00000123"). Of several names for one number the last in byte order wins.
///   - Specific versions that are missing are left out (and logged).
/// Errors: kNotFound for a missing base path, kUnavailable when it cannot be listed.
Result<std::vector<AspiredVersion>> ListVersions(const ModelConfig& config);

/// Looks at the base path of every model once per interval, each model on its own, so that a slow file system holds up
/// only its own models. A base path that is missing or unreadable changes nothing for the versions loaded from it (the
/// monitor is told why); one that exists without versions unloads them all. Thread-safe.
class FileSystemSource {
 public:
  /// interval 0: one look for each list of models.
  FileSystemSource(std::chrono::milliseconds interval, AspiredSink sink, std::shared_ptr<StateMonitor> monitor);
  ~FileSystemSource();
  FileSystemSource(const FileSystemSource&) = delete;
  FileSystemSource& operator=(const FileSystemSource&) = delete;

  /// Replaces the models and looks at once. Models that are gone get an empty list. kInvalidArgument for an empty name
  /// or base path or a name given twice; nothing is changed then.
  Status SetModels(const std::vector<ModelConfig>& models);
  /// No call of the sink begins after this.
  void Stop();

 private:
  struct Watched {
    ModelConfig config = {};
    bool busy = false;              // a look is under way
    bool again = false;             // another one was asked for meanwhile
    std::string last_error = {};    // logged once, not at every look
    std::string last_missing = {};  // versions, said so
  };
  struct State;
  static void Look(const std::shared_ptr<State>& state, const std::string& model);
  void LookAtAllLocked();
  void Loop();

  std::shared_ptr<State> state_;
  const std::chrono::milliseconds interval_;
  TaskPool pool_;
  std::thread thread_;
};

}  // namespace tenon::serve
