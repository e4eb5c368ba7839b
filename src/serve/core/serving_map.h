// ServingMap: the versions that are available, found by name without a lock.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "serve/core/servable_handle.h"

namespace tenon::serve {

/// Writers publish a whole new map. A reader keeps the last map it saw in a thread-local slot and looks at one atomic
/// number to learn whether it is still the newest. Maps hold weak references only, so that a map that some idle thread
/// still keeps pins no model.
class ServingMap {
 public:
  ServingMap();

  struct Model {
    std::weak_ptr<const LiveVersion> latest;
    std::vector<std::pair<std::int64_t, std::weak_ptr<const LiveVersion>>> versions;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Labels = std::map<std::string, std::map<std::string, std::int64_t>, std::less<>>;  // model -> label -> version
  using Models = std::unordered_map<std::string, Model, Hash, std::equal_to<>>;

  void Publish(Models models);
  void SetLabels(Labels labels);

  /// kNotFound "Servable not found for request: Latest(m)" or "Specific(m, v)";
  /// kInvalidArgument "Unrecognized servable version label: l".
  Result<ServableHandle> Latest(std::string_view model) const;
  Result<ServableHandle> Specific(std::string_view model, std::int64_t version) const;
  Result<ServableHandle> Labelled(std::string_view model, std::string_view label) const;
  /// The version that a label names; kInvalidArgument as above.
  Result<std::int64_t> LabelVersion(std::string_view model, std::string_view label) const;

 private:
  struct Snapshot {
    std::uint64_t generation = 0;
    Models models;
    Labels labels;
  };
  template <class Pick>
  ServableHandle Find(std::string_view model, Pick pick) const;
  const Snapshot& Current() const;  // valid until this thread's next call
  void PublishLocked(std::shared_ptr<Snapshot> next);

  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> newest_;
  std::atomic<std::uint64_t> generation_{0};  // of newest_; unique in the process
};

}  // namespace tenon::serve
