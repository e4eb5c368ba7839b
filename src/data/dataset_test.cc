#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include "tenon/data.h"
#include "thrown_code.h"

namespace tenon::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Tensor Numbers(std::int64_t n, std::int64_t first = 0) {
  Literal out(DType::kI64, {n});
  std::iota(out.mutable_data<std::int64_t>().begin(), out.mutable_data<std::int64_t>().end(), first);
  return Tensor(out);
}
Dataset<Tensor> Range(std::int64_t n) { return Dataset(Numbers(n)); }
// The same elements from a source that is not known to have rows.
Dataset<Tensor> Stream(std::int64_t n) {
  return Dataset<Tensor>::from_generator([n] {
    return [n, i = std::int64_t{0}]() mutable -> std::optional<Tensor> {
      if (i == n) return std::nullopt;
      return Tensor(Literal::scalar(i++));
    };
  });
}
std::vector<std::int64_t> All(const Dataset<Tensor>& dataset) {
  std::vector<std::int64_t> out;
  for (const Tensor& t : dataset)
    for (const std::int64_t value : t.data<std::int64_t>()) out.push_back(value);
  return out;
}
std::vector<std::int64_t> Count(std::int64_t n) { return All(Range(n)); }
Tensor PlusHundred(const Tensor& t) {
  Literal out = t.literal();
  for (std::int64_t& value : out.mutable_data<std::int64_t>()) value += 100;
  return Tensor(out);
}

TEST(Dataset, SlicesOfEveryStructure) {
  const Split split{Tensor(Literal::from<float>({3, 2}, {1, 2, 3, 4, 5, 6})), Numbers(3)};
  std::vector<std::string> seen;
  for (const Split& s : Dataset(split)) seen.push_back(s.images.literal().to_string() + s.labels.literal().to_string());
  EXPECT_THAT(seen, ElementsAre("f32[2] {1, 2}i64[] {0}", "f32[2] {3, 4}i64[] {1}", "f32[2] {5, 6}i64[] {2}"));
  const std::map<std::string, Tensor> columns = {{"a", Numbers(2)},
                                                 {"s", Tensor(Literal::from_strings({2}, {"x", "y"}))}};
  std::string text;
  for (const auto& row : Dataset(columns))
    text += row.at("a").literal().to_string() + row.at("s").literal().to_string();
  EXPECT_EQ(text, "i64[] {0}string[] {\"x\"}i64[] {1}string[] {\"y\"}");
  for (const auto& [x, y] : Dataset(std::pair(Numbers(4), Numbers(4, 10))).batch(4)) {
    EXPECT_EQ(x.literal().to_string(), "i64[4] {0, 1, 2, 3}");
    EXPECT_EQ(y.literal().to_string(), "i64[4] {10, 11, 12, 13}");
  }
  EXPECT_THAT(All(Range(0)), SizeIs(0));
}

TEST(Dataset, SlicesThatDoNotGoTogetherAreErrors) {
  EXPECT_EQ(CodeOf([] { Dataset bad(Split{Numbers(3), Numbers(4)}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { Dataset bad(Tensor(Literal::scalar(1.0F))); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { Dataset bad(Split{}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { Dataset bad(Tensor(Literal(DType::kI4, {4, 3}))); }), Code::kInvalidArgument);
}

TEST(Dataset, BatchesOfRowsAndOfStreams) {
  for (const Dataset<Tensor>& source : {Range(10), Stream(10)}) {
    std::vector<std::int64_t> sizes;
    for (const Tensor& t : source.batch(4)) sizes.push_back(t.dim(0).value());
    EXPECT_THAT(sizes, ElementsAre(4, 4, 2));
    EXPECT_EQ(All(source.batch(4)), Count(10));
    EXPECT_EQ(All(source.batch(4, {.drop_remainder = true})), Count(8));
    EXPECT_EQ(All(source.batch(2).batch(3)), Count(10));
    EXPECT_THROW((void)source.batch(0), Error);
  }
  EXPECT_EQ(Range(10).batch(4).cardinality(), 3);
  EXPECT_EQ(Range(10).batch(4, {.drop_remainder = true}).cardinality(), 2);
  EXPECT_EQ(Stream(10).batch(4).cardinality(), kUnknown);
  // Element 2 of the second batch has another shape.
  const auto uneven =
      Stream(8).map([](const Tensor& t) { return Tensor(Literal(DType::kF32, {t.item() == 6 ? 3 : 2})); });
  auto i = uneven.batch(4).begin();
  try {
    ++i;
    FAIL() << "shapes differ";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("element 2 of the batch has f32[3], the first one f32[2]"));
  }
}

TEST(Dataset, EachBeginIsANewPass) {
  int calls = 0;
  const auto mapped = Range(3).map([&](const Tensor& t) {
    ++calls;
    return PlusHundred(t);
  });
  EXPECT_EQ(calls, 0) << "lazy";
  EXPECT_THAT(All(mapped), ElementsAre(100, 101, 102));
  EXPECT_THAT(All(mapped), ElementsAre(100, 101, 102));
  EXPECT_EQ(calls, 6);
}

TEST(Dataset, ShuffleOfRowsIsAPermutation) {
  const Dataset<Tensor> shuffled = Range(100).shuffle(1, {.seed = 3});
  const std::vector<std::int64_t> first = All(shuffled), second = All(shuffled);
  EXPECT_NE(first, second) << "reshuffled";
  EXPECT_NE(first, Count(100));
  EXPECT_THAT(first, testing::UnorderedElementsAreArray(Count(100)));
  EXPECT_THAT(second, testing::UnorderedElementsAreArray(Count(100)));
  const Dataset<Tensor> same = Range(100).shuffle(1, {.seed = 3});
  EXPECT_EQ(All(same), first) << "a function of the seed and the number of the pass";
  EXPECT_EQ(All(same), second);
  EXPECT_NE(All(Range(100).shuffle(1, {.seed = 4})), first);
  const Dataset<Tensor> fixed = Range(100).shuffle(1, {.seed = 3, .reshuffle_each_iteration = false});
  EXPECT_EQ(All(fixed), first);
  EXPECT_EQ(All(fixed), first);
  EXPECT_EQ(All(Range(100).shuffle(1, {.seed = 3}).batch(7)), first);
  EXPECT_EQ(All(Range(100).map(PlusHundred).shuffle(1, {.seed = 3}).batch(7)),
            All(Dataset(Numbers(100, 100)).shuffle(1, {.seed = 3})));
}

TEST(Dataset, EveryOrderHasTheSameChance) {
  std::map<std::vector<std::int64_t>, int> orders;
  const Dataset<Tensor> shuffled = Range(3).shuffle(3, {.seed = 1});
  for (int i = 0; i < 6000; ++i) ++orders[All(shuffled)];
  EXPECT_THAT(orders, SizeIs(6));
  for (const auto& [order, times] : orders) EXPECT_NEAR(times, 1000, 130);
}

TEST(Dataset, ShuffleOfAStreamDrawsFromTheBuffer) {
  const auto order = All(Stream(100).shuffle(10, {.seed = 3}));
  EXPECT_THAT(order, testing::UnorderedElementsAreArray(Count(100)));
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_LT(order[i], static_cast<std::int64_t>(i) + 10);
  EXPECT_NE(order, Count(100));
  EXPECT_EQ(All(Stream(100).shuffle(1)), Count(100));
  EXPECT_THROW((void)Stream(3).shuffle(0), Error);
}

TEST(Dataset, WithoutASeedTheGlobalOneDecides) {
  random::set_random_seed(9);
  const auto first = All(Range(50).shuffle(50)), second = All(Range(50).shuffle(50));
  EXPECT_NE(first, second);
  random::set_random_seed(9);
  EXPECT_EQ(All(Range(50).shuffle(50)), first);
  EXPECT_EQ(All(Range(50).shuffle(50)), second);
}

TEST(Dataset, TakeSkipRepeatConcatenate) {
  for (const Dataset<Tensor>& source : {Range(5), Stream(5)}) {
    EXPECT_THAT(All(source.take(2)), ElementsAre(0, 1));
    EXPECT_EQ(All(source.take(9)), Count(5));
    EXPECT_THAT(All(source.skip(3)), ElementsAre(3, 4));
    EXPECT_THAT(All(source.skip(9)), SizeIs(0));
    EXPECT_THAT(All(source.skip(1).take(2)), ElementsAre(1, 2));
    EXPECT_THAT(All(source.take(2).repeat(2)), ElementsAre(0, 1, 0, 1));
    EXPECT_THAT(All(source.take(2).repeat().take(5)), ElementsAre(0, 1, 0, 1, 0));
    EXPECT_THAT(All(source.repeat(0)), SizeIs(0));
    EXPECT_THAT(All(source.take(0).repeat()), SizeIs(0)) << "repeating nothing ends";
    EXPECT_THAT(All(source.take(3).repeat().batch(4).take(2)), ElementsAre(0, 1, 2, 0, 1, 2, 0, 1));
    EXPECT_THAT(All(source.take(1).concatenate(Range(2))), ElementsAre(0, 0, 1));
    EXPECT_THROW((void)source.take(-1), Error);
    EXPECT_THROW((void)source.skip(-1), Error);
    EXPECT_THROW((void)source.repeat(-2), Error);
  }
  EXPECT_EQ(Range(5).repeat().cardinality(), kInfinite);
  EXPECT_EQ(Range(5).repeat(3).skip(4).cardinality(), 11);
  EXPECT_EQ(Range(5).repeat().take(7).cardinality(), 7);
  EXPECT_EQ(Stream(5).repeat(2).cardinality(), kUnknown);
  EXPECT_EQ(Range(5).concatenate(Range(2)).cardinality(), 7);
  // Each repetition of a shuffled source is in an order of its own.
  const auto twice = All(Range(50).shuffle(50, {.seed = 1}).repeat(2));
  EXPECT_NE(std::vector(twice.begin(), twice.begin() + 50), std::vector(twice.begin() + 50, twice.end()));
  // Over the bounds of passes, a shuffle of an endless source goes through its buffer.
  EXPECT_THAT(All(Range(3).repeat().shuffle(5, {.seed = 1}).take(30)), SizeIs(30));
}

TEST(Dataset, FilterZipCache) {
  EXPECT_THAT(All(Range(6).filter([](const Tensor& t) { return static_cast<int>(t.item()) % 2 == 0; })),
              ElementsAre(0, 2, 4));
  std::vector<double> sums;
  for (const auto& [a, b] : zip(Range(3), Stream(9).skip(5))) sums.push_back(a.item() + b.item());
  EXPECT_THAT(sums, ElementsAre(5, 7, 9));
  EXPECT_EQ(zip(Range(3), Range(7)).cardinality(), 3);
  int calls = 0;
  const auto cached = Range(3).map([&](const Tensor& t) { return ++calls, t; }).cache();
  EXPECT_THAT(All(cached.take(2)), SizeIs(2));
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(All(cached), SizeIs(3)) << "the first pass did not reach the end";
  EXPECT_THAT(All(cached), ElementsAre(0, 1, 2));
  EXPECT_EQ(calls, 5);
}

TEST(Dataset, MapOverThreadsKeepsTheOrder) {
  std::atomic<int> running{0}, most{0};
  const auto slow = [&](const Tensor& t) {
    const int now = ++running;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200 + 300 * (static_cast<int>(t.item()) % 3)));
    --running;
    return PlusHundred(t);
  };
  std::vector<std::int64_t> expected = Count(100);
  for (std::int64_t& value : expected) value += 100;
  EXPECT_EQ(All(Range(100).map(slow, {.threads = 4})), expected);
  EXPECT_GT(most, 1);
  EXPECT_LE(most, 4);
  EXPECT_EQ(All(Stream(100).map(slow, {.threads = 3}).prefetch(2).take(7)),
            std::vector(expected.begin(), expected.begin() + 7));
  EXPECT_THAT(All(Range(0).map(slow, {.threads = 4})), SizeIs(0));
  EXPECT_THROW((void)Range(3).map(slow, {.threads = 0}), Error);
}

TEST(Dataset, PrefetchGivesTheSameAhead) {
  EXPECT_EQ(All(Range(1000).batch(3).prefetch()), Count(1000));
  std::atomic<int> made{0};
  const auto counted = Range(100).map([&](const Tensor& t) { return ++made, t; });
  auto i = counted.prefetch(5).begin();
  for (int tries = 0; made < 6 && tries < 2000; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GE(made, 6) << "one given and five ahead";
  EXPECT_LE(made, 7) << "and one in the producer's hands";
  EXPECT_EQ(i->item(), 0);
}

TEST(Dataset, ErrorsComeOutInTheirPlace) {
  const auto fails = [](const Tensor& t) {
    if (t.item() == 5) fail(Code::kDataLoss, "element 5");
    return t;
  };
  for (const Dataset<Tensor>& dataset :
       {Range(10).map(fails), Stream(10).map(fails), Range(10).map(fails).prefetch(3),
        Range(10).map(fails, {.threads = 4}), Stream(10).map(fails).map(PlusHundred, {.threads = 4}),
        Range(10).map(fails, {.threads = 2}).prefetch()}) {
    std::vector<std::int64_t> seen;
    EXPECT_EQ(CodeOf([&] {
                for (const Tensor& t : dataset) seen.push_back(static_cast<std::int64_t>(t.item()) % 100);
              }),
              Code::kDataLoss);
    EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4));
  }
}

TEST(Dataset, APassMayBeLeftEarly) {
  for (int i = 0; i < 50; ++i) {
    const auto dataset = Range(100000).map(PlusHundred, {.threads = 3}).batch(2).prefetch(i % 3);
    int taken = 0;
    for (const Tensor& t : dataset) {
      (void)t;
      if (++taken > i % 5) break;
    }
  }
  std::optional<Dataset<Tensor>::Iterator> kept;
  {
    const auto dataset = Range(10).batch(5).prefetch();
    kept = dataset.begin();
  }
  EXPECT_EQ((**kept).dim(0), 5) << "a pass keeps its source alive";
}

TEST(Dataset, ManyPassesAtOnce) {
  const auto dataset = Range(500).shuffle(500, {.seed = 1}).batch(16).cache();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int k = 0; k < 4; ++k)
    threads.emplace_back([&] {
      std::vector<std::int64_t> all = All(dataset);
      std::sort(all.begin(), all.end());
      wrong += all != Count(500);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Digits, SplitsOfTheBuiltInSet) {
  const auto [train, test] = digits({.train = 200, .test = 100});
  EXPECT_EQ(train.images.shape(), (Shape{200, 28, 28}));
  EXPECT_EQ(test.labels.shape(), (Shape{100}));
  const Splits more = digits({.train = 300, .test = 100});
  EXPECT_TRUE(identical(more.test.images.literal(), test.images.literal())) << "whatever the size of the training set";
  for (const Split& batch : Dataset(train).shuffle(200).batch(128).take(1)) {
    EXPECT_EQ(batch.images.shape(), (Shape{128, 28, 28}));
    EXPECT_EQ(batch.labels.dtype(), DType::kI64);
  }
  EXPECT_THROW((void)digits({.train = -1}), Error);
  EXPECT_THROW((void)mnist("/no/such/folder"), Error);
}

}  // namespace
}  // namespace tenon::data
