// The steps that run in the consumer's thread.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "base/philox.h"
#include "data/rows.h"
#include "eager/seed.h"
#include "tenon/data.h"

namespace tenon::data::pipeline {
namespace {

std::int64_t Checked(const char* step, std::int64_t got, std::int64_t least) {
  if (got < least)
    fail(Code::kInvalidArgument, std::string("Dataset: ") + step + ": got " + std::to_string(got) +
                                     ", expected at least " + std::to_string(least));
  return got;
}

// A node of a function that begins a pass and the number of its elements.
class MadeNode : public Node {
 public:
  MadeNode(std::function<std::unique_ptr<Pass>()> begin, std::int64_t cardinality)
      : begin_(std::move(begin)), cardinality_(cardinality) {}
  std::unique_ptr<Pass> Begin() const override { return begin_(); }
  std::int64_t Cardinality() const override { return cardinality_; }

 private:
  std::function<std::unique_ptr<Pass>()> begin_;
  std::int64_t cardinality_;
};
// A pass of a function that gives the next element.
class MadePass : public Pass {
 public:
  explicit MadePass(Generator next) : next_(std::move(next)) {}
  bool Next(Element& out) override { return next_(out); }

 private:
  Generator next_;
};

// begin() gives a move-only or copyable function `bool(Element&)`.
template <class Begin>
NodePtr Make(std::int64_t cardinality, Begin begin) {
  return std::make_shared<MadeNode>(
      [begin = std::move(begin)]() -> std::unique_ptr<Pass> { return std::make_unique<MadePass>(begin()); },
      cardinality);
}
// Passes live in std::functions, which are copyable.
std::shared_ptr<Pass> Start(const NodePtr& node) { return node->Begin(); }

const RowsNode* AsRows(const NodePtr& node) { return dynamic_cast<const RowsNode*>(node.get()); }
NodePtr WithIndices(const RowsNode& rows, IndexStreamPtr indices) {
  return std::make_shared<RowsNode>(rows.source(), std::move(indices));
}

// Gathers `size` rows at a time.
NodePtr BatchRows(const RowsNode& rows, std::int64_t size, bool drop, std::int64_t cardinality) {
  return Make(cardinality, [source = rows.source(), indices = rows.indices(), size, drop]() -> Generator {
    return [source, pass = std::shared_ptr<IndexPass>(indices->Begin()),
            numbers = std::vector<std::int64_t>(static_cast<std::size_t>(size)), drop](Element& out) mutable {
      const std::size_t n = pass->Fill(numbers);
      if (n == 0 || (drop && n < numbers.size())) return false;
      out = source->Gather(std::span(numbers).first(n));
      return true;
    };
  });
}

// Draws from the next `buffer` elements.
class BufferedShuffle : public Pass {
 public:
  BufferedShuffle(std::unique_ptr<Pass> source, std::int64_t buffer, std::uint64_t seed, std::uint64_t number)
      : source_(std::move(source)), size_(static_cast<std::size_t>(buffer)), random_(seed, number) {}
  bool Next(Element& out) override {
    Element next;
    while (!ended_ && held_.size() < size_) {
      if (source_->Next(next))
        held_.push_back(std::move(next));
      else
        ended_ = true;
    }
    if (held_.empty()) return false;
    std::swap(held_[random_.Below(held_.size())], held_.back());
    out = std::move(held_.back());
    held_.pop_back();
    return true;
  }

 private:
  std::unique_ptr<Pass> source_;
  std::size_t size_;
  base::PhiloxStream random_;
  std::vector<Element> held_;
  bool ended_ = false;
};

class CacheNode : public Node, public std::enable_shared_from_this<CacheNode> {
 public:
  explicit CacheNode(NodePtr source) : source_(std::move(source)) {}
  std::int64_t Cardinality() const override { return source_->Cardinality(); }
  std::unique_ptr<Pass> Begin() const override {
    const std::lock_guard lock(mutex_);
    if (all_) {
      return std::make_unique<MadePass>([all = all_, i = std::size_t{0}](Element& out) mutable {
        if (i == all->size()) return false;
        out = (*all)[i++];
        return true;
      });
    }
    return std::make_unique<MadePass>([self = shared_from_this(), pass = Start(source_),
                                       seen = std::make_shared<std::vector<Element>>()](Element& out) mutable {
      if (!pass->Next(out)) {
        const std::lock_guard inner(self->mutex_);
        if (!self->all_) self->all_ = seen;
        return false;
      }
      seen->push_back(out);
      return true;
    });
  }

 private:
  NodePtr source_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const std::vector<Element>> all_;
};

}  // namespace

NodePtr Generate(std::function<Generator()> begin) { return Make(kUnknown, std::move(begin)); }

NodePtr Shuffle(const NodePtr& source, std::int64_t buffer, ShuffleOptions options) {
  Checked("shuffle", buffer, 1);
  const std::uint64_t seed = options.seed ? *options.seed : eager::NextSeed();
  if (const RowsNode* rows = AsRows(source); rows != nullptr && rows->Cardinality() >= 0)
    return WithIndices(*rows, ShuffleIndices(rows->indices(), seed, options.reshuffle_each_iteration));
  const auto passes = std::make_shared<std::atomic<std::uint64_t>>(0);
  return std::make_shared<MadeNode>(
      [source, buffer, seed, passes, reshuffle = options.reshuffle_each_iteration]() -> std::unique_ptr<Pass> {
        const std::uint64_t number = reshuffle ? (*passes)++ : 0;
        return std::make_unique<BufferedShuffle>(source->Begin(), buffer, seed, number);
      },
      source->Cardinality());
}

NodePtr Batch(const NodePtr& source, std::int64_t size, BatchOptions options) {
  Checked("batch", size, 1);
  std::int64_t cardinality = source->Cardinality();
  if (cardinality > 0) cardinality = options.drop_remainder ? cardinality / size : (cardinality - 1) / size + 1;
  if (const RowsNode* rows = AsRows(source)) return BatchRows(*rows, size, options.drop_remainder, cardinality);
  return Make(cardinality, [source, size, drop = options.drop_remainder]() -> Generator {
    return [pass = Start(source), size = static_cast<std::size_t>(size), drop](Element& out) {
      std::vector<Element> elements;
      Element next;
      while (elements.size() < size && pass->Next(next)) elements.push_back(std::move(next));
      if (elements.empty() || (drop && elements.size() < size)) return false;
      out = Stack(elements);
      return true;
    };
  });
}

NodePtr MapHere(const NodePtr& source, std::function<Element(Element)> body) {
  if (const RowsNode* rows = AsRows(source))
    return std::make_shared<RowsNode>(MapRows(rows->source(), std::move(body)), rows->indices());
  return Make(source->Cardinality(), [source, body = std::move(body)]() -> Generator {
    return [pass = Start(source), body](Element& out) {
      Element in;
      if (!pass->Next(in)) return false;
      out = body(std::move(in));
      return true;
    };
  });
}

NodePtr Filter(const NodePtr& source, std::function<bool(const Element&)> keep) {
  const std::int64_t cardinality = source->Cardinality() == 0 ? 0 : kUnknown;
  return Make(cardinality, [source, keep = std::move(keep)]() -> Generator {
    return [pass = Start(source), keep](Element& out) {
      Element in;
      do {
        if (!pass->Next(in)) return false;
      } while (!keep(in));
      out = std::move(in);
      return true;
    };
  });
}

NodePtr Repeat(const NodePtr& source, std::int64_t times) {
  Checked("repeat", times, kInfinite);
  if (const RowsNode* rows = AsRows(source)) return WithIndices(*rows, RepeatIndices(rows->indices(), times));
  return Make(RepeatCardinality(source->Cardinality(), times), [source, times]() -> Generator {
    return [source, left = times, pass = std::shared_ptr<Pass>(), any = false](Element& out) mutable {
      for (;;) {
        if (!pass) {
          if (left == 0) return false;
          if (left > 0) --left;
          pass = Start(source);
          any = false;
        }
        if (pass->Next(out)) return any = true;
        pass.reset();
        if (!any) left = 0;  // an empty pass: there will be no other
      }
    };
  });
}

NodePtr Take(const NodePtr& source, std::int64_t count) {
  Checked("take", count, 0);
  if (const RowsNode* rows = AsRows(source)) return WithIndices(*rows, TakeIndices(rows->indices(), count));
  return Make(TakeCardinality(source->Cardinality(), count), [source, count]() -> Generator {
    return [pass = Start(source), left = count](Element& out) mutable {
      if (left == 0 || !pass->Next(out)) return false;
      --left;
      return true;
    };
  });
}

NodePtr Skip(const NodePtr& source, std::int64_t count) {
  Checked("skip", count, 0);
  if (const RowsNode* rows = AsRows(source)) return WithIndices(*rows, SkipIndices(rows->indices(), count));
  return Make(SkipCardinality(source->Cardinality(), count), [source, count]() -> Generator {
    return [pass = Start(source), left = count](Element& out) mutable {
      for (; left > 0; --left)
        if (!pass->Next(out)) return false;
      return pass->Next(out);
    };
  });
}

NodePtr Concatenate(const NodePtr& first, const NodePtr& second) {
  const std::int64_t a = first->Cardinality(), b = second->Cardinality();
  const std::int64_t sum = a == kInfinite || b == kInfinite ? kInfinite : a < 0 || b < 0 ? kUnknown : a + b;
  return Make(sum, [first, second]() -> Generator {
    return [pass = Start(first), rest = second](Element& out) mutable {
      if (pass->Next(out)) return true;
      if (!rest) return false;
      pass = Start(rest);
      rest.reset();
      return pass->Next(out);
    };
  });
}

NodePtr Zip(const NodePtr& first, const NodePtr& second, std::function<Element(Element, Element)> join) {
  const std::int64_t a = first->Cardinality(), b = second->Cardinality();
  const std::int64_t least = a == kInfinite ? b : b == kInfinite ? a : a < 0 || b < 0 ? kUnknown : std::min(a, b);
  return Make(least, [first, second, join = std::move(join)]() -> Generator {
    return [left = Start(first), right = Start(second), join](Element& out) {
      Element x, y;
      if (!left->Next(x) || !right->Next(y)) return false;
      out = join(std::move(x), std::move(y));
      return true;
    };
  });
}

NodePtr Cache(const NodePtr& source) { return std::make_shared<CacheNode>(source); }

}  // namespace tenon::data::pipeline
