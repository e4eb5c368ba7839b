#include "data/index_stream.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <utility>
#include <vector>

#include "base/philox.h"
#include "tenon/data.h"

namespace tenon::data {

std::int64_t TakeCardinality(std::int64_t source, std::int64_t count) {
  if (source == kInfinite) return count;
  return source == kUnknown ? kUnknown : std::min(source, count);
}
std::int64_t SkipCardinality(std::int64_t source, std::int64_t count) {
  return source < 0 ? source : std::max<std::int64_t>(source - count, 0);
}
std::int64_t RepeatCardinality(std::int64_t source, std::int64_t times) {
  if (times == 0 || source == 0) return 0;
  if (times == kInfinite || source == kInfinite) return kInfinite;
  std::int64_t product = 0;
  if (source == kUnknown) return kUnknown;
  return __builtin_mul_overflow(source, times, &product) ? kInfinite : product;
}

namespace {

class Range : public IndexStream {
 public:
  explicit Range(std::int64_t count) : count_(count) {}
  std::unique_ptr<IndexPass> Begin() const override { return std::make_unique<RangePass>(count_); }
  std::int64_t Cardinality() const override { return count_; }

 private:
  struct RangePass : IndexPass {
    explicit RangePass(std::int64_t end) : end_(end) {}
    std::size_t Fill(std::span<std::int64_t> out) override {
      const std::size_t n = std::min(out.size(), static_cast<std::size_t>(end_ - next_));
      std::iota(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n), next_);
      next_ += static_cast<std::int64_t>(n);
      return n;
    }
    std::int64_t next_ = 0, end_;
  };
  std::int64_t count_;
};

class Taken : public IndexStream {
 public:
  Taken(IndexStreamPtr source, std::int64_t count) : source_(std::move(source)), count_(count) {}
  std::unique_ptr<IndexPass> Begin() const override { return std::make_unique<TakePass>(source_->Begin(), count_); }
  std::int64_t Cardinality() const override { return TakeCardinality(source_->Cardinality(), count_); }

 private:
  struct TakePass : IndexPass {
    TakePass(std::unique_ptr<IndexPass> source, std::int64_t count) : source_(std::move(source)), left_(count) {}
    std::size_t Fill(std::span<std::int64_t> out) override {
      const std::size_t n = source_->Fill(out.first(std::min(out.size(), static_cast<std::size_t>(left_))));
      left_ -= static_cast<std::int64_t>(n);
      return n;
    }
    std::unique_ptr<IndexPass> source_;
    std::int64_t left_;
  };
  IndexStreamPtr source_;
  std::int64_t count_;
};

class Skipped : public IndexStream {
 public:
  Skipped(IndexStreamPtr source, std::int64_t count) : source_(std::move(source)), count_(count) {}
  std::unique_ptr<IndexPass> Begin() const override {
    std::unique_ptr<IndexPass> pass = source_->Begin();
    std::array<std::int64_t, 1024> dropped{};
    for (std::int64_t left = count_; left > 0;) {
      const std::size_t wanted = std::min(dropped.size(), static_cast<std::size_t>(left));
      const std::size_t got = pass->Fill(std::span(dropped).first(wanted));
      if (got < wanted) break;
      left -= static_cast<std::int64_t>(got);
    }
    return pass;
  }
  std::int64_t Cardinality() const override { return SkipCardinality(source_->Cardinality(), count_); }

 private:
  IndexStreamPtr source_;
  std::int64_t count_;
};

class Repeated : public IndexStream {
 public:
  Repeated(IndexStreamPtr source, std::int64_t times) : source_(std::move(source)), times_(times) {}
  std::unique_ptr<IndexPass> Begin() const override { return std::make_unique<RepeatPass>(source_, times_); }
  std::int64_t Cardinality() const override { return RepeatCardinality(source_->Cardinality(), times_); }

 private:
  struct RepeatPass : IndexPass {
    RepeatPass(IndexStreamPtr source, std::int64_t times) : source_(std::move(source)), left_(times) {
      if (source_->Cardinality() == 0) left_ = 0;
    }
    std::size_t Fill(std::span<std::int64_t> out) override {
      std::size_t n = 0;
      while (n < out.size()) {
        if (!pass_) {
          if (left_ == 0) break;
          if (left_ > 0) --left_;
          pass_ = source_->Begin();
        }
        n += pass_->Fill(out.subspan(n));
        if (n < out.size()) pass_.reset();
      }
      return n;
    }
    IndexStreamPtr source_;
    std::int64_t left_;  // passes to begin; negative: no end
    std::unique_ptr<IndexPass> pass_;
  };
  IndexStreamPtr source_;
  std::int64_t times_;
};

class Shuffled : public IndexStream {
 public:
  Shuffled(IndexStreamPtr source, std::uint64_t seed, bool reshuffle)
      : source_(std::move(source)), seed_(seed), reshuffle_(reshuffle) {}
  std::unique_ptr<IndexPass> Begin() const override {
    const std::uint64_t number = reshuffle_ ? passes_++ : 0;
    auto pass = std::make_unique<Permutation>();
    pass->order_.resize(static_cast<std::size_t>(source_->Cardinality()));
    source_->Begin()->Fill(pass->order_);
    base::PhiloxStream random(seed_, number);
    for (std::size_t i = pass->order_.size(); i > 1; --i)  // Fisher and Yates
      std::swap(pass->order_[i - 1], pass->order_[random.Below(i)]);
    return pass;
  }
  std::int64_t Cardinality() const override { return source_->Cardinality(); }

 private:
  struct Permutation : IndexPass {
    std::size_t Fill(std::span<std::int64_t> out) override {
      const std::size_t n = std::min(out.size(), order_.size() - at_);
      std::copy_n(order_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
      at_ += n;
      return n;
    }
    std::vector<std::int64_t> order_;
    std::size_t at_ = 0;
  };
  IndexStreamPtr source_;
  std::uint64_t seed_;
  bool reshuffle_;
  mutable std::atomic<std::uint64_t> passes_{0};
};

}  // namespace

IndexStreamPtr RangeIndices(std::int64_t count) { return std::make_shared<Range>(count); }
IndexStreamPtr TakeIndices(IndexStreamPtr source, std::int64_t count) {
  return std::make_shared<Taken>(std::move(source), count);
}
IndexStreamPtr SkipIndices(IndexStreamPtr source, std::int64_t count) {
  return std::make_shared<Skipped>(std::move(source), count);
}
IndexStreamPtr RepeatIndices(IndexStreamPtr source, std::int64_t times) {
  return std::make_shared<Repeated>(std::move(source), times);
}
IndexStreamPtr ShuffleIndices(IndexStreamPtr source, std::uint64_t seed, bool reshuffle) {
  return std::make_shared<Shuffled>(std::move(source), seed, reshuffle);
}

}  // namespace tenon::data
