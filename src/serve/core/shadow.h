// Shadow: a new version proves itself on live traffic before it takes over.
#pragma once
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "serve/core/invoker.h"
#include "serve/core/manager.h"

namespace tenon::serve {

struct ShadowOptions {
  double fraction = 0.1;    // of the serving version's requests that are mirrored
  int promote_after = 100;  // agreeing requests
  /// Two numbers agree when they differ by at most this times the largest magnitude of the output (NaN agrees with
  /// NaN); everything that is no float must be equal.
  double tolerance = 1e-3;
  std::string report_dir = {};  // gets MODEL.VERSION.npz, the inputs and both outputs of the worst request
  std::size_t queue = 64;       // mirrored requests that may wait; more are dropped and counted
};

/// Stands between a source and the manager. When a version newer than the serving one appears, both are loaded and the
/// old one stays the latest. A share of its requests is repeated on the new one, on a thread of its own, off the
/// request path. After `promote_after` agreeing requests the new version takes over; when more than a hundredth of that
/// number disagree it is held back and unloaded until its number disappears or a newer one comes. Thread-safe.
class Shadow : public RunObserver {
 public:
  Shadow(ShadowOptions options, std::shared_ptr<Manager> manager, std::shared_ptr<ServerMetrics> metrics);
  ~Shadow() override;  // Stop

  /// What the source announces; takes the place of Manager::SetAspired.
  void SetAspired(const std::string& model, std::vector<AspiredVersion> versions);
  /// Ends the mirroring and joins the thread. Idempotent.
  void Stop();

  bool Wants(const ServableId& id, const Signature& signature) override;
  void Ran(const ServableHandle& handle, const Signature& signature, const std::vector<Literal>& inputs,
           std::span<const int> wanted, const Result<std::vector<Literal>>& outputs) override;

  /// {"state": "NONE" | "SHADOW" | "PROMOTED" | "HELD_BACK", "serving_version", "shadow_version", "agreed",
  /// "disagreed", "dropped", "promote_after", "worst": {"signature", "output", "difference", "reason", "file"}};
  /// nothing for a model never heard of. "difference" is relative, as `tolerance` is.
  std::optional<std::string> Report(std::string_view model) const;

 private:
  struct Worst {
    std::string signature, output, reason, file;
    double difference = -1;
  };
  struct Model {
    std::vector<AspiredVersion> announced;
    std::optional<AspiredVersion> serving, shadow;
    std::vector<AspiredVersion> held_back;
    std::string state = "NONE";
    std::int64_t version = 0;  // that the numbers are of
    int agreed = 0, disagreed = 0, dropped = 0;
    Worst worst;
  };
  struct Mirrored {
    std::string model;
    std::int64_t version = 0;  // of the shadow
    std::string signature;
    std::vector<Literal> inputs;
    std::vector<int> wanted;
    std::vector<Literal> outputs;
  };
  void Apply(const std::string& name, Model& model);
  void Loop();
  void Compare(const Mirrored& request);
  void Judge(const Mirrored& request, const Worst& found, const std::vector<Literal>& outputs);
  std::string Save(const Mirrored& request, const std::vector<Literal>& outputs) const;

  const ShadowOptions options_;
  const std::shared_ptr<Manager> manager_;
  const std::shared_ptr<ServerMetrics> metrics_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::map<std::string, Model, std::less<>> models_;
  std::deque<Mirrored> queue_;
  std::atomic<int> active_{0};  // models with a shadow
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tenon::serve
