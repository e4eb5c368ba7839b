// Many rows down many trees, bit for bit as the reference: every comparison, NaN, every way to aggregate.
#include "backends/cpu/test_util.h"

namespace tenon::cpu {
namespace {

using Longs = std::vector<std::int64_t>;
using Doubles = std::vector<double>;

// Complete trees of `depth`, the comparisons of `modes` in turn; a leaf has one or two targets.
ir::Attrs Forest(std::int64_t trees, int depth, std::int64_t features, const Longs& modes, bool missing,
                 const std::string& how) {
  Longs feature, mode, yes, no, to_true, roots, starts = {0}, targets;
  Doubles splits, weights;
  std::uint32_t state = 7;
  const auto draw = [&] { return static_cast<std::int64_t>((state = state * 1664525U + 1013904223U) >> 16); };
  const std::int64_t inner = (std::int64_t{1} << depth) - 1;
  for (std::int64_t t = 0; t < trees; ++t) {
    const auto first = static_cast<std::int64_t>(feature.size());
    const auto leaf = static_cast<std::int64_t>(starts.size()) - 1;
    roots.push_back(first);
    const auto place = [&](std::int64_t i) { return i < inner ? first + i : -1 - (leaf + i - inner); };
    for (std::int64_t i = 0; i < inner; ++i) {
      feature.push_back(draw() % features), mode.push_back(modes[static_cast<std::size_t>(i) % modes.size()]);
      splits.push_back(mode.back() == 6 ? 0.0 : static_cast<double>(draw() % 9 - 4) / 4);
      yes.push_back(place(2 * i + 1)), no.push_back(place(2 * i + 2)), to_true.push_back(missing ? draw() % 2 : 0);
    }
    for (std::int64_t i = 0; i <= inner; ++i) {
      for (std::int64_t k = 0; k <= i % 2; ++k)
        targets.push_back((i + k) % 3), weights.push_back(static_cast<double>(draw() % 200 - 100) / 7);
      starts.push_back(static_cast<std::int64_t>(targets.size()));
    }
  }
  ir::Attrs attrs = {{"features", feature},
                     {"modes", mode},
                     {"splits", splits},
                     {"on_true", yes},
                     {"on_false", no},
                     {"missing_true", to_true},
                     {"roots", roots},
                     {"leaf_starts", starts},
                     {"leaf_targets", targets},
                     {"leaf_weights", weights},
                     {"targets", std::int64_t{3}},
                     {"aggregate", how}};
  attrs.Set("members", Doubles{3, -0.5, 0, 0.25});
  return attrs;
}

TEST(Trees, AgreeWithTheReference) {
  for (const DType dtype : {DType::kF32, DType::kF64})
    for (const std::int64_t rows : {1, 15, 64, 333})
      for (const std::string how : {"sum", "average", "min", "max"})
        for (const bool simple : {true, false}) {
          Doubles values;
          for (std::int64_t i = 0; i < rows * 5; ++i)
            values.push_back(i % 23 == 7 ? std::nan("") : static_cast<double>(i * 7 % 11 - 5) / 4);
          const Literal x = ir::FromDoubles(dtype, {rows, 5}, values);
          ir::Graph g;
          ir::Builder b(&g);
          const ir::Attrs forest = Forest(9, 4, 5, simple ? Longs{0} : Longs{0, 1, 2, 3, 4, 5, 6}, !simple, how);
          g.set_outputs({b.Add("tree_ensemble", {b.Input("x", ir::Type::Of(x))}, forest)});
          ASSERT_TRUE(b.ok()) << b.status().message();
          const std::string plan = Check(g, {x}, {}, 0);
          EXPECT_NE(plan.find("trees"), std::string::npos) << plan;
          EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
        }
}

}  // namespace
}  // namespace tenon::cpu
