#include "backends/cpu/emit/segment_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace tenon::cpu {
namespace {

using Made = Result<std::unique_ptr<runtime::CompiledFunction>>;

class Named : public runtime::CompiledFunction {
 public:
  explicit Named(std::string name) : CompiledFunction({}, {}), name_(std::move(name)) {}
  std::unique_ptr<runtime::Context> NewContext() const override { return nullptr; }
  Status Prepare(const std::vector<std::vector<std::int64_t>>&) const override { return {}; }
  std::string Explain() const override { return name_ + "\n"; }

 private:
  std::string name_;
};

// Whether the segment had to be compiled.
bool Compiles(SegmentCache& cache, const std::string& key, std::int64_t elements) {
  bool compiled = false;
  const Result<SegmentCache::Function> got =
      cache.Get(key, elements, [&](const std::shared_ptr<Packing>& packing) -> Made {
        EXPECT_NE(packing, nullptr);
        compiled = true;
        return Made(std::make_unique<Named>(key));
      });
  EXPECT_TRUE(got.ok() && (*got)->Explain() == key + "\n");
  return compiled;
}

TEST(SegmentCache, KeepsWhatWasUsedLast) {
  SegmentCache cache(nullptr);
  for (std::size_t i = 0; i < SegmentCache::kMost; ++i) EXPECT_TRUE(Compiles(cache, std::to_string(i), 1));
  EXPECT_FALSE(Compiles(cache, "0", 1));
  EXPECT_TRUE(Compiles(cache, "one more", 1));  // 1 goes, which was used least recently
  EXPECT_FALSE(Compiles(cache, "0", 1));
  EXPECT_FALSE(Compiles(cache, "2", 1));
  EXPECT_TRUE(Compiles(cache, "1", 1));
}

TEST(SegmentCache, LargeOnesGoButTheFewUsedLast) {
  SegmentCache cache(nullptr);
  for (std::size_t i = 0; i < SegmentCache::kFew + 1; ++i)
    EXPECT_TRUE(Compiles(cache, std::to_string(i), SegmentCache::kMostElements));
  std::string kept;
  for (std::size_t i = SegmentCache::kFew; i > 0; --i) kept += std::to_string(i) + "\n";
  EXPECT_EQ(cache.Explain(), kept);
}

TEST(SegmentCache, KeepsNothingThatDidNotCompile) {
  SegmentCache cache(nullptr);
  const auto fail = [](const std::shared_ptr<Packing>&) -> Made { return Status(Code::kInternal, "no"); };
  EXPECT_FALSE(cache.Get("a", 1, fail).ok());
  EXPECT_TRUE(Compiles(cache, "a", 1));
}

TEST(SegmentCache, ThreadsCompileASegmentOnce) {
  SegmentCache cache(nullptr);
  std::atomic<int> compiled = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) compiled += Compiles(cache, std::to_string(i % 10), 1) ? 1 : 0;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(compiled, 10);
}

}  // namespace
}  // namespace tenon::cpu
