#include "serve/core/manager.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "serve/core/manager_core.h"

namespace tenon::serve {
namespace {

using Clock = std::chrono::steady_clock;
using enum HarnessState;

}  // namespace

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

void Manager::SetLoadThreads(int threads) { core_->load_pool.SetLimit(Core::ThreadCount(threads)); }
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
      for (const Core::EntryPtr& entry : model.entries)
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
