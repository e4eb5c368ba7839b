#include "serve/core/server_metrics.h"

#include <gtest/gtest.h>

namespace tenon::serve {
namespace {

TEST(ServerMetricsTest, VersionsThatEndedLongAgoAreForgotten) {
  ServerMetrics metrics;
  constexpr int kVersions = 200;
  const auto has = [&](int version) {
    return metrics.registry.Text().find("version=\"" + std::to_string(version) + "\"") != std::string::npos;
  };
  for (int v = 1; v <= kVersions; ++v) {
    const ServableId id{"m", v};
    metrics.Began(id, "/m/" + std::to_string(v));
    metrics.load_attempts.At({"/m/" + std::to_string(v), "success"}).Add();
    metrics.Run(id, "serving_default", "predict", Code::kOk, std::chrono::microseconds(5));
    metrics.Stages(id, {}, {}, {});
    if (v == 100) continue;  // goes on
    metrics.Ended(id);
  }
  EXPECT_FALSE(has(1));
  EXPECT_FALSE(has(kVersions - 64));
  EXPECT_TRUE(has(kVersions - 63));
  EXPECT_TRUE(has(100));
  EXPECT_EQ(metrics.registry.Text().find("/m/1\""), std::string::npos);
  // One that is loaded anew from elsewhere before it is unloaded goes on.
  metrics.Began({"m", 100}, "/elsewhere/100");
  metrics.Ended({"m", 100});
  for (int v = 1000; v < 1100; ++v) {
    metrics.Began({"m", v}, "/m");
    metrics.Ended({"m", v});
  }
  EXPECT_TRUE(has(100));
  // One that comes back counts anew, on the thread that remembered its cells too.
  metrics.Began({"m", 1}, "/m/1");
  metrics.Run({"m", 1}, "serving_default", "predict", Code::kOk, std::chrono::microseconds(5));
  EXPECT_EQ(metrics.run_seconds.At({"m", "1", "serving_default"}).count(), 1);
}

TEST(ServerMetricsTest, AScrapeMakesNoCellsForForgottenVersions) {
  ServerMetrics metrics;
  std::vector<ServerMetrics::VersionState> all;
  const auto has = [&](const std::string& line) { return metrics.registry.Text().find(line) != std::string::npos; };
  for (int v = 1; v <= 70; ++v) {
    const ServableId id{"m", v};
    const std::string path = "/m/" + std::to_string(v);
    metrics.Began(id, path);
    metrics.model_memory.At({"m", std::to_string(v)}).Set(5);
    metrics.mlmd_map.At({"m", std::to_string(v)}).Set(1);
    metrics.warmup_records.At({path}).Add();
    metrics.warmup_latency.At({path, "OK"}).Observe(1);
    metrics.Ended(id);
    all.push_back({id, "END", true});
  }
  metrics.States(all);  // lists more than there are cells of
  EXPECT_FALSE(has("tenon_model_memory_bytes{model=\"m\",version=\"6\"}"));
  EXPECT_TRUE(has("tenon_model_memory_bytes{model=\"m\",version=\"7\"} 0\n"));
  EXPECT_FALSE(has(":tensorflow:serving:mlmd_map{model_name=\"m\",version=\"6\"}"));
  EXPECT_TRUE(has(":tensorflow:serving:mlmd_map{model_name=\"m\",version=\"7\"} 0\n"));
  EXPECT_FALSE(has("model_path=\"/m/6\"")) << "the warm-up's go too";
  EXPECT_TRUE(has(":tensorflow:serving:model_warmup_records_read{model_path=\"/m/7\"} 1\n"));
  EXPECT_TRUE(has("tenon_model_state{model=\"m\",version=\"6\",state=\"END\"} 1\n"));
  metrics.States({{{"m", 6}, "LOADING"}});
  EXPECT_TRUE(has("tenon_model_state{model=\"m\",version=\"6\",state=\"END\"} 0\n"));
  EXPECT_TRUE(has("tenon_model_state{model=\"m\",version=\"6\",state=\"LOADING\"} 1\n"));
  EXPECT_FALSE(has("tenon_model_state{model=\"m\",version=\"7\"")) << "not listed any more";
}

}  // namespace
}  // namespace tenon::serve
