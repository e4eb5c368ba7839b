#include "tensor/block_cache.h"

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "base/sanitizers.h"

namespace tenon {
namespace {

constexpr std::size_t kAlign = 64;

#if defined(TENON_OWN_HEAP)
constexpr bool kKeep = false;  // a block in use after its end must be seen
#else
constexpr bool kKeep = true;
#endif

/// Sizes in units of kAlign: 1, 2, 3, 4, then four a doubling: 5, 6, 7, 8, 10, 12, 14, 16, 20, … 1024. So at most a
/// fifth of a block is not used.
constexpr std::size_t ClassOf(std::size_t units) {
  if (units <= 4) return units - 1;
  const auto doubling =
      static_cast<std::size_t>(std::bit_width(units - 1)) - 1;  // units in (2^doubling, 2^(doubling+1)]
  return 4 * (doubling - 2) + 4 + ((units - 1) >> (doubling - 2)) - 4;
}
constexpr std::size_t UnitsOf(std::size_t size_class) {
  if (size_class < 4) return size_class + 1;
  return (size_class % 4 + 5) << (size_class / 4 - 1);
}
constexpr std::size_t kClasses = ClassOf(kCachedBlock / kAlign) + 1;
static_assert(UnitsOf(kClasses - 1) == kCachedBlock / kAlign);

/// This thread's free blocks by class, each pointing to the next one.
thread_local std::array<void*, kClasses> free_blocks{};
thread_local std::size_t free_bytes = 0;
thread_local bool ended = false;  // the thread ends: nothing is kept any more

struct AtEnd {
  AtEnd() = default;
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;
  ~AtEnd() {
    ended = true;
    for (void*& first : free_blocks)
      while (first != nullptr) {
        void* next;
        std::memcpy(&next, first, sizeof next);
        std::free(first);
        first = next;
      }
  }
  bool there = true;
};
thread_local AtEnd at_end;

void* Aligned(std::size_t bytes) {
  void* block = nullptr;  // aligned_alloc takes multiples of the alignment only
  return ::posix_memalign(&block, kAlign, bytes) == 0 ? block : nullptr;
}

}  // namespace

void* AllocateBlock(std::size_t bytes) {
  if (!kKeep || bytes > kCachedBlock) return Aligned((bytes + kAlign - 1) / kAlign * kAlign);
  const std::size_t at = ClassOf((bytes + kAlign - 1) / kAlign), whole = UnitsOf(at) * kAlign;
  void* const block = free_blocks[at];
  if (block == nullptr) return Aligned(whole);
  std::memcpy(&free_blocks[at], block, sizeof(void*));
  free_bytes -= whole;
  return block;
}

void FreeBlock(void* block, std::size_t bytes) {
  if (kKeep && bytes <= kCachedBlock && !ended && at_end.there) {  // the first use asks for its end
    const std::size_t at = ClassOf((bytes + kAlign - 1) / kAlign), whole = UnitsOf(at) * kAlign;
    if (free_bytes + whole <= kCachedByThread) {
      std::memcpy(block, &free_blocks[at], sizeof(void*));
      free_blocks[at] = block;
      free_bytes += whole;
      return;
    }
  }
  std::free(block);
}

}  // namespace tenon
