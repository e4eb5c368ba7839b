// For tests: memory that is refused. Included by one file of a test program: it has the program's operator new.
#pragma once
#include <cstdlib>
#include <new>

namespace tenon::serve::testing {

/// Of this thread: how many allocations by operator new are still granted before each is refused. Negative: all are.
inline thread_local int granted = -1;
inline thread_local bool once = false;  // only the first of them is

/// Within its life this thread's allocations are refused from the one behind `granted_first` on.
class NoMemory {
 public:
  explicit NoMemory(int granted_first) { granted = granted_first; }
  ~NoMemory() { granted = -1; }
  NoMemory(const NoMemory&) = delete;
  NoMemory& operator=(const NoMemory&) = delete;
};

}  // namespace tenon::serve::testing

// NOLINTBEGIN(misc-definitions-in-headers): one file of a program includes this
[[gnu::noinline]] void* operator new(std::size_t size) {
  int& granted = tenon::serve::testing::granted;
  if (granted == 0) {
    if (tenon::serve::testing::once) granted = -1;
    throw std::bad_alloc();
  }
  if (granted > 0) --granted;
  if (void* const p = std::malloc(size > 0 ? size : 1)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
// NOLINTEND(misc-definitions-in-headers)
