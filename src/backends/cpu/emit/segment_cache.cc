#include "backends/cpu/emit/segment_cache.h"

#include "base/status_macros.h"

namespace tenon::cpu {
namespace {

constexpr std::int64_t kMostPackings = 512;

}  // namespace

SegmentCache::SegmentCache(std::shared_ptr<Packing> packing)
    : packing_(packing != nullptr ? std::move(packing) : std::make_shared<Packing>()) {}

Result<SegmentCache::Function> SegmentCache::Get(const std::string& key, std::int64_t elements,
                                                 const Compile& compile) {
  const std::size_t hash = std::hash<std::string>()(key);
  const std::lock_guard lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->hash != hash || it->key != key) continue;
    entries_.splice(entries_.begin(), entries_, it);
    return it->function;
  }
  // Weights that compiling makes anew (scaled ones) are laid out each time: now and then the collection starts afresh.
  if (++compiles_ % kMostPackings == 0) packing_ = std::make_shared<Packing>();
  TENON_ASSIGN_OR_RETURN(const Function made, compile(packing_));
  entries_.push_front({key, hash, made, elements});
  elements_ += elements;
  while (entries_.size() > kMost || (elements_ > kMostElements && entries_.size() > kFew)) {
    elements_ -= entries_.back().elements;
    entries_.pop_back();
  }
  return made;
}

std::string SegmentCache::Explain() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const Entry& entry : entries_) out += entry.function->Explain();
  return out;
}

}  // namespace tenon::cpu
