#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "temporary_folder.h"

namespace tenon::base {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// While it lives no file of this process grows beyond `bytes`: a full disk, without one.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    old_handler_ = ::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

TEST(File, ReadsAndMapsWhatWasWritten) {
  const TemporaryFolder folder;
  std::string bytes(200000, 'x');
  bytes[7] = '\0';
  ASSERT_TRUE(WriteFile(folder / "a", bytes).ok());
  EXPECT_EQ(ReadFile(folder / "a").value(), bytes);
  EXPECT_EQ(MappedFile::Open(folder / "a").value()->text(), bytes);
  ASSERT_TRUE(WriteFile(folder / "empty", "").ok());
  EXPECT_EQ(ReadFile(folder / "empty").value(), "");
  EXPECT_TRUE(MappedFile::Open(folder / "empty").value()->bytes().empty());
  EXPECT_THAT(folder.names(), ElementsAre("a", "empty"));
}

TEST(File, MissingFilesAndFoldersAreErrorsThatNameThem) {
  const TemporaryFolder folder;
  const Status missing = ReadFile(folder / "none").status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr(folder / "none"));
  EXPECT_EQ(MappedFile::Open(folder / "none").status().code(), Code::kNotFound);
  EXPECT_EQ(ReadFile(folder.path()).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(MappedFile::Open(folder.path()).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(WriteFile(folder / "none/a", "x").code(), Code::kNotFound);
  EXPECT_FALSE(WriteFile(folder.path(), "x").ok());
  EXPECT_TRUE(folder.names().empty());
}

TEST(AtomicFile, TheOldOneStaysUntilCommit) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFile(folder / "a", "old").ok());
  {
    auto file = AtomicFile::Create(folder / "a").value();
    ASSERT_TRUE(file->Append("new").ok());
    EXPECT_EQ(ReadFile(folder / "a").value(), "old");
  }
  EXPECT_EQ(ReadFile(folder / "a").value(), "old") << "dropped without Commit";
  auto file = AtomicFile::Create(folder / "a").value();
  ASSERT_TRUE(file->Append("ne").ok());
  ASSERT_TRUE(file->Append("w").ok());
  EXPECT_EQ(file->size(), 3U);
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(ReadFile(folder / "a").value(), "new");
  EXPECT_EQ(file->Commit().code(), Code::kFailedPrecondition);
  EXPECT_THAT(folder.names(), ElementsAre("a"));
}

TEST(AtomicFile, SmallAndLargeAppendsKeepTheirOrder) {
  const TemporaryFolder folder;
  std::string expected;
  auto file = AtomicFile::Create(folder / "a").value();
  for (const std::size_t n : {5UL, 3000000UL, 0UL, 7UL, 1048575UL, 1UL, 1048576UL}) {
    const std::string part(n, static_cast<char>('a' + expected.size() % 26));
    ASSERT_TRUE(file->Append(part).ok());
    expected += part;
  }
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(ReadFile(folder / "a").value(), expected);
}

TEST(AtomicFile, AFullDiskLeavesTheOldOneWhole) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFile(folder / "a", "old").ok());
  {
    const FileSizeLimit limit(1500000);
    auto file = AtomicFile::Create(folder / "a").value();
    ASSERT_TRUE(file->Append(std::string(1200000, 'x')).ok());
    const Status full = file->Append(std::string(1200000, 'y'));
    EXPECT_EQ(full.code(), Code::kResourceExhausted);
    EXPECT_THAT(full.message(), HasSubstr(folder / "a"));
    // There is room for this, but what is written would have a hole.
    EXPECT_EQ(file->Append("z"), full);
    EXPECT_EQ(file->Commit(), full);
  }
  {
    const FileSizeLimit limit(10);
    EXPECT_EQ(WriteFile(folder / "a", "more than ten bytes").code(), Code::kResourceExhausted) << "found at Commit";
  }
  EXPECT_EQ(ReadFile(folder / "a").value(), "old");
  EXPECT_THAT(folder.names(), ElementsAre("a"));
}

TEST(AtomicFile, LeftoversOfADeadProcessAreNoObstacle) {
  const TemporaryFolder folder;
  // The names that the next calls would take: another process with this id died before Commit.
  for (int i = 0; i < 200; ++i) {
    const std::string name = (folder / "a") + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(i);
    std::ofstream(name) << "junk";
  }
  ASSERT_TRUE(WriteFile(folder / "a", "new").ok());
  EXPECT_EQ(ReadFile(folder / "a").value(), "new");
}

TEST(AtomicFolder, ReplacesAWholeFolder) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, bool commit) {
    auto made = AtomicFolder::Create(folder / "x/model/").value();
    ASSERT_TRUE(WriteFile(made->temporary() + "/" + name, name).ok());
    if (commit) {
      const Status committed = made->Commit();
      ASSERT_TRUE(committed.ok()) << committed.message();
      EXPECT_EQ(made->Commit().code(), Code::kFailedPrecondition);
    }
  };
  write("one", true);
  EXPECT_TRUE(FileExists(folder / "x/model/one"));
  write("two", false);
  EXPECT_TRUE(FileExists(folder / "x/model/one"));
  write("two", true);
  EXPECT_TRUE(FileExists(folder / "x/model/two"));
  EXPECT_FALSE(FileExists(folder / "x/model/one"));
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "x")) names.push_back(entry.path().filename());
  EXPECT_THAT(names, ElementsAre("model")) << "no leftovers";
}

TEST(AtomicFolder, AFileInItsPlaceIsAnError) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFile(folder / "model", "precious").ok());
  EXPECT_EQ(AtomicFolder::Create(folder / "model").status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(AtomicFolder::Create(folder / "model/inner").ok());
  EXPECT_EQ(ReadFile(folder / "model").value(), "precious");
}

TEST(AtomicFolder, AReaderSeesTheOldOrTheNewOne) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& text) {
    auto made = AtomicFolder::Create(folder / "m").value();
    ASSERT_TRUE(WriteFile(made->temporary() + "/a", text).ok());
    ASSERT_TRUE(made->Commit().ok());
  };
  write("0");
  std::atomic<bool> stop{false};
  std::atomic<int> missing{0}, reads{0};
  std::thread reader([&] {
    while (!stop) {
      missing += !IsFolder(folder / "m");
      ++reads;
    }
  });
  for (int i = 1; i <= 50; ++i) write(std::to_string(i));
  stop = true;
  reader.join();
  EXPECT_GT(reads, 0);
  EXPECT_EQ(missing, 0) << "of " << reads;
}

TEST(File, MakeFolders) {
  const TemporaryFolder folder;
  EXPECT_TRUE(MakeFolders(folder / "a/b/c").ok());
  EXPECT_TRUE(IsFolder(folder / "a/b/c"));
  EXPECT_TRUE(MakeFolders(folder / "a/b/c").ok());
  ASSERT_TRUE(WriteFile(folder / "file", "x").ok());
  EXPECT_FALSE(MakeFolders(folder / "file/inner").ok());
  EXPECT_FALSE(IsFolder(folder / "file"));
  EXPECT_TRUE(FileExists(folder / "file"));
}

}  // namespace
}  // namespace tenon::base
