#include "serve/core/loader_harness.h"

#include <gtest/gtest.h>

#include <set>

namespace tenon::serve {
namespace {

using enum HarnessState;
constexpr HarnessState kAll[] = {kNew,       kLoadRequested, kLoadApproved, kLoading,  kReady, kUnloadRequested,
                                 kQuiescing, kQuiesced,      kUnloading,    kDisabled, kError};

LoaderHarness Make() {
  return LoaderHarness({"m", 7}, "/p", std::make_shared<CreatorLoader>(ServableId{"m", 7}, "/p", nullptr));
}

TEST(LoaderHarness, AllArrows) {
  const std::set<std::pair<HarnessState, HarnessState>> arrows = {
      {kNew, kLoadRequested},      {kNew, kDisabled},          {kLoadRequested, kLoadApproved},
      {kLoadRequested, kDisabled}, {kLoadApproved, kLoading},  {kLoading, kLoading},
      {kLoading, kReady},          {kReady, kUnloadRequested}, {kUnloadRequested, kQuiescing},
      {kQuiescing, kQuiesced},     {kQuiesced, kUnloading},    {kUnloading, kDisabled}};
  for (const HarnessState from : kAll)
    for (const HarnessState to : kAll) {
      const bool expected = to == kError ? from != kDisabled : arrows.contains({from, to});
      EXPECT_EQ(LoaderHarness::Allowed(from, to), expected) << HarnessStateName(from) << " " << HarnessStateName(to);
    }
}

TEST(LoaderHarness, WholeLife) {
  LoaderHarness harness = Make();
  for (const HarnessState to : {kLoadRequested, kLoadApproved, kLoading, kLoading, kReady, kUnloadRequested, kQuiescing,
                                kQuiesced, kUnloading, kDisabled}) {
    ASSERT_TRUE(harness.Move(to).ok()) << HarnessStateName(to);
    ASSERT_EQ(harness.state(), to);
  }
  harness.Fail(Status(Code::kInternal, "late"));
  EXPECT_EQ(harness.state(), kDisabled);
}

TEST(LoaderHarness, RefusesAndKeepsTheState) {
  LoaderHarness harness = Make();
  const Status s = harness.Move(kReady);
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_EQ(s.message(), "servable {name: m version: 7}: cannot go from New to Ready");
  EXPECT_EQ(harness.state(), kNew);
  harness.Fail(Status(Code::kDataLoss, "bad file"));
  EXPECT_EQ(harness.state(), kError);
  EXPECT_EQ(harness.status().message(), "bad file");
  EXPECT_FALSE(harness.Move(kLoadRequested).ok());
}

}  // namespace
}  // namespace tenon::serve
