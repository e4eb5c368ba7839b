#include "serve/core/metrics.h"

#include <gtest/gtest.h>

namespace tenon::serve {
namespace {

TEST(MetricsTest, TextOfEachKind) {
  Metrics metrics;
  auto& counter = metrics.AddCounter(":a:b", {"model_name", "status"});
  counter.At({"m\"x\n", "OK"}).Add(3);
  metrics.AddGauge("g", {}).At({}).Set(1.5);
  auto& h = metrics.AddHistogram("h", {"m"}, ExponentialBounds(10, 1.8, 2)).At({"m"});
  h.Observe(10);
  h.Observe(11);
  h.Observe(1e9);
  EXPECT_EQ(metrics.Text(),
            "# TYPE :a:b counter\n:a:b{model_name=\"m\\\"x\\n\",status=\"OK\"} 3\n"
            "# TYPE g gauge\ng{} 1.5\n"
            "# TYPE h histogram\nh_bucket{m=\"m\",le=\"10\"} 1\nh_bucket{m=\"m\",le=\"18\"} 2\n"
            "h_bucket{m=\"m\",le=\"+Inf\"} 3\nh_sum{m=\"m\"} 1000000021\nh_count{m=\"m\"} 3\n");
  for (int i = 0; i < 5000; ++i) counter.At({std::to_string(i), "OK"}).Add();
  const std::string text = metrics.Text();
  EXPECT_NE(text.find("model_name=\"_other\",status=\"_other\"} 3001"), std::string::npos);
}

TEST(MetricsTest, LongLabelsHaveCellsOfTheirOwn) {
  Metrics metrics;
  auto& counter = metrics.AddCounter("c", {"model", "v"});
  const std::string same(300, 'x');
  counter.At({same + "a", "1"}).Add(1);
  counter.At({same + "b", "1"}).Add(2);
  EXPECT_EQ(counter.At({same + "a", "1"}).value(), 1);
  counter.Erase({same + "a", "1"});
  EXPECT_EQ(counter.At({same + "b", "1"}).value(), 2);
  EXPECT_EQ(counter.At({same + "a", "1"}).value(), 0);
}

}  // namespace
}  // namespace tenon::serve
