// For tests: servables whose behaviour the test decides.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serve/core/servable.h"

namespace tenon::serve::testing {

/// A temporary folder that goes with the object.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tenon-serve-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string Make(const std::string& relative) const {
    std::filesystem::create_directories(path_ + "/" + relative);
    return path_ + "/" + relative;
  }

 private:
  std::string path_;
};

/// Polls until the condition holds; false after ten seconds.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// Runs a function; counts the objects that are alive.
class FakeServable : public Servable {
 public:
  using Function = std::function<Result<std::vector<Literal>>(const Signature&, std::vector<Literal>)>;
  FakeServable(std::vector<Signature> signatures, Function run)
      : signatures_(std::move(signatures)), run_(std::move(run)) {
    ++alive;
  }
  ~FakeServable() override { --alive; }
  const std::vector<Signature>& signatures() const override { return signatures_; }
  Result<std::vector<Literal>> Run(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted,
                                   Deadline) override {
    Result<std::vector<Literal>> all = run_(signature, std::move(inputs));
    if (!all.ok() || wanted.empty()) return all;
    std::vector<Literal> out;
    for (const int i : wanted) out.push_back((*all)[static_cast<std::size_t>(i)]);
    return out;
  }
  static inline std::atomic<int> alive{0};

 private:
  const std::vector<Signature> signatures_;
  const Function run_;
};

/// serving_default: x f32[-1] -> y f32[-1] = a * x + b.
inline std::unique_ptr<Servable> Affine(float a, float b) {
  Signature s;
  s.name = "serving_default";
  s.inputs = {TensorInfo{.alias = "x", .tensor_name = "x:0", .dims = {-1}}};
  s.outputs = {TensorInfo{.alias = "y", .tensor_name = "y:0", .dims = {-1}}};
  return std::make_unique<FakeServable>(
      std::vector<Signature>{s}, [a, b](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
        for (float& v : in[0].mutable_data<float>()) v = a * v + b;
        return in;
      });
}

}  // namespace tenon::serve::testing
