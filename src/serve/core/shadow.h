// Shadow: a new version proves itself on live traffic before it takes over.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
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

/// How two versions differ in one output, in the same measure as its limit.
struct ShadowDifference {
  double difference = 0, limit = 0;
  std::string reason = {};
  bool agrees() const { return difference <= limit; }
};
/// Judges two outputs by what rounding explains: `serving` and `shadow` as computed, each beside the same in float64.
using ShadowCompare = std::function<ShadowDifference(const Literal& serving, const Literal& serving_wide,
                                                     const Literal& shadow, const Literal& shadow_wide)>;

struct ShadowOptions {
  double fraction = 0.1;    // of the serving version's requests that are mirrored
  int promote_after = 100;  // agreeing requests
  /// 0: outputs agree when they are the same, or when `compare` says that rounding explains what differs. Where a
  /// version has no run in float64, kShadowFallback stands in for it.
  /// Above 0: numbers agree when they differ by at most this times the largest magnitude of the output (NaN agrees with
  /// NaN); everything that is no float must be equal. Meant for versions that are not the same function (retrained).
  double tolerance = 0;
  ShadowCompare compare = {};
  std::string report_dir = {};  // gets MODEL.VERSION.npz, the inputs and both outputs of the worst request
  std::size_t queue = 64;       // mirrored requests that may wait; more are dropped and counted
};

inline constexpr double kShadowFallback = 1e-3;  // relative, as ShadowOptions::tolerance

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
           std::span<const int> wanted, const CallKind& call, const Result<std::vector<Literal>>& outputs) override;

  /// {"state": "NONE" | "SHADOW" | "PROMOTED" | "HELD_BACK", "serving_version", "shadow_version", "agreed",
  /// "disagreed", "dropped", "promote_after", "tolerance", "worst": {"signature", "output", "measure", "difference",
  /// "limit", "reason", "file"}}; nothing for a model never heard of. "measure" is "budget" (difference and limit are
  /// absolute, the limit is what rounding explains) or "relative" (to the largest magnitude of the output).
  std::optional<std::string> Report(std::string_view model) const;

 private:
  struct Worst {
    std::string signature, output, reason, file, measure = "relative";
    double difference = -1, limit = 0;
    /// How far beyond its limit: above 1 is a disagreement.
    double excess() const { return difference <= 0 ? difference : difference / limit; }
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
    std::int64_t serving = 0, version = 0;  // of the shadow
    std::string signature;
    std::vector<Literal> inputs;
    std::vector<int> wanted;
    std::vector<Literal> outputs;
  };
  void Apply(const std::string& name, Model& model);
  void Loop();
  void Compare(const Mirrored& request);
  void CompareOutputs(const Mirrored& request, const ServableHandle& shadow, const Signature& signature,
                      const std::vector<Literal>& outputs, Worst& found) const;
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
