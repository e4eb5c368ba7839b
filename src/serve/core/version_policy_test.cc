#include "serve/core/version_policy.h"

#include <gtest/gtest.h>

namespace tenon::serve {
namespace {

using enum HarnessState;
using Views = std::vector<VersionView>;

std::string Next(const VersionPolicy& policy, const Views& views) {
  const auto action = policy.Next(views);
  if (!action) return "-";
  return (action->kind == VersionAction::Kind::kLoad ? "load " : "unload ") +
         std::to_string(views[action->index].version);
}

TEST(VersionPolicy, AvailabilityPreserving) {
  const auto policy = MakeAvailabilityPreservingPolicy();
  EXPECT_EQ(Next(*policy, {}), "-");
  EXPECT_EQ(Next(*policy, {{1, kNew, true}, {3, kNew, true}, {2, kNew, true}}), "load 3");
  EXPECT_EQ(Next(*policy, {{1, kReady, false}, {2, kNew, true}}), "load 2");  // side by side
  EXPECT_EQ(Next(*policy, {{1, kReady, false}, {2, kLoading, true}}), "-");   // not yet
  EXPECT_EQ(Next(*policy, {{1, kReady, false}, {2, kReady, true}}), "unload 1");
  EXPECT_EQ(Next(*policy, {{1, kReady, false}, {2, kError, true}}), "-");          // the old one stays
  EXPECT_EQ(Next(*policy, {{4, kReady, false}, {3, kReady, false}}), "unload 3");  // nothing is aspired
  EXPECT_EQ(Next(*policy, {{4, kReady, false}, {3, kReady, false}, {5, kNew, true}}), "unload 3");
  EXPECT_EQ(Next(*policy, {{1, kQuiescing, false}, {2, kReady, true}, {3, kNew, true}}), "load 3");
  EXPECT_EQ(Next(*policy, {{1, kReady, true}, {2, kReady, true}}), "-");
}

TEST(VersionPolicy, ResourcePreserving) {
  const auto policy = MakeResourcePreservingPolicy();
  EXPECT_EQ(Next(*policy, {}), "-");
  EXPECT_EQ(Next(*policy, {{1, kReady, false}, {2, kNew, true}}), "unload 1");
  EXPECT_EQ(Next(*policy, {{1, kQuiescing, false}, {2, kNew, true}}), "-");
  EXPECT_EQ(Next(*policy, {{1, kLoading, false}, {2, kNew, true}}), "-");
  EXPECT_EQ(Next(*policy, {{1, kDisabled, false}, {2, kNew, true}}), "load 2");
  EXPECT_EQ(Next(*policy, {{1, kError, false}, {2, kNew, true}, {3, kNew, true}}), "load 3");
  EXPECT_EQ(Next(*policy, {{3, kReady, false}, {2, kReady, false}}), "unload 2");
}

}  // namespace
}  // namespace tenon::serve
