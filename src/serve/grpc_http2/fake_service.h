// FakeService: a GrpcService for tests. /s/Echo answers with the request at once, /s/Work does so from a worker when
// Go lets it, /s/Later without a thread that waits, /s/Join in a round, three at a time; /s/Fail fails with the request
// as its text.
#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "serve/core/batch_round.h"
#include "serve/grpc/transport.h"

namespace tenon::serve::http2::testing {

class FakeService : public GrpcService {
 public:
  ~FakeService() override { Stop(); }
  Route Find(std::string_view path) const override {
    if (path == "/s/Echo") return {Kind::kUnary, 0};
    if (path == "/s/Work") return {Kind::kUnary, 1};
    if (path == "/s/Fail") return {Kind::kUnary, 2};
    if (path == "/s/Later") return {Kind::kUnary, 3};
    if (path == "/s/Join") return {Kind::kUnary, 4};
    if (path == "/s/Reflect") return {Kind::kReflection, 0};
    if (path == "/s/Check") return {Kind::kHealthCheck, 0};
    if (path == "/s/Watch") return {Kind::kHealthWatch, 0};
    return {};
  }
  bool guarded() const override { return !token.empty(); }
  Status Admit(const Route&, std::string_view authorization, std::string_view peer) const override {
    if (peer != "127.0.0.1") return Status(Code::kInternal, "peer: got " + std::string(peer));
    return authorization == token ? Status()
                                  : Status(Code::kUnauthenticated, "Request: a valid bearer token is needed");
  }
  bool IsCheap(int method, std::string_view) const override { return method != 1 || work_is_cheap; }
  std::optional<Status> Handle(int method, std::string_view request, const std::shared_ptr<const void>&,
                               Deadline deadline, std::string& reply, GrpcLater& later) const override {
    if (method == 3) {
      const std::lock_guard lock(mutex_);
      ++running_;
      wake_.notify_all();
      later_.emplace_back(later.Make(), std::string(request));
      return std::nullopt;
    }
    if (method == 4) {
      BatchRound& round = *BatchRound::Current();
      if (round.Find(this) == nullptr) round.Keep(this, std::make_unique<Three>());
      auto& three = static_cast<Three&>(*round.Find(this));
      three.replies.emplace_back(later.Make(), std::string(request));
      if (three.replies.size() == 3) round.Take(this)->Run();
      return std::nullopt;
    }
    if (method == 1) {
      std::unique_lock lock(mutex_);
      ++running_;
      wake_.notify_all();
      wake_.wait(lock, [&] { return go_; });
    }
    if (std::chrono::steady_clock::now() >= deadline) return Status(Code::kDeadlineExceeded, "Deadline Exceeded");
    if (method == 2) return Status(Code::kInvalidArgument, std::string(request));
    reply = request;
    return Status();
  }
  std::size_t AlignAt(int, std::string_view) const override { return align_at; }
  Result<std::string> Reflect(std::string_view request) const override { return "<" + std::string(request) + ">"; }
  Result<std::string> Health(std::string_view, bool, bool serving) const override {
    return std::string(serving ? "up" : "down");
  }
  bool Submit(std::function<void()> task) override {
    const std::lock_guard lock(mutex_);
    if (hold_tasks) {
      held_.push_back(std::move(task));
      wake_.notify_all();
      return true;
    }
    threads_.emplace_back(std::move(task));
    return true;
  }
  /// Lets the work end, and sends the answers that were to come later.
  void Go() {
    std::vector<std::pair<std::shared_ptr<GrpcReply>, std::string>> later;
    {
      const std::lock_guard lock(mutex_);
      go_ = true;
      wake_.notify_all();
      later.swap(later_);
    }
    for (auto& [to, reply] : later) to->Send({}, std::move(reply));
  }
  void WaitForWork(int count) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return running_ >= count; });
  }
  /// How many tasks a busy pool of workers would have waiting, with hold_tasks.
  void WaitForTasks(std::size_t count) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return held_.size() >= count; });
  }
  /// Has the tasks that were held back begin, and goes on as without hold_tasks.
  void Release() {
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      hold_tasks = false;
      tasks.swap(held_);
    }
    for (const auto& task : tasks) task();
  }
  int running() const {
    const std::lock_guard lock(mutex_);
    return running_;
  }
  /// Of the answers that are to come later, those whose client has given up.
  int Gone() const {
    const std::lock_guard lock(mutex_);
    int gone = 0;
    for (const auto& [to, reply] : later_) gone += to->gone() ? 1 : 0;
    return gone;
  }
  void Stop() {
    Go();
    Release();
    std::vector<std::thread> threads;
    {
      const std::lock_guard lock(mutex_);
      threads.swap(threads_);
    }
    for (std::thread& thread : threads) thread.join();
  }

  struct Three : BatchRound::Batch {
    void Run() override {
      for (auto& [to, reply] : replies) to->Send({}, reply + " of " + std::to_string(replies.size()));
    }
    std::vector<std::pair<std::shared_ptr<GrpcReply>, std::string>> replies;
  };

  std::string token;
  std::size_t align_at = 0;
  bool work_is_cheap = false;  // it holds the I/O thread
  bool hold_tasks = false;     // workers are busy until Release

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable wake_;
  mutable int running_ = 0;
  mutable std::vector<std::pair<std::shared_ptr<GrpcReply>, std::string>> later_;
  bool go_ = false;
  std::vector<std::thread> threads_;
  std::vector<std::function<void()>> held_;
};

}  // namespace tenon::serve::http2::testing
