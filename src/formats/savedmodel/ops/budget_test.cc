// Small files do not make big graphs: what rules make of constants and nodes is bounded.
#include <set>

#include "formats/savedmodel/ops/small_graph_test_util.h"
#include "ir/op_def.h"

namespace tenon::savedmodel {
namespace {

std::string Transformed(SmallGraph& g, const std::string& signal, std::int32_t length) {
  return g.Add("RFFT", {signal, g.Constant(Literal::from<std::int32_t>({1}, {length}))},
               {g.Type("Treal", DType::kF32), g.Type("Tcomplex", DType::kC64)});
}

TEST(BudgetTest, TransformsOfOneLengthShareTheirWaves) {
  SmallGraph g;
  const std::string signal = g.Input(Literal::from<float>({2, 8}, {1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1}));
  std::vector<std::string> outputs;
  for (int i = 0; i < 8; ++i) outputs.push_back(Transformed(g, signal, 8));
  const Result<ir::Module> module = g.Load(outputs);
  ASSERT_TRUE(module.ok()) << module.status().message();
  const ir::Graph& graph = (*module->Signature())->graph;
  std::set<const std::byte*> buffers;
  int waves = 0;
  for (std::int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->name == "constant" && graph.node(id).attrs.Lit("value").size() == 8 * 5) {
      ++waves;
      buffers.insert(graph.node(id).attrs.Lit("value").raw().data());
    }
  EXPECT_EQ(waves, 16);
  EXPECT_EQ(buffers.size(), 2u);
}

TEST(BudgetTest, WavesAreSpentBeforeTheyAreMade) {
  SmallGraph g;
  const std::string real = g.Input(Literal::from<double>({1, 2}, {1, 2}));
  const std::string small = g.Add("IRFFT", {g.Add("Cast", {real}, {g.Type("DstT", DType::kC128)}),
                                            g.Constant(Literal::from<std::int32_t>({1}, {8}))});
  const std::string wide = g.Input(Literal::uninitialized(DType::kC128, {1, 8192}), true);
  const Status status = g.Load({small, g.Add("FFT", {wide})}).status();  // 1 GiB of waves behind the small ones
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_NE(status.message().find("1 GiB"), std::string::npos) << status.message();
}

TEST(BudgetTest, NodesThatARuleMakesAreCounted) {
  SmallGraph g;
  const std::string data = g.Input(Literal::from<float>({1}, {1})), to = g.Input(Literal::from<std::int32_t>({1}, {0}));
  std::vector<std::string> outputs;
  for (int i = 0; i < 100; ++i)  // 16384 nodes each
    outputs.push_back(g.Add("DynamicPartition", {data, to}, {{"num_partitions", AttrValue{std::int64_t{4096}}}}));
  EXPECT_EQ(g.Load(outputs).status().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace tenon::savedmodel
