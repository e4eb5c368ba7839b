#include "tensor/block_cache.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "base/sanitizers.h"

namespace tenon {
namespace {

struct Block {
  void* at;
  std::size_t bytes;
  unsigned char fill;
};

void Check(const Block& b) {
  const auto* bytes = static_cast<const unsigned char*>(b.at);
  for (std::size_t i = 0; i < b.bytes; i += b.bytes > 256 ? 61 : 1) ASSERT_EQ(bytes[i], b.fill);
  ASSERT_EQ(bytes[b.bytes - 1], b.fill);
}

// Blocks are aligned, hold their bytes and lie apart, whoever gives them back.
TEST(BlockCache, BlocksOfAllSizesOnTwoThreads) {
  std::vector<Block> blocks;
  const auto turn = [&blocks](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      if (blocks.size() < 50 || random() % 2 == 0) {
        const std::size_t bytes = 1 + random() % (random() % 8 == 0 ? 2 * kCachedBlock : 5000);
        Block b{AllocateBlock(bytes), bytes, static_cast<unsigned char>(random())};
        ASSERT_NE(b.at, nullptr);
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(b.at) % 64, 0U);
        std::memset(b.at, b.fill, bytes);
        blocks.push_back(b);
      } else {
        std::swap(blocks[random() % blocks.size()], blocks.back());
        Check(blocks.back());
        FreeBlock(blocks.back().at, blocks.back().bytes);
        blocks.pop_back();
      }
    }
  };
  turn(1);
  std::thread(turn, 2).join();  // ends with blocks of the first thread
  turn(3);
  for (const Block& b : blocks) {
    Check(b);
    FreeBlock(b.at, b.bytes);
  }
}

#if !defined(TENON_OWN_HEAP)
TEST(BlockCache, GivesTheSameBlockAgain) {
  void* const first = AllocateBlock(3136);
  FreeBlock(first, 3136);
  void* const again = AllocateBlock(3100);  // of the same size class
  EXPECT_EQ(again, first);
  FreeBlock(again, 3100);
}
#endif

}  // namespace
}  // namespace tenon
