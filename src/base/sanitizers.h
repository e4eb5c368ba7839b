// Which sanitizer this is compiled with, said alike for g++ (which defines __SANITIZE_x__) and clang (__has_feature):
// TENON_ADDRESS_SANITIZER, TENON_THREAD_SANITIZER and TENON_OWN_HEAP, each defined or not. The last one holds where
// malloc and operator new are the sanitizer's, so that a program must not bring its own nor count on glibc's.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define TENON_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TENON_ADDRESS_SANITIZER 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define TENON_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TENON_THREAD_SANITIZER 1
#endif
#endif

#if defined(TENON_ADDRESS_SANITIZER) || defined(TENON_THREAD_SANITIZER)
#define TENON_OWN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define TENON_OWN_HEAP 1
#endif
#endif
