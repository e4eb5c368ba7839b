// SegmentCache: the compiled segments of one interpreted graph, by a key that says what a segment computes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "backends/cpu/emit/packing.h"
#include "runtime/executable.h"

namespace tenon::cpu {

/// Any thread; compiling happens under the lock, so that two runs do not compile the same segment.
class SegmentCache {
 public:
  using Function = std::shared_ptr<const runtime::CompiledFunction>;
  using Compile = std::function<Result<std::unique_ptr<runtime::CompiledFunction>>(const std::shared_ptr<Packing>&)>;

  /// How many segments, and how many elements that they compute (their memory follows them), are kept; of the latter
  /// more when the few used last compute more.
  static constexpr std::size_t kMost = 1024, kFew = 8;
  static constexpr std::int64_t kMostElements = std::int64_t{64} << 20;

  /// `packing`: what segments share of their weights; may be null.
  explicit SegmentCache(std::shared_ptr<Packing> packing);
  std::shared_ptr<Packing> packing() const { return packing_; }  // before the first Get

  /// The segment of that key; else what `compile` makes, which is kept, and the least recently used ones go.
  /// `elements`: those that it computes.
  Result<Function> Get(const std::string& key, std::int64_t elements, const Compile& compile);
  /// The steps of all segments, the most recently used first.
  std::string Explain() const;

 private:
  struct Entry {
    std::string key;
    std::size_t hash = 0;  // of the key
    Function function;
    std::int64_t elements = 0;
  };
  mutable std::mutex mutex_;
  std::shared_ptr<Packing> packing_;
  std::int64_t compiles_ = 0;
  std::int64_t elements_ = 0;  // of all entries
  std::list<Entry> entries_;   // most recently used first
};

}  // namespace tenon::cpu
