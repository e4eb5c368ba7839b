// Manager::Core: the state of a manager; for the files of its members. manager.cc decides what is to happen to which
// version, manager_load.cc makes it happen.
#pragma once
#include <algorithm>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serve/core/loader_harness.h"
#include "serve/core/manager.h"
#include "serve/core/task_pool.h"

namespace tenon::serve {

/// What changes is guarded by `mutex`. Functions are called with it held, except Loop, which takes it.
struct Manager::Core : std::enable_shared_from_this<Manager::Core> {
  /// One version of one model, and what is under way for it.
  struct Entry {
    Entry(ServableId id, std::string path, std::shared_ptr<Loader> loader)
        : harness(std::move(id), std::move(path), std::move(loader)) {}
    LoaderHarness harness;
    std::shared_ptr<const LiveVersion> live;  // while kReady
    std::optional<std::int64_t> memory;       // the estimate, when a budget asks for it
    bool busy = false;                        // a task runs for it
    bool superseded = false;                  // another entry has taken over its version number
  };
  using EntryPtr = std::shared_ptr<Entry>;
  struct Model {
    std::vector<EntryPtr> entries;
    std::optional<std::vector<AspiredVersion>> pending;
  };

  Core(ManagerOptions o, std::shared_ptr<StateMonitor> m)
      : options(std::move(o)),
        monitor(std::move(m)),
        load_pool(ThreadCount(options.load_threads), "tenon-load"),
        unload_pool(ThreadCount(options.unload_threads), "tenon-unload") {}
  /// Of a pool; 0 or less asks for 4 for each CPU.
  static int ThreadCount(int asked) {
    return asked > 0 ? asked : 4 * static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  }

  const ManagerOptions options;
  const std::shared_ptr<StateMonitor> monitor;
  ServingMap serving;

  std::mutex stop_mutex;  // one Stop at a time
  std::mutex mutex;
  std::condition_variable wake, empty;
  std::map<std::string, Model> models;
  std::map<std::string, std::vector<std::int64_t>> held_back;
  std::int64_t reserved = 0;
  bool kicked = false;
  bool stopping = false;                                    // everything is to be unloaded
  bool ended = false;                                       // the loop is to end
  std::vector<std::shared_ptr<const LiveVersion>> dropped;  // released outside the lock
  std::thread thread;
  TaskPool load_pool, unload_pool;

  void Kick() {
    kicked = true;
    wake.notify_all();
  }
  void Publish(const Entry& entry, PublicState state, Status status = {}) {
    if (!entry.superseded) monitor->Publish(entry.harness.id(), state, std::move(status));
  }
  static bool IsLeaving(HarnessState state) {
    return state >= HarnessState::kUnloadRequested && state <= HarnessState::kUnloading;
  }
  /// An arrow that the manager knows to be allowed.
  static void Step(LoaderHarness& harness, HarnessState to);
  void Loop();
  void Tick();
  bool ApplyPending(const std::string& name, Model& model);
  void AddEntry(const std::string& name, Model& model, const AspiredVersion& aspired);
  void Regain(const EntryPtr& entry, Model& model);
  void ApplyPolicy(Model& model);
  void Progress(const EntryPtr& entry);
  void RequestLoad(const EntryPtr& entry);
  void StartLoad(const EntryPtr& entry);
  void EndLoad(const EntryPtr& entry, Status status);
  void Retire(const EntryPtr& entry);
  void StartUnload(const EntryPtr& entry);
  void Failed(Entry& entry, Status why);
  void GiveBackMemory(Entry& entry) {
    reserved -= entry.harness.reserved_bytes;
    entry.harness.reserved_bytes = 0;
  }
  bool MemoryMayComeFree() const;
  void PublishMap();
};

}  // namespace tenon::serve
