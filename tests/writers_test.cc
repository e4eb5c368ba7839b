// Every writer under a full disk and under SIGKILL: what stood under the name stays whole, nothing half stands there,
// and the status says what happened.
//
// A child that is to be killed is this program again: writers_test --write KIND PATH writes A and B in turn, for ever.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <iostream>
#include <thread>

#include "base/file.h"
#include "base/status_macros.h"
#include "temporary_folder.h"
#include "tenon/formats.h"
#include "tenon/keras.h"
#include "tensor/npy.h"
#include "tensor/npz.h"

extern char** environ;

namespace tenon {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// What stands under a path: the bytes of a file, or of all files of a folder.
std::map<std::string, std::string> Snapshot(const std::string& path) {
  std::map<std::string, std::string> out;
  if (fs::is_regular_file(path)) out[""] = base::ReadFile(path).value();
  if (!fs::is_directory(path)) return out;
  for (const auto& entry : fs::recursive_directory_iterator(path))
    if (entry.is_regular_file())
      out[fs::relative(entry.path(), path).string()] = base::ReadFile(entry.path().string()).value();
  return out;
}

Literal Weights(float value) {
  Literal l(DType::kF32, {256, 256});
  for (float& v : l.mutable_data<float>()) v = value;
  return l;
}

keras::Sequential Model(float value) {
  keras::Sequential model(
      {keras::Input({256}, {.name = "x"}), keras::layers::Dense(256, {.use_bias = false, .name = "y"})});
  model.set_weights({Tensor(Weights(value))});
  return model;
}

Status Catch(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.status();
  }
  return {};
}

struct Writer {
  std::string name, file;
  std::function<std::function<Status(const std::string& path)>(float value)> prepare;  // the writing of one content
};

template <Format F>
std::function<Status(const std::string&)> Saving(float value) {
  return
      [module = Model(value).module()](const std::string& path) -> Status { return save(module, path, {.format = F}); };
}

const std::vector<Writer>& Writers() {
  static const std::vector<Writer> all = {
      {"native", "m.tenon", Saving<Format::kTenon>},
      {"onnx", "m.onnx", Saving<Format::kOnnx>},
      {"savedmodel", "m", Saving<Format::kSavedModel>},
      {"npz", "a.npz",
       [](float v) {
         return [w = Weights(v)](const std::string& path) { return npy::WriteNpz(path, {{"w", w}, {"v", w}}); };
       }},
      {"npz_compressed", "c.npz",
       [](float v) {
         Literal noise = random::normal({256, 256}, {.stddev = static_cast<double>(v), .seed = 3}).literal();
         return [w = std::move(noise)](const std::string& path) { return npy::WriteNpz(path, {{"w", w}}, true); };
       }},
      {"npy", "a.npy",
       [](float v) { return [w = Weights(v)](const std::string& path) { return npy::WriteNpyFile(path, w); }; }},
      {"weights", "m.weights.npz",
       [](float v) {
         return [m = Model(v)](const std::string& path) { return Catch([&] { m.save_weights(path); }); };
       }},
  };
  return all;
}

/// While it lives no file of this process, and of those that it starts, grows beyond `bytes`.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int);
};

std::vector<std::string> Entries(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(folder)) out.push_back(entry.path().filename().string());
  std::ranges::sort(out);
  return out;
}

class WriterTest : public testing::TestWithParam<Writer> {};

TEST_P(WriterTest, AFullDiskLeavesTheOldOneWhole) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/" + GetParam().file;
  ASSERT_TRUE(GetParam().prepare(1)(path).ok());
  const auto old = Snapshot(path);
  const auto entries = Entries(folder.path());
  rlim_t largest = 0;
  for (const auto& [name, bytes] : old) largest = std::max<rlim_t>(largest, bytes.size());
  const auto write = GetParam().prepare(2);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{1}, rlim_t{100}, largest / 2, largest - 1}) {
    SCOPED_TRACE(limit);
    Status status;
    {
      const FullDisk full(limit);
      status = write(path);
    }
    EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.message();
    EXPECT_THAT(status.message(), HasSubstr(GetParam().file));
    EXPECT_THAT(status.message(), HasSubstr("write"));
    EXPECT_EQ(Entries(folder.path()), entries) << "something was left over";
    EXPECT_TRUE(Snapshot(path) == old) << "what stood there is not what it was";
  }
  const Status later = write(path);
  EXPECT_TRUE(later.ok()) << later.message();
  EXPECT_FALSE(Snapshot(path) == old);
}

TEST_P(WriterTest, ANewFileThatDoesNotFitLeavesNothing) {
  const TemporaryFolder folder;
  const auto write = GetParam().prepare(1);
  Status status;
  {
    const FullDisk full(1000);
    status = write(folder.path() + "/" + GetParam().file);
  }
  EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.message();
  EXPECT_TRUE(Entries(folder.path()).empty());
}

// A file system that really is full; needs the right to mount.
TEST_P(WriterTest, ASmallFileSystem) {
  const TemporaryFolder folder;
  if (::mount("tenon-test", folder.path().c_str(), "tmpfs", 0, "size=400k") != 0)
    GTEST_SKIP() << "no right to mount a small file system; the limit on file sizes stands in for it";
  const std::string path = folder.path() + "/" + GetParam().file;
  Status first = GetParam().prepare(1)(path), second;
  std::map<std::string, std::string> old = Snapshot(path);
  // Fill what is left.
  const std::string filler(4096, 'x');
  for (int i = 0; i < 200 && base::WriteFile(folder.path() + "/f" + std::to_string(i), filler).ok(); ++i) continue;
  second = GetParam().prepare(2)(path);
  const bool same = Snapshot(path) == old;
  std::vector<std::string> left = Entries(folder.path());
  ::umount2(folder.path().c_str(), MNT_DETACH);
  EXPECT_TRUE(first.ok() || first.code() == Code::kResourceExhausted) << first.message();
  EXPECT_EQ(second.code(), Code::kResourceExhausted) << second.message();
  EXPECT_TRUE(same);
  for (const std::string& name : left) EXPECT_THAT(name, testing::Not(HasSubstr(".tmp-"))) << "something was left over";
}

TEST_P(WriterTest, AKillLeavesTheOldOrTheNewOne) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/" + GetParam().file;
  ASSERT_TRUE(GetParam().prepare(1)(path).ok());
  const auto a = Snapshot(path);
  ASSERT_TRUE(GetParam().prepare(2)(path).ok());
  const auto b = Snapshot(path);
  ASSERT_FALSE(a == b);
  const std::string self = fs::read_symlink("/proc/self/exe").string();
  const std::string& kind = GetParam().name;
  int seen_a = 0, seen_b = 0;
  for (int round = 0; round < 12; ++round) {
    const char* arguments[] = {self.c_str(), "--write", kind.c_str(), path.c_str(), nullptr};
    pid_t child = 0;
    // The child begins with its content A.
    const auto before = fs::last_write_time(path);
    ASSERT_EQ(::posix_spawn(&child, self.c_str(), nullptr, nullptr, const_cast<char* const*>(arguments), environ), 0);
    // It is killed somewhere in its first writes.
    for (int wait = 0; wait < 2000 && fs::exists(path) && fs::last_write_time(path) == before; ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::microseconds(700 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child ended by itself, status " << status;
    const auto now = Snapshot(path);
    ASSERT_TRUE(now == a || now == b) << "round " << round << ": what stands there is neither the old nor the new one";
    (now == a ? seen_a : seen_b)++;
    // What the dead one was writing to is no obstacle.
    for (const std::string& name : Entries(folder.path()))
      if (name != GetParam().file) fs::remove_all(folder.path() + "/" + name);
  }
  EXPECT_EQ(seen_a + seen_b, 12);
}

INSTANTIATE_TEST_SUITE_P(All, WriterTest, testing::ValuesIn(Writers()), [](const auto& w) { return w.param.name; });

// The command: convert writes as save does, and run writes its outputs; both say what is wrong and fail.
TEST(Command, ConvertAndRunUnderAFullDisk) {
  const std::string command = std::string(TENON_BINARY_DIR) + "/bin/tenon";
  ASSERT_TRUE(fs::exists(command)) << command << " is not built (target tenon_command)";
  const TemporaryFolder folder;
  const std::string model = folder.path() + "/m.tenon", inputs = folder.path() + "/in.npz";
  ASSERT_TRUE(Saving<Format::kTenon>(1)(model).ok());
  ASSERT_TRUE(npy::WriteNpz(inputs, {{"x", Literal(DType::kF32, {64, 256})}}).ok());
  const auto run = [&](const std::vector<std::string>& words) {
    const std::string log = folder.path() + "/log";
    std::string line = command;
    for (const std::string& w : words) line += " '" + w + "'";
    const int status = std::system((line + " >/dev/null 2>'" + log + "'").c_str());
    return std::pair(WIFEXITED(status) ? WEXITSTATUS(status) : -1, base::ReadFile(log).value());
  };
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"convert", model, folder.path() + "/out.onnx"},
           {"convert", model, folder.path() + "/out.tenon"},
           {"convert", model, folder.path() + "/out_folder", "--to", "saved_model"},
           {"run", model, "--inputs", inputs, "--outputs", folder.path() + "/out.npz"}}) {
    const std::string& out = words[0] == "run" ? words.back() : words[2];
    SCOPED_TRACE(words[0] + " " + out);
    const auto good = run(words);
    ASSERT_EQ(good.first, 0) << good.second;
    const auto old = Snapshot(out);
    const auto entries = Entries(folder.path());
    std::pair<int, std::string> bad;
    {
      const FullDisk full(20000);
      bad = run(words);
    }
    EXPECT_NE(bad.first, 0);
    EXPECT_THAT(bad.second, HasSubstr("cannot write")) << bad.second;
    EXPECT_TRUE(Snapshot(out) == old);
    EXPECT_EQ(Entries(folder.path()), entries);
  }
}

int WriteForEver(const std::string& kind, const std::string& path) {
  for (const Writer& writer : Writers()) {
    if (writer.name != kind) continue;
    const auto a = writer.prepare(1), b = writer.prepare(2);
    for (;;)
      if (!a(path).ok() || !b(path).ok()) return 1;
  }
  return 2;
}

}  // namespace
}  // namespace tenon

int main(int argc, char** argv) {
  if (argc == 4 && std::string(argv[1]) == "--write") return tenon::WriteForEver(argv[2], argv[3]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
