#include "serve/servables/memory_meter.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstring>

#include "base/sanitizers.h"

namespace tenon::serve {
namespace {

#if !defined(TENON_OWN_HEAP)  // what is measured is glibc's heap

constexpr std::int64_t kMega = 1 << 20;

double MemoryOf(ServerMetrics& metrics, const char* model) { return metrics.model_memory.At({model, "1"}).value(); }

TEST(MemoryMeterTest, MeasuresWhatALoadHolds) {
  const auto metrics = std::make_shared<ServerMetrics>();
  MemoryMeter meter(metrics);
  meter.BeginLoad();
  std::vector<char> weights(24 * kMega, 'w');
  meter.EndLoad({"m", 1}, 1);  // the estimate is far off and does not matter
  EXPECT_NEAR(MemoryOf(*metrics, "m"), 24.0 * kMega, 2.0 * kMega);
}

TEST(MemoryMeterTest, OverlappingLoadsShareWhatTheyTook) {
  const auto metrics = std::make_shared<ServerMetrics>();
  MemoryMeter meter(metrics);
  meter.BeginLoad();
  meter.BeginLoad();
  meter.BeginLoad();
  std::vector<char> small(8 * kMega, 's'), large(24 * kMega, 'l');
  meter.EndLoad({"small", 1}, 100);
  meter.EndLoad({"broken", 1}, 0);
  EXPECT_EQ(MemoryOf(*metrics, "small"), 0);  // not before the last one ends
  meter.EndLoad({"large", 1}, 300);
  EXPECT_NEAR(MemoryOf(*metrics, "small"), 8.0 * kMega, kMega);
  EXPECT_NEAR(MemoryOf(*metrics, "large"), 24.0 * kMega, 2.0 * kMega);
  EXPECT_EQ(MemoryOf(*metrics, "broken"), 0);
}

TEST(MemoryMeterTest, CountsWhatAnUnloadGivesBack) {
  const auto metrics = std::make_shared<ServerMetrics>();
  MemoryMeter meter(metrics);
  auto weights = std::make_unique<std::vector<char>>(32 * kMega, 'w');
  const ProcessMemory before = ProcessMemory::Now();
  weights.reset();
  ::malloc_trim(0);  // as unloads do
  meter.Unloaded({"m", 1}, before, ProcessMemory::Now());
  EXPECT_NEAR(metrics->memory_returned.At({"m", "held"}).value(), 32.0 * kMega, 2.0 * kMega);
  EXPECT_NEAR(metrics->memory_returned.At({"m", "resident"}).value(), 32.0 * kMega, 4.0 * kMega);
}

#endif

}  // namespace
}  // namespace tenon::serve
