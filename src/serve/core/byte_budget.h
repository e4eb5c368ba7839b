// ByteBudget: how many bytes of requests, and of answers that wait, a server holds at a time, over all its connections.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "serve/core/metrics.h"
#include "tenon/status.h"

namespace tenon::serve {

/// What holds bytes of requests or answers adds and takes them away; what wants to hold more asks first. The last
/// eighth is kept for small requests, so that large ones that come slowly do not shut out the others. Where asking and
/// adding are two steps (Admits), the sum may go beyond the limit by what the I/O threads ask for at the same moment.
/// Bytes that are counted keep the budget alive: their holders need but a pointer. Any thread.
class ByteBudget {
 public:
  static constexpr std::size_t kSmall = 64 << 10;  // bytes of a small request

  /// `limit` 0: none. `refused` (may be null) counts requests that Refuse was called for.
  static std::shared_ptr<ByteBudget> Make(std::int64_t limit, Counter* refused = nullptr) {
    return {new ByteBudget(limit, refused), [](ByteBudget* budget) { budget->Take(kOwned); }};
  }

  /// Whether a request may take `more`; `total` is what it will have in the end, as far as it says.
  bool Admits(std::size_t total, std::size_t more) const {
    if (limit_ <= 0) return true;
    return used() + static_cast<std::int64_t>(more) <= TopFor(total);
  }
  /// Adds `more` when a request may take them, in one step.
  bool TryAdd(std::size_t total, std::size_t more) {
    Add(more);
    if (limit_ <= 0 || used() <= TopFor(total)) return true;
    Remove(more);
    return false;
  }
  /// What the largest request may have that fits when nothing else is there.
  std::size_t most() const {
    if (limit_ <= 0) return SIZE_MAX;
    return static_cast<std::size_t>(std::max(limit_ - limit_ / 8, std::min<std::int64_t>(limit_, kSmall)));
  }
  /// What a large request may still take; at most `most`.
  std::size_t Room(std::size_t most) const;
  /// Less than half is used: nobody needs to be sparing.
  bool easy() const { return limit_ <= 0 || used() < limit_ / 2; }
  /// Counts a request that is refused, or its answer. kResourceExhausted; the text says what is full.
  Status Refuse() const;
  /// The same for a request that has more than most(): it would not fit later either.
  Status RefuseForEver() const;

  void Add(std::size_t bytes) { used_.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed); }
  void Remove(std::size_t bytes) { Take(static_cast<std::int64_t>(bytes)); }
  std::int64_t used() const { return used_.load(std::memory_order_relaxed) & (kOwned - 1); }
  std::int64_t limit() const { return limit_; }

 private:
  static constexpr std::int64_t kOwned = std::int64_t{1} << 62;  // counted while the owners hold it
  ByteBudget(std::int64_t limit, Counter* refused) : limit_(limit), refused_(refused) {}
  ~ByteBudget() = default;
  std::int64_t TopFor(std::size_t total) const { return total <= kSmall ? limit_ : limit_ - limit_ / 8; }
  void Take(std::int64_t bytes) {
    if (used_.fetch_sub(bytes, std::memory_order_acq_rel) == bytes) delete this;
  }

  const std::int64_t limit_;
  Counter* const refused_;
  std::atomic<std::int64_t> used_{kOwned};
};

/// Bytes of one holder. A null budget counts nothing. Not thread-safe.
class HeldBytes {
 public:
  explicit HeldBytes(ByteBudget* budget = nullptr) : budget_(budget) {}
  ~HeldBytes() { Set(0); }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;
  void Set(std::size_t bytes) {
    if (bytes == bytes_) return;
    if (budget_ != nullptr && bytes > bytes_) budget_->Add(bytes - bytes_);
    if (budget_ != nullptr && bytes < bytes_) budget_->Remove(bytes_ - bytes);
    bytes_ = bytes;
  }
  /// Holds `bytes` in all, at least as many as before, when the budget has room for them; else Refuse or RefuseForEver.
  Status Grow(std::size_t bytes) {
    if (budget_ != nullptr && bytes > bytes_ && !budget_->TryAdd(bytes, bytes - bytes_))
      return bytes > budget_->most() ? budget_->RefuseForEver() : budget_->Refuse();
    bytes_ = std::max(bytes, bytes_);
    return {};
  }

 private:
  ByteBudget* const budget_;
  std::size_t bytes_ = 0;
};

/// An allocator whose memory counts until it is given back. A null budget counts nothing.
template <class T>
struct BudgetAllocator {
  using value_type = T;
  explicit BudgetAllocator(ByteBudget* b) : budget(b) {}
  template <class U>
  BudgetAllocator(const BudgetAllocator<U>& other) : budget(other.budget) {}  // NOLINT: as allocators convert
  T* allocate(std::size_t n) {
    T* const memory = std::allocator<T>().allocate(n);
    if (budget != nullptr) budget->Add(n * sizeof(T));
    return memory;
  }
  void deallocate(T* memory, std::size_t n) {
    std::allocator<T>().deallocate(memory, n);
    if (budget != nullptr) budget->Remove(n * sizeof(T));
  }
  template <class U>
  friend bool operator==(const BudgetAllocator& a, const BudgetAllocator<U>& b) {
    return a.budget == b.budget;
  }
  ByteBudget* budget;
};

}  // namespace tenon::serve
