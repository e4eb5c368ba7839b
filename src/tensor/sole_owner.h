// Whether storage that may be shared between threads may be written.
#pragma once
#include <atomic>
#include <memory>

#include "base/sanitizers.h"
#include "tenon/types.h"

namespace tenon {

/// Behind a count of references that was read as 1: what other threads did with the object before they let go of it has
/// happened. The count itself is read without that order.
template <class T>
void AfterLastRelease([[maybe_unused]] const std::shared_ptr<T>& object) {
#if defined(TENON_THREAD_SANITIZER)
  const std::shared_ptr<T> counted = object;  // the thread sanitizer knows no fences, but the count's own order
#else
  std::atomic_thread_fence(std::memory_order_acquire);
#endif
}

/// Buffer::unique, also for storage that another thread has held.
inline bool IsSoleOwner(const Buffer& buffer) {
  if (!buffer.unique()) return false;
#if defined(TENON_THREAD_SANITIZER)
  const Buffer counted = buffer;
#else
  std::atomic_thread_fence(std::memory_order_acquire);
#endif
  return true;
}

}  // namespace tenon
