#include "data/parallel.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace tenon::data::pipeline {
namespace {

constexpr std::size_t kPrefetchBytes = std::size_t{256} << 20;
constexpr std::size_t kMostPrefetched = 64;

std::size_t BytesOf(const Element& element) {
  std::size_t bytes = 0;
  for (const Tensor& tensor : element.tensors) {
    const Literal& value = tensor.literal();
    bytes += value.nbytes();
    if (value.dtype() == DType::kString)
      for (const std::string& s : value.strings()) bytes += sizeof(s) + s.size();
  }
  return bytes;
}

// One thread fills a queue; Next() empties it.
class PrefetchPass : public Pass {
 public:
  PrefetchPass(std::unique_ptr<Pass> source, std::int64_t elements)
      : source_(std::move(source)),
        grows_(elements == 0),
        capacity_(elements == 0 ? 2 : static_cast<std::size_t>(elements)),
        thread_([this] { Produce(); }) {}
  ~PrefetchPass() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    room_.notify_all();
    thread_.join();
  }
  bool Next(Element& out) override {
    std::unique_lock lock(mutex_);
    if (queue_.empty() && !ended_) {
      if (grows_ && given_ > 0 && capacity_ < kMostPrefetched) capacity_ *= 2;  // the consumer waits
      ready_.wait(lock, [&] { return !queue_.empty() || ended_; });
    }
    if (queue_.empty()) {
      if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
      return false;
    }
    out = std::move(queue_.front().first);
    bytes_ -= queue_.front().second;
    queue_.pop_front();
    ++given_;
    lock.unlock();
    room_.notify_one();
    return true;
  }

 private:
  bool HasRoom(std::size_t more) const {
    return queue_.empty() || (queue_.size() < capacity_ && (!grows_ || bytes_ + more <= kPrefetchBytes));
  }
  void Produce() {
    std::exception_ptr error;
    try {
      for (Element next; source_->Next(next);) {
        const std::size_t bytes = BytesOf(next);
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return stop_ || HasRoom(bytes); });
        if (stop_) return;
        queue_.emplace_back(std::move(next), bytes);
        bytes_ += bytes;
        lock.unlock();
        ready_.notify_one();
        next = Element();
      }
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    error_ = error;
    ended_ = true;
    ready_.notify_one();
  }

  std::unique_ptr<Pass> source_;  // the producer's
  const bool grows_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable ready_, room_;
  std::deque<std::pair<Element, std::size_t>> queue_;
  std::size_t bytes_ = 0, capacity_;
  std::int64_t given_ = 0;
  bool ended_ = false, stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last: it uses all of the above
};

// Several threads take elements from the source, one at a time, and put results in order into a ring.
class ParallelMapPass : public Pass {
 public:
  ParallelMapPass(std::unique_ptr<Pass> source, std::function<Element(Element)> body, int threads)
      : source_(std::move(source)), body_(std::move(body)), ring_(2 * static_cast<std::size_t>(threads)) {
    try {
      for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
    } catch (...) {
      Stop();
      throw;
    }
  }
  ~ParallelMapPass() override { Stop(); }
  bool Next(Element& out) override {
    std::unique_lock lock(mutex_);
    Slot& slot = ring_[static_cast<std::size_t>(taken_) % ring_.size()];
    ready_.wait(lock, [&] { return slot.full || (ended_ && taken_ == begun_); });
    if (!slot.full) return false;
    slot.full = false;
    ++taken_;
    if (slot.error) {
      ended_ = true;
      begun_ = taken_;  // what follows the error is not given
      for (Slot& other : ring_) other = Slot();
      room_.notify_all();
      std::rethrow_exception(std::exchange(slot_error_, nullptr));
    }
    out = std::move(slot.element);
    room_.notify_all();
    return true;
  }

 private:
  struct Slot {
    Element element;
    bool full = false, error = false;
  };
  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  // False at the end; else the number of the element.
  bool Take(Element& in, std::int64_t& number) {
    const std::lock_guard source_lock(source_mutex_);
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [&] { return stop_ || ended_ || begun_ < taken_ + static_cast<std::int64_t>(ring_.size()); });
      if (stop_ || ended_) return false;
      number = begun_++;
    }
    std::exception_ptr error;
    try {
      if (source_->Next(in)) return true;
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    if (error) {
      Put(number, Element(), error);
    } else if (!ended_) {
      begun_ = number;
    }
    ended_ = true;
    ready_.notify_all();
    return false;
  }
  void Put(std::int64_t number, Element element, const std::exception_ptr& error) {  // under mutex_
    if (number < taken_ || (ended_ && number >= begun_)) return;                     // after an error: no longer wanted
    Slot& slot = ring_[static_cast<std::size_t>(number) % ring_.size()];
    slot = {std::move(element), true, error != nullptr};
    if (error && (!slot_error_ || number < error_number_)) {
      slot_error_ = error;
      error_number_ = number;
    }
  }
  void Work() {
    Element in;
    for (std::int64_t number = 0; Take(in, number);) {
      Element made;
      std::exception_ptr error;
      try {
        made = body_(std::move(in));
      } catch (...) {
        error = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      Put(number, std::move(made), error);
      ready_.notify_all();
    }
  }

  std::mutex source_mutex_;  // taken before mutex_
  std::unique_ptr<Pass> source_;
  const std::function<Element(Element)> body_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable ready_, room_;
  std::vector<Slot> ring_;
  std::int64_t begun_ = 0, taken_ = 0;  // elements taken from the source, and given away
  bool ended_ = false, stop_ = false;
  std::exception_ptr slot_error_;  // the earliest error in the ring
  std::int64_t error_number_ = 0;
  std::vector<std::thread> threads_;
};

class PrefetchNode : public Node {
 public:
  PrefetchNode(NodePtr source, std::int64_t elements) : source_(std::move(source)), elements_(elements) {}
  std::unique_ptr<Pass> Begin() const override { return std::make_unique<PrefetchPass>(source_->Begin(), elements_); }
  std::int64_t Cardinality() const override { return source_->Cardinality(); }

 private:
  NodePtr source_;
  std::int64_t elements_;
};

class ParallelMapNode : public Node {
 public:
  ParallelMapNode(NodePtr source, std::function<Element(Element)> body, int threads)
      : source_(std::move(source)), body_(std::move(body)), threads_(threads) {}
  std::unique_ptr<Pass> Begin() const override {
    return std::make_unique<ParallelMapPass>(source_->Begin(), body_, threads_);
  }
  std::int64_t Cardinality() const override { return source_->Cardinality(); }

 private:
  NodePtr source_;
  std::function<Element(Element)> body_;
  int threads_;
};

}  // namespace

NodePtr Map(const NodePtr& source, std::function<Element(Element)> body, MapOptions options) {
  if (options.threads < 1 || options.threads > 256)
    fail(Code::kInvalidArgument,
         "Dataset: map: got " + std::to_string(options.threads) + " threads, expected 1 to 256");
  if (options.threads == 1) return MapHere(source, std::move(body));
  return std::make_shared<ParallelMapNode>(source, std::move(body), options.threads);
}

NodePtr Prefetch(const NodePtr& source, std::int64_t elements) {
  if (elements < 0)
    fail(Code::kInvalidArgument, "Dataset: prefetch: got " + std::to_string(elements) + ", expected 0 or more");
  return std::make_shared<PrefetchNode>(source, elements);
}

}  // namespace tenon::data::pipeline
