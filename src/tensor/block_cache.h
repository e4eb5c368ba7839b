// Memory of tensors: 64-byte aligned blocks. Small ones that a thread gives back wait there for its next request, which
// the allocator would answer slowly (an aligned block of more than a kilobyte is cut out of a larger one, and joined
// with its neighbours when it is given back).
#pragma once
#include <cstddef>

namespace tenon {

/// Blocks of at most this many bytes are kept.
inline constexpr std::size_t kCachedBlock = std::size_t{64} << 10;
/// Bytes that a thread keeps at most.
inline constexpr std::size_t kCachedByThread = std::size_t{512} << 10;

/// nullptr when there is no memory. `bytes` > 0. Contents are arbitrary.
void* AllocateBlock(std::size_t bytes);
/// Any thread: the block is kept by the one that gives it back. `bytes` as given to AllocateBlock.
void FreeBlock(void* block, std::size_t bytes);

}  // namespace tenon
