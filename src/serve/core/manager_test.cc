#include "serve/core/manager.h"

#include <gtest/gtest.h>

#include <fstream>
#include <latch>

#include "serve/core/fake_servable.h"

namespace tenon::serve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Eventually;
using testing::FakeServable;
using Clock = std::chrono::steady_clock;

/// What the loader of a path does; set by the test before the version is aspired.
struct Disk {
  std::mutex mutex;
  std::map<std::string, std::function<Result<std::unique_ptr<Servable>>()>> files;
  std::map<std::string, int> loads;
  void Put(const std::string& path, std::function<Result<std::unique_ptr<Servable>>()> make) {
    const std::lock_guard lock(mutex);
    files[path] = std::move(make);
  }
  int Loads(const std::string& path) {
    const std::lock_guard lock(mutex);
    return loads[path];
  }
  LoaderFactory factory() {
    return MakeLoaderFactory(
        [this](const ServableId& id, const std::string& path) -> Result<std::unique_ptr<Servable>> {
          std::function<Result<std::unique_ptr<Servable>>()> make;
          {
            const std::lock_guard lock(mutex);
            ++loads[path];
            make = files[path];
          }
          if (make) return make();
          return testing::Affine(0, static_cast<float>(id.version));
        });
  }
};

struct ManagerTest : ::testing::Test {
  Disk disk;
  std::shared_ptr<StateMonitor> monitor = std::make_shared<StateMonitor>();
  std::unique_ptr<Manager> manager;
  int alive_before = FakeServable::alive;

  void Start(ManagerOptions options = {}) {
    options.loaders = disk.factory();
    options.tick = milliseconds(2);
    if (options.load_retry_interval == milliseconds(60'000)) options.load_retry_interval = milliseconds(5);
    manager = std::make_unique<Manager>(std::move(options), monitor);
  }
  std::string States(const std::string& model) {
    std::string out;
    for (const VersionStatus& v : monitor->Versions(model))
      out += std::to_string(v.version) + ":" + std::string(PublicStateName(v.state)) + " ";
    return out;
  }
  bool Wait(const std::string& model, const std::string& states) {
    const bool good = Eventually([&] { return States(model) == states; });
    EXPECT_EQ(States(model), states);
    return good;
  }
  float Ask(const ServableHandle& handle) {
    const Signature* signature = handle->FindSignature("");
    return static_cast<float>(
        handle->Run(*signature, {Literal::from<float>({1}, {1})}, {}, kNoDeadline).value()[0].at(0));
  }
};

TEST_F(ManagerTest, LoadsServesAndUnloads) {
  Start();
  EXPECT_EQ(manager->serving().Latest("m").status(),
            Status(Code::kNotFound, "Servable not found for request: Latest(m)"));
  manager->SetAspired("m", {{1, "/m/1"}, {2, "/m/2"}});
  ASSERT_TRUE(Wait("m", "2:AVAILABLE 1:AVAILABLE "));
  EXPECT_EQ(Ask(manager->serving().Latest("m").value()), 2);
  EXPECT_EQ(Ask(manager->serving().Specific("m", 1).value()), 1);
  EXPECT_EQ(manager->serving().Specific("m", 3).status(),
            Status(Code::kNotFound, "Servable not found for request: Specific(m, 3)"));
  manager->SetLabels({{"m", {{"stable", 1}, {"next", 9}}}});
  EXPECT_EQ(manager->serving().Labelled("m", "stable").value().id().version, 1);
  EXPECT_EQ(manager->serving().Labelled("m", "next").status().code(), Code::kNotFound);
  EXPECT_EQ(manager->serving().Labelled("m", "other").status(),
            Status(Code::kInvalidArgument, "Unrecognized servable version label: other"));
  manager->SetAspired("m", {});
  ASSERT_TRUE(Wait("m", "2:END 1:END "));
  EXPECT_EQ(FakeServable::alive, alive_before);
  EXPECT_FALSE(manager->serving().Latest("m").ok());
}

TEST_F(ManagerTest, SwapKeepsOneAvailable) {
  Start();
  manager->SetAspired("m", {{1, "/m/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  std::latch loading(1), go(1);
  disk.Put("/m/2", [&]() -> Result<std::unique_ptr<Servable>> {
    loading.count_down();
    go.wait();
    return testing::Affine(0, 2);
  });
  manager->SetAspired("m", {{2, "/m/2"}});
  loading.wait();
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(States("m"), "2:LOADING 1:AVAILABLE ");
  EXPECT_EQ(Ask(manager->serving().Latest("m").value()), 1);
  go.count_down();
  ASSERT_TRUE(Wait("m", "2:AVAILABLE 1:END "));
}

TEST_F(ManagerTest, ResourcePreservingUnloadsFirst) {
  ManagerOptions options;
  options.policy = MakeResourcePreservingPolicy();
  Start(std::move(options));
  manager->SetAspired("m", {{1, "/m/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  int alive_at_load = -1;
  disk.Put("/m/2", [&]() -> Result<std::unique_ptr<Servable>> {
    alive_at_load = FakeServable::alive;
    return testing::Affine(0, 2);
  });
  manager->SetAspired("m", {{2, "/m/2"}});
  ASSERT_TRUE(Wait("m", "2:AVAILABLE 1:END "));
  EXPECT_EQ(alive_at_load, alive_before);
}

TEST_F(ManagerTest, SwapUnderLoadLosesNothing) {
  Start();
  manager->SetAspired("m", {{1, "/m/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0}, mixed{0}, asked{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i)
    clients.emplace_back([&] {
      while (!stop) {
        auto handle = manager->serving().Latest("m");
        if (!handle.ok()) {
          ++failed;
          continue;
        }
        if (Ask(*handle) != static_cast<float>(handle->id().version)) ++mixed;
        ++asked;
      }
    });
  for (std::int64_t v = 2; v <= 20; ++v) {
    manager->SetAspired("m", {{v, "/m/" + std::to_string(v)}});
    EXPECT_TRUE(Eventually([&] {
      return monitor->Versions("m").front().version == v &&
             monitor->Versions("m").front().state == PublicState::kAvailable;
    }));
  }
  stop = true;
  for (std::thread& c : clients) c.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(mixed, 0);
  EXPECT_GT(asked, 100);
  EXPECT_TRUE(Eventually([&] { return FakeServable::alive == alive_before + 1; }));
}

TEST_F(ManagerTest, HandleKeepsItsVersionAndNothingElse) {
  Start();
  manager->SetAspired("a", {{1, "/a/1"}});
  manager->SetAspired("b", {{1, "/b/1"}});
  ASSERT_TRUE(Wait("a", "1:AVAILABLE "));
  ASSERT_TRUE(Wait("b", "1:AVAILABLE "));
  ServableHandle slow = manager->serving().Latest("a").value();
  manager->SetAspired("a", {{2, "/a/2"}});
  manager->SetAspired("b", {{2, "/b/2"}});
  ASSERT_TRUE(Wait("b", "2:AVAILABLE 1:END "));  // b goes on although a request of a is in flight
  ASSERT_TRUE(Wait("a", "2:AVAILABLE 1:UNLOADING "));
  EXPECT_EQ(Ask(slow), 1);
  slow = {};
  ASSERT_TRUE(Wait("a", "2:AVAILABLE 1:END "));
}

TEST_F(ManagerTest, HungLoadBlocksNobody) {
  ManagerOptions options;
  options.load_threads = 2;
  Start(std::move(options));
  std::latch go(1);
  disk.Put("/slow/1", [&]() -> Result<std::unique_ptr<Servable>> {
    go.wait();
    return testing::Affine(0, 1);
  });
  manager->SetAspired("slow", {{1, "/slow/1"}});
  manager->SetAspired("m", {{1, "/m/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  manager->SetAspired("m", {{2, "/m/2"}});
  ASSERT_TRUE(Wait("m", "2:AVAILABLE 1:END "));
  EXPECT_EQ(States("slow"), "1:LOADING ");
  go.count_down();
  ASSERT_TRUE(Wait("slow", "1:AVAILABLE "));
}

TEST_F(ManagerTest, RetriesThenGivesUp) {
  ManagerOptions options;
  options.max_load_retries = 2;
  Start(std::move(options));
  disk.Put("/m/1", [] { return Status(Code::kDataLoss, "/m/1: bad file"); });
  disk.Put("/n/1", [n = std::make_shared<int>(0)]() -> Result<std::unique_ptr<Servable>> {
    if (++*n < 3) return Status(Code::kUnavailable, "later");
    return testing::Affine(0, 1);
  });
  disk.Put("/t/1", []() -> Result<std::unique_ptr<Servable>> { throw std::runtime_error("thrown"); });
  manager->SetAspired("m", {{1, "/m/1"}});
  manager->SetAspired("n", {{1, "/n/1"}});
  manager->SetAspired("t", {{1, "/t/1"}});
  ASSERT_TRUE(Wait("m", "1:END "));
  EXPECT_EQ(monitor->Versions("m")[0].status, Status(Code::kDataLoss, "/m/1: bad file"));
  EXPECT_EQ(disk.Loads("/m/1"), 3);
  ASSERT_TRUE(Wait("n", "1:AVAILABLE "));
  ASSERT_TRUE(Wait("t", "1:END "));
  EXPECT_EQ(monitor->Versions("t")[0].status.message(), "/t/1: thrown");
  manager->SetAspired("m", {{1, "/m/1"}});  // stays failed until its number has gone
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(disk.Loads("/m/1"), 3);
  manager->SetAspired("m", {});
  disk.Put("/m/1", nullptr);
  std::this_thread::sleep_for(milliseconds(20));
  manager->SetAspired("m", {{1, "/m/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
}

TEST_F(ManagerTest, FailedNewVersionKeepsTheOld) {
  ManagerOptions options;
  options.max_load_retries = 0;
  Start(std::move(options));
  manager->SetAspired("m", {{1, "/m/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  disk.Put("/m/2", [] { return Status(Code::kInternal, "no"); });
  manager->SetAspired("m", {{2, "/m/2"}});
  ASSERT_TRUE(Wait("m", "2:END 1:AVAILABLE "));
  EXPECT_EQ(Ask(manager->serving().Latest("m").value()), 1);
}

TEST_F(ManagerTest, GivesUpRetriesOfWhatIsNoLongerWanted) {
  ManagerOptions options;
  options.load_retry_interval = seconds(3600);
  Start(std::move(options));
  disk.Put("/m/1", [] { return Status(Code::kUnavailable, "no"); });
  manager->SetAspired("m", {{1, "/m/1"}});
  EXPECT_TRUE(Eventually([&] { return disk.Loads("/m/1") == 1; }));
  manager->SetAspired("m", {});
  ASSERT_TRUE(Wait("m", "1:END "));
  EXPECT_EQ(monitor->Versions("m")[0].status.code(), Code::kCancelled);
}

TEST_F(ManagerTest, SameNumberAtAnotherPathIsReloaded) {
  Start();
  disk.Put("/new/1", [] { return testing::Affine(0, 50); });
  manager->SetAspired("m", {{1, "/old/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  EXPECT_EQ(Ask(manager->serving().Latest("m").value()), 1);
  manager->SetAspired("m", {{1, "/new/1"}});
  EXPECT_TRUE(Eventually([&] { return Ask(manager->serving().Latest("m").value()) == 50; }));
  EXPECT_TRUE(Eventually([&] { return FakeServable::alive == alive_before + 1; }));
  EXPECT_EQ(States("m"), "1:AVAILABLE ");
}

TEST_F(ManagerTest, APathThatChangesAndChangesBack) {
  Start();
  std::latch gate(1);
  std::atomic<bool> loading{false};
  disk.Put("/b/1", [&] {
    loading = true;
    gate.wait();
    return testing::Affine(0, 50);
  });
  manager->SetAspired("m", {{1, "/a/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  manager->SetAspired("m", {{1, "/b/1"}});
  ASSERT_TRUE(Eventually([&] { return loading.load(); }));
  EXPECT_EQ(States("m"), "1:LOADING ");
  manager->SetAspired("m", {{1, "/a/1"}});
  EXPECT_TRUE(Wait("m", "1:AVAILABLE "));  // that of the first path
  gate.count_down();
  EXPECT_TRUE(Eventually([&] { return disk.Loads("/b/1") == 1 && FakeServable::alive == alive_before + 1; }));
  std::this_thread::sleep_for(milliseconds(30));  // the end of the second one is not said of the first
  EXPECT_EQ(States("m"), "1:AVAILABLE ");
  EXPECT_EQ(Ask(manager->serving().Latest("m").value()), 1);
  // And once more, with both loaded for a moment.
  disk.Put("/b/1", [] { return testing::Affine(0, 60); });
  for (int i = 0; i < 20; ++i) {
    manager->SetAspired("m", {{1, "/b/1"}});
    if (i % 3 == 0) std::this_thread::sleep_for(milliseconds(3));
    manager->SetAspired("m", {{1, "/a/1"}});
    if (i % 2 == 0) std::this_thread::sleep_for(milliseconds(2));
    EXPECT_TRUE(manager->serving().Latest("m").ok());
  }
  EXPECT_TRUE(Eventually([&] {
    const auto now = manager->serving().Latest("m");
    return now.ok() && Ask(*now) == 1 && FakeServable::alive == alive_before + 1;
  }));
  EXPECT_TRUE(Wait("m", "1:AVAILABLE "));
}

TEST_F(ManagerTest, AspiredAgainWhileLeaving) {
  Start();
  manager->SetAspired("m", {{1, "/m/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  ServableHandle held = manager->serving().Latest("m").value();
  manager->SetAspired("m", {});
  ASSERT_TRUE(Wait("m", "1:UNLOADING "));
  manager->SetAspired("m", {{1, "/m/1"}});
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(States("m"), "1:UNLOADING ");
  held = {};
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  EXPECT_EQ(disk.Loads("/m/1"), 2);
}

TEST_F(ManagerTest, MemoryBudget) {
  testing::TempFolder t;
  for (const char* name : {"1", "2", "3"}) {
    std::ofstream(t.Make(name) + "/weights") << std::string(1000, 'x');  // counts as 1200
  }
  ManagerOptions options;
  options.memory_budget = 2500;
  options.max_load_retries = 0;
  Start(std::move(options));
  const auto path = [&](int v) { return AspiredVersion{v, t.path() + "/" + std::to_string(v)}; };
  manager->SetAspired("m", {path(1), path(2)});
  ASSERT_TRUE(Wait("m", "2:AVAILABLE 1:AVAILABLE "));
  manager->SetAspired("n", {path(3)});
  ASSERT_TRUE(Wait("n", "3:END "));
  EXPECT_EQ(monitor->Versions("n")[0].status.code(), Code::kResourceExhausted);
  manager->SetAspired("n", {});
  ServableHandle held = manager->serving().Specific("m", 1).value();
  manager->SetAspired("m", {path(2)});
  ASSERT_TRUE(Wait("m", "2:AVAILABLE 1:UNLOADING "));
  std::this_thread::sleep_for(milliseconds(10));
  manager->SetAspired("n", {path(3)});  // waits for the memory that is about to come free
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(States("n"), "3:START ");
  held = {};
  ASSERT_TRUE(Wait("n", "3:AVAILABLE "));
}

TEST_F(ManagerTest, StopWaitsForHandlesAndIsBounded) {
  Start();
  manager->SetAspired("m", {{1, "/m/1"}});
  ASSERT_TRUE(Wait("m", "1:AVAILABLE "));
  ServableHandle held = manager->serving().Latest("m").value();
  const Status s = manager->Stop(Clock::now() + milliseconds(30));
  EXPECT_EQ(s.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(s.message(), "stop: still in use: {name: m version: 1} (Quiescing)");
  manager.reset();
  EXPECT_EQ(Ask(held), 1);  // a handle outlives its manager
  held = {};
  EXPECT_EQ(FakeServable::alive, alive_before);
}

TEST_F(ManagerTest, WaitUntilSettled) {
  ManagerOptions options;
  options.load_retry_interval = seconds(3600);
  Start(std::move(options));
  disk.Put("/bad/1", [] { return Status(Code::kDataLoss, "bad file"); });
  manager->SetAspired("good", {{1, "/good/1"}});
  manager->SetAspired("bad", {{1, "/bad/1"}});
  monitor->PublishModelError("gone", Status(Code::kNotFound, "no such path"));
  const auto failed = monitor->WaitUntilSettled({"good", "bad", "gone"}, Clock::now() + seconds(10));
  ASSERT_EQ(failed.size(), 2U);
  EXPECT_EQ(failed.at("bad").message(), "bad file");
  EXPECT_EQ(failed.at("gone").message(), "no such path");
  const auto late = monitor->WaitUntilSettled({"unknown"}, Clock::now() + milliseconds(10));
  EXPECT_EQ(late.at("unknown").code(), Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace tenon::serve
