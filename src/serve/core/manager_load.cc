// The loads and unloads of a manager: memory, threads, tries, ends.
#include <fmt/format.h>

#include "base/log.h"
#include "serve/core/manager_core.h"

namespace tenon::serve {
namespace {

using Clock = std::chrono::steady_clock;
using enum HarnessState;

Status NoThread(std::string_view what) {
  return Status(Code::kResourceExhausted, fmt::format("no thread or no memory to {} it", what));
}

}  // namespace

void Manager::Core::Step(LoaderHarness& harness, HarnessState to) {
  if (const Status moved = harness.Move(to); !moved.ok()) base::Log(base::LogLevel::kError, moved.message());
}

/// Reserves the memory (estimating it first) and starts the load, or leaves the entry in kLoadRequested.
void Manager::Core::RequestLoad(const EntryPtr& entry) {
  if (entry->harness.state() == kNew) Step(entry->harness, kLoadRequested);
  if (options.memory_budget > 0) {
    if (!entry->memory) {
      entry->busy = load_pool.Submit([self = shared_from_this(), entry] {
        Result<std::int64_t> bytes = entry->harness.loader()->EstimateMemory();
        const std::lock_guard lock(self->mutex);
        entry->busy = false;
        if (bytes.ok())
          entry->memory = *bytes;
        else
          self->Failed(*entry, bytes.status());
        self->Kick();
      });
      if (!entry->busy) Failed(*entry, NoThread("load"));
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
  entry->busy = load_pool.Submit([self = shared_from_this(), entry] {
    Status status = entry->harness.loader()->Load();
    const std::lock_guard lock(self->mutex);
    self->EndLoad(entry, std::move(status));
  });
  if (!entry->busy) EndLoad(entry, NoThread("load"));
}

void Manager::Core::EndLoad(const EntryPtr& entry, Status status) {
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
  const bool begun = unload_pool.Submit([self = shared_from_this(), entry] {
    entry->harness.loader()->Unload();
    const std::lock_guard lock(self->mutex);
    entry->busy = false;
    self->GiveBackMemory(*entry);
    Step(entry->harness, kDisabled);
    self->Publish(*entry, PublicState::kEnd);
    base::Log(base::LogLevel::kInfo, fmt::format("servable {}: unloaded", entry->harness.id().to_string()));
    self->Kick();
  });
  if (!begun) return;  // without memory for it: tried again at the next tick
  Step(entry->harness, kUnloading);
  entry->busy = true;
}

bool Manager::Core::MemoryMayComeFree() const {
  for (const auto& [name, model] : models)
    for (const EntryPtr& e : model.entries)
      if (IsLeaving(e->harness.state()) || (e->busy && e->harness.reserved_bytes > 0) ||
          (!e->harness.aspired() && e->harness.state() == kReady))
        return true;
  return false;
}

}  // namespace tenon::serve
