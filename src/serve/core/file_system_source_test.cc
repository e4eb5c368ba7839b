#include "serve/core/file_system_source.h"

#include <gtest/gtest.h>

#include <fstream>

#include "serve/core/fake_servable.h"

namespace tenon::serve {
namespace {

using std::chrono::milliseconds;
using testing::Eventually;
using testing::TempFolder;

std::vector<std::string> Names(const Result<std::vector<AspiredVersion>>& list) {
  std::vector<std::string> out;
  for (const AspiredVersion& v : list.value())
    out.push_back(std::to_string(v.version) + "=" + v.path.substr(v.path.rfind('/') + 1));
  return out;
}
using Strings = std::vector<std::string>;

TEST(ListVersions, Rules) {
  TempFolder t;
  for (const char* name :
       {"m/1", "m/00000123", "m/9", "m/10", "m/1a", "m/ 5", "m/0x7", "m/9223372036854775808", "m/tmp"})
    t.Make(name);
  std::ofstream(t.path() + "/m/77") << "a file is no version";
  ModelConfig config{.name = "m", .base_path = t.path() + "/m"};
  EXPECT_EQ(Names(ListVersions(config)), Strings({"123=00000123"}));
  config.versions = Versions::latest(2);
  EXPECT_EQ(Names(ListVersions(config)), Strings({"10=10", "123=00000123"}));
  config.versions = Versions::latest(100);
  EXPECT_EQ(Names(ListVersions(config)), Strings({"1=1", "9=9", "10=10", "123=00000123"}));
  config.versions = Versions::all();
  EXPECT_EQ(Names(ListVersions(config)), Strings({"1=1", "9=9", "10=10", "123=00000123"}));
  config.versions = Versions::specific({123, 9, 9, 4});
  EXPECT_EQ(Names(ListVersions(config)), Strings({"9=9", "123=00000123"}));
  config.versions = Versions::specific({});
  EXPECT_EQ(Names(ListVersions(config)), Strings());
  t.Make("m/0010");  // the last in byte order wins
  config.versions = Versions::specific({9, 10});
  EXPECT_EQ(Names(ListVersions(config)), Strings({"9=9", "10=10"}));
  config.base_path = t.path() + "/none";
  EXPECT_EQ(ListVersions(config).status().code(), Code::kNotFound);
  config.versions = {};
  EXPECT_EQ(ListVersions(config).status().code(), Code::kNotFound);
}

struct Recorder {
  std::mutex mutex;
  std::map<std::string, std::vector<AspiredVersion>> now;
  int calls = 0;
  AspiredSink sink() {
    return [this](const std::string& model, std::vector<AspiredVersion> versions) {
      const std::lock_guard lock(mutex);
      now[model] = std::move(versions);
      ++calls;
    };
  }
  std::string Get(const std::string& model) {
    const std::lock_guard lock(mutex);
    if (!now.contains(model)) return "never";
    std::string out;
    for (const AspiredVersion& v : now[model]) out += std::to_string(v.version) + " ";
    return out;
  }
};

TEST(FileSystemSource, FollowsTheFolder) {
  TempFolder t;
  t.Make("a/1");
  Recorder seen;
  auto monitor = std::make_shared<StateMonitor>();
  FileSystemSource source(milliseconds(5), seen.sink(), monitor);
  ASSERT_TRUE(
      source.SetModels({{.name = "a", .base_path = t.path() + "/a"}, {.name = "b", .base_path = t.path() + "/b"}})
          .ok());
  EXPECT_TRUE(Eventually([&] { return seen.Get("a") == "1 "; }));
  EXPECT_TRUE(Eventually([&] { return monitor->ModelError("b").code() == Code::kNotFound; }));
  EXPECT_EQ(seen.Get("b"), "never");  // a missing base path says nothing about the versions, and holds up nobody
  t.Make("a/2");
  EXPECT_TRUE(Eventually([&] { return seen.Get("a") == "2 "; }));
  t.Make("b/5");
  EXPECT_TRUE(Eventually([&] { return seen.Get("b") == "5 "; }));
  EXPECT_TRUE(monitor->ModelError("b").ok());
  std::filesystem::remove_all(t.path() + "/a/2");
  EXPECT_TRUE(Eventually([&] { return seen.Get("a") == "1 "; }));
  std::filesystem::remove_all(t.path() + "/a/1");
  EXPECT_TRUE(Eventually([&] { return seen.Get("a").empty(); }));  // present but empty: everything is unloaded
  EXPECT_EQ(monitor->ModelError("a").code(), Code::kFailedPrecondition);
  std::filesystem::rename(t.path() + "/b", t.path() + "/moved");
  EXPECT_TRUE(Eventually([&] { return !monitor->ModelError("b").ok(); }));
  EXPECT_EQ(seen.Get("b"), "5 ");  // gone as a whole: what is loaded stays
  ASSERT_TRUE(source.SetModels({{.name = "a", .base_path = t.path() + "/a"}}).ok());
  EXPECT_TRUE(Eventually([&] { return seen.Get("b").empty(); }));
}

TEST(FileSystemSource, PollsOnceWithoutInterval) {
  TempFolder t;
  t.Make("a/1");
  Recorder seen;
  FileSystemSource source(milliseconds(0), seen.sink(), std::make_shared<StateMonitor>());
  ASSERT_TRUE(source.SetModels({{.name = "a", .base_path = t.path() + "/a/"}}).ok());
  EXPECT_TRUE(Eventually([&] { return seen.Get("a") == "1 "; }));
  t.Make("a/2");
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_EQ(seen.Get("a"), "1 ");
}

TEST(FileSystemSource, BadLists) {
  Recorder seen;
  FileSystemSource source(milliseconds(0), seen.sink(), std::make_shared<StateMonitor>());
  EXPECT_EQ(source.SetModels({{.name = "", .base_path = "/x"}}).code(), Code::kInvalidArgument);
  EXPECT_EQ(source.SetModels({{.name = "a", .base_path = ""}}).code(), Code::kInvalidArgument);
  EXPECT_EQ(source.SetModels({{.name = "a", .base_path = "/x"}, {.name = "a", .base_path = "/y"}}).message(),
            "model a: the name is used twice");
}

}  // namespace
}  // namespace tenon::serve
