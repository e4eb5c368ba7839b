// Memory that is there but must not be touched for now, told to the address sanitizer; nothing in other builds.
#pragma once
#include <cstddef>

#include "base/sanitizers.h"

#if defined(TENON_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace tenon::base {

#if defined(TENON_ADDRESS_SANITIZER)
inline constexpr bool kPoison = true;
/// Touching these bytes ends the program with "use-after-poison". `memory` is 8-byte aligned or ends what is allocated.
inline void Poison(const void* memory, std::size_t bytes) { __asan_poison_memory_region(memory, bytes); }
/// They may be touched again.
inline void Unpoison(const void* memory, std::size_t bytes) { __asan_unpoison_memory_region(memory, bytes); }
#else
inline constexpr bool kPoison = false;
inline void Poison(const void*, std::size_t) {}
inline void Unpoison(const void*, std::size_t) {}
#endif

}  // namespace tenon::base
