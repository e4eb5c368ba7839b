#include "serve/core/manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/log.h"
#include "serve/core/task_pool.h"

namespace tenon::serve {
namespace {

using Clock = std::chrono::steady_clock;
using enum HarnessState;

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

bool IsLeaving(HarnessState state) { return state >= kUnloadRequested && state <= kUnloading; }

/// An arrow that the manager knows to be allowed.
void Step(LoaderHarness& harness, HarnessState to) {
  if (const Status moved = harness.Move(to); !moved.ok()) base::Log(base::LogLevel::kError, moved.message());
}

int ThreadCount(int asked) {
  return asked > 0 ? asked : 4 * static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace

struct Manager::Core : std::enable_shared_from_this<Manager::Core> {
  Core(ManagerOptions o, std::shared_ptr<StateMonitor> m)
      : options(std::move(o)),
        monitor(std::move(m)),
        load_pool(ThreadCount(options.load_threads), "tenon-load"),
        unload_pool(ThreadCount(options.unload_threads), "tenon-unload") {}

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

Manager::Manager(ManagerOptions options, std::shared_ptr<StateMonitor> monitor) {
  if (!options.policy) options.policy = MakeAvailabilityPreservingPolicy();
  core_ = std::make_shared<Core>(std::move(options), std::move(monitor));
  core_->thread = std::thread([core = core_.get()] { core->Loop(); });
}

Manager::~Manager() {
  if (const Status s = Stop(Clock::now() + std::chrono::seconds(10)); !s.ok())
    base::Log(base::LogLevel::kWarning, s.message());
}

void Manager::SetAspired(const std::string& model, std::vector<AspiredVersion> versions) {
  const std::lock_guard lock(core_->mutex);
  if (core_->stopping) return;
  core_->models[model].pending = std::move(versions);
  core_->Kick();
}

void Manager::SetHeldBack(const std::string& model, std::vector<std::int64_t> versions) {
  const std::lock_guard lock(core_->mutex);
  if (versions.empty())
    core_->held_back.erase(model);
  else
    core_->held_back[model] = std::move(versions);
  core_->PublishMap();
}

void Manager::SetLoadThreads(int threads) { core_->load_pool.SetLimit(ThreadCount(threads)); }
void Manager::SetLabels(ServingMap::Labels labels) { core_->serving.SetLabels(std::move(labels)); }
const ServingMap& Manager::serving() const { return core_->serving; }
StateMonitor& Manager::monitor() const { return *core_->monitor; }

Status Manager::Stop(Clock::time_point until) {
  const std::lock_guard one(core_->stop_mutex);
  std::string left;
  {
    std::unique_lock lock(core_->mutex);
    core_->stopping = true;
    for (auto& [name, model] : core_->models) model.pending = std::vector<AspiredVersion>();
    core_->Kick();
    if (core_->thread.joinable()) core_->empty.wait_until(lock, until, [&] { return core_->models.empty(); });
    for (const auto& [name, model] : core_->models)
      for (const EntryPtr& entry : model.entries)
        left += fmt::format("{}{} ({})", left.empty() ? "" : ", ", entry->harness.id().to_string(),
                            HarnessStateName(entry->harness.state()));
    core_->ended = true;
    core_->Kick();
  }
  if (core_->thread.joinable()) core_->thread.join();
  core_->load_pool.Stop(until);
  core_->unload_pool.Stop(until);
  if (left.empty()) return {};
  return Status(Code::kDeadlineExceeded, "stop: still in use: " + left);
}

void Manager::Core::Loop() {
  std::unique_lock lock(mutex);
  while (!ended) {
    Tick();
    if (models.empty()) empty.notify_all();
    if (!dropped.empty()) {
      // The last reference may go here, which calls back into this object.
      auto gone = std::move(dropped);
      dropped.clear();
      lock.unlock();
      gone.clear();
      lock.lock();
    }
    wake.wait_for(lock, options.tick, [&] { return kicked || ended; });
    kicked = false;
  }
}

void Manager::Core::Tick() {
  // A version that ended is forgotten once it is no longer aspired: its number may come back as a new one.
  const auto gone = [](const EntryPtr& e) {
    return !e->busy && (e->harness.state() == kDisabled || (e->harness.state() == kError && !e->harness.aspired()));
  };
  for (auto it = models.begin(); it != models.end();) {
    Model& model = it->second;
    std::erase_if(model.entries, gone);
    if (model.pending && ApplyPending(it->first, model)) model.pending.reset();
    ApplyPolicy(model);
    for (const EntryPtr& entry : model.entries) Progress(entry);
    std::erase_if(model.entries, gone);
    it = model.entries.empty() && !model.pending ? models.erase(it) : std::next(it);
  }
}

/// False when it has to wait: a version on its way out is aspired again and must first be gone.
bool Manager::Core::ApplyPending(const std::string& name, Model& model) {
  const auto same = [](const EntryPtr& entry, const AspiredVersion& aspired) {
    return entry->harness.id().version == aspired.version && entry->harness.path() == aspired.path;
  };
  for (const AspiredVersion& aspired : *model.pending)
    for (const EntryPtr& entry : model.entries)
      if (same(entry, aspired) && IsLeaving(entry->harness.state())) return false;
  for (const EntryPtr& entry : model.entries) {
    const bool wanted = std::ranges::any_of(*model.pending, [&](const auto& a) { return same(entry, a); });
    entry->harness.set_aspired(wanted);
    if (wanted && entry->superseded) Regain(entry, model);
  }
  for (const AspiredVersion& aspired : *model.pending)
    if (std::ranges::none_of(model.entries, [&](const EntryPtr& e) { return same(e, aspired); }))
      AddEntry(name, model, aspired);
  for (const EntryPtr& entry : model.entries) {
    const HarnessState state = entry->harness.state();
    if (entry->harness.aspired() || entry->busy || (state != kNew && state != kLoadRequested)) continue;
    Step(entry->harness, kDisabled);
    Publish(*entry, PublicState::kEnd);
  }
  return true;
}

/// The path of a version changed and changed back: its number is the first entry's again, and so is what is said of it.
void Manager::Core::Regain(const EntryPtr& entry, Model& model) {
  for (const EntryPtr& other : model.entries)
    if (other->harness.id().version == entry->harness.id().version) other->superseded = other != entry;
  const HarnessState state = entry->harness.state();
  Publish(*entry,
          state == kReady     ? PublicState::kAvailable
          : state == kLoading ? PublicState::kLoading
          : state == kError   ? PublicState::kEnd
                              : PublicState::kStart,
          entry->harness.status());
  PublishMap();
}

void Manager::Core::AddEntry(const std::string& name, Model& model, const AspiredVersion& aspired) {
  const ServableId id{name, aspired.version};
  for (const EntryPtr& old : model.entries)
    if (old->harness.id().version == aspired.version) old->superseded = true;
  auto entry = std::make_shared<Entry>(id, aspired.path, options.loaders(id, aspired.path));
  Publish(*entry, PublicState::kStart);
  model.entries.push_back(std::move(entry));
}

void Manager::Core::ApplyPolicy(Model& model) {
  std::vector<VersionView> views;
  for (;;) {
    views.clear();
    for (const EntryPtr& e : model.entries)
      views.push_back({e->harness.id().version, e->harness.state(), e->harness.aspired()});
    const std::optional<VersionAction> action = options.policy->Next(views);
    if (!action) return;
    const EntryPtr& entry = model.entries[action->index];
    if (action->kind == VersionAction::Kind::kLoad && entry->harness.state() == kNew)
      RequestLoad(entry);
    else if (action->kind == VersionAction::Kind::kUnload && entry->harness.state() == kReady)
      Retire(entry);
    else
      return;  // not a thing to do: a policy must not keep the loop busy
  }
}

void Manager::Core::Progress(const EntryPtr& entry) {
  if (entry->busy) return;
  switch (entry->harness.state()) {
    case kLoadRequested:
      RequestLoad(entry);
      break;  // it waits for memory
    case kLoading:
      if (!entry->harness.aspired())
        Failed(*entry, Status(Code::kCancelled, fmt::format("servable {}: no longer aspired; the load was given up",
                                                            entry->harness.id().to_string())));
      else if (Clock::now() >= entry->harness.retry_at)
        StartLoad(entry);
      break;
    case kQuiesced:
      StartUnload(entry);
      break;
    default:
      break;
  }
}

/// Reserves the memory (estimating it first) and starts the load, or leaves the entry in kLoadRequested.
void Manager::Core::RequestLoad(const EntryPtr& entry) {
  if (entry->harness.state() == kNew) Step(entry->harness, kLoadRequested);
  if (options.memory_budget > 0) {
    if (!entry->memory) {
      entry->busy = true;
      load_pool.Submit([self = shared_from_this(), entry] {
        Result<std::int64_t> bytes = entry->harness.loader()->EstimateMemory();
        const std::lock_guard lock(self->mutex);
        entry->busy = false;
        if (bytes.ok())
          entry->memory = *bytes;
        else
          self->Failed(*entry, bytes.status());
        self->Kick();
      });
      return;
    }
    if (*entry->memory > options.memory_budget - reserved) {
      if (MemoryMayComeFree()) return;
      Failed(*entry,
             Status(Code::kResourceExhausted,
                    fmt::format("servable {}: takes about {} bytes, {} of {} are free", entry->harness.id().to_string(),
                                *entry->memory, options.memory_budget - reserved, options.memory_budget)));
      return;
    }
    entry->harness.reserved_bytes = *entry->memory;
    reserved += *entry->memory;
  }
  Step(entry->harness, kLoadApproved);
  StartLoad(entry);
}

void Manager::Core::StartLoad(const EntryPtr& entry) {
  Step(entry->harness, kLoading);
  if (entry->harness.attempts == 0) Publish(*entry, PublicState::kLoading);
  entry->busy = true;
  load_pool.Submit([self = shared_from_this(), entry] { self->EndLoad(entry, entry->harness.loader()->Load()); });
}

void Manager::Core::EndLoad(const EntryPtr& entry, Status status) {
  const std::lock_guard lock(mutex);
  entry->busy = false;
  LoaderHarness& harness = entry->harness;
  ++harness.attempts;
  if (status.ok()) {
    Step(harness, kReady);
    const std::weak_ptr<Core> weak = weak_from_this();
    const std::weak_ptr<Entry> weak_entry = entry;
    entry->live = std::make_shared<const LiveVersion>(harness.id(), harness.loader(), [weak, weak_entry] {
      const auto self = weak.lock();
      const auto released = weak_entry.lock();
      if (!self || !released) return;
      const std::lock_guard again(self->mutex);
      if (released->harness.state() != kQuiescing) return;
      Step(released->harness, kQuiesced);
      self->Kick();
    });
    PublishMap();  // before the event: whoever hears of it can use it
    Publish(*entry, PublicState::kAvailable);
    base::Log(base::LogLevel::kInfo, fmt::format("servable {}: available", harness.id().to_string()));
  } else if (harness.aspired() && harness.attempts <= options.max_load_retries) {
    base::Log(base::LogLevel::kError,
              fmt::format("servable {}: load failed ({} of {} attempts): {}", harness.id().to_string(),
                          harness.attempts, std::int64_t{options.max_load_retries} + 1, status.message()));
    harness.retry_at = Clock::now() + options.load_retry_interval;
    monitor->PublishFailedAttempt(harness.id(), std::move(status));
  } else {
    Failed(*entry, std::move(status));
  }
  Kick();
}

void Manager::Core::Failed(Entry& entry, Status why) {
  base::Log(why.code() == Code::kCancelled ? base::LogLevel::kInfo : base::LogLevel::kError,
            fmt::format("servable {}: not loaded: {}", entry.harness.id().to_string(), why.message()));
  GiveBackMemory(entry);
  entry.harness.Fail(why);
  Publish(entry, PublicState::kEnd, std::move(why));
}

void Manager::Core::Retire(const EntryPtr& entry) {
  Step(entry->harness, kUnloadRequested);
  Publish(*entry, PublicState::kUnloading);
  Step(entry->harness, kQuiescing);
  auto live = std::move(entry->live);
  entry->live.reset();
  PublishMap();  // no new handle from here on
  dropped.push_back(std::move(live));
}

void Manager::Core::StartUnload(const EntryPtr& entry) {
  Step(entry->harness, kUnloading);
  entry->busy = true;
  unload_pool.Submit([self = shared_from_this(), entry] {
    entry->harness.loader()->Unload();
    const std::lock_guard lock(self->mutex);
    entry->busy = false;
    self->GiveBackMemory(*entry);
    Step(entry->harness, kDisabled);
    self->Publish(*entry, PublicState::kEnd);
    base::Log(base::LogLevel::kInfo, fmt::format("servable {}: unloaded", entry->harness.id().to_string()));
    self->Kick();
  });
}

bool Manager::Core::MemoryMayComeFree() const {
  for (const auto& [name, model] : models)
    for (const EntryPtr& e : model.entries)
      if (IsLeaving(e->harness.state()) || (e->busy && e->harness.reserved_bytes > 0) ||
          (!e->harness.aspired() && e->harness.state() == kReady))
        return true;
  return false;
}

void Manager::Core::PublishMap() {
  ServingMap::Models out;
  for (const auto& [name, model] : models) {
    // Of two entries for one number (the path changed) the one that is aspired stands.
    std::map<std::int64_t, const Entry*> ready;
    for (const EntryPtr& e : model.entries) {
      if (e->harness.state() != kReady || !e->live) continue;
      const Entry*& slot = ready[e->harness.id().version];
      if (slot == nullptr || slot->superseded) slot = e.get();
    }
    if (ready.empty()) continue;
    ServingMap::Model& to = out[name];
    for (const auto& [version, entry] : ready) to.versions.emplace_back(version, entry->live);
    to.latest = to.versions.back().second;
    const auto held = held_back.find(name);
    for (const auto& [version, live] : to.versions)
      if (held != held_back.end() && std::ranges::find(held->second, version) == held->second.end()) to.latest = live;
  }
  serving.Publish(std::move(out));
}

}  // namespace tenon::serve
