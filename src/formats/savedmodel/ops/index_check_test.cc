// What the rules make of indices that TensorFlow's kernels refuse: the run fails. Each of these was tried there.
#include "formats/savedmodel/ops/small_graph_test_util.h"

namespace tenon::savedmodel {
namespace {

Literal F(std::vector<std::int64_t> dims, std::initializer_list<float> v) { return Literal::from(std::move(dims), v); }
Literal I(std::initializer_list<std::int32_t> v) { return Literal::from({static_cast<std::int64_t>(v.size())}, v); }
Literal L(std::initializer_list<std::int64_t> v) { return Literal::from({static_cast<std::int64_t>(v.size())}, v); }
Literal One(std::int32_t v) { return Literal::scalar(v); }

// Lists.

std::string ScatteredLength(Literal places, Literal count, bool constant) {
  SmallGraph g;
  const std::string items = g.Input(F({2}, {1, 2})), at = g.Input(std::move(places)), dims = g.Constant(I({}));
  const std::string number = constant ? g.Constant(std::move(count)) : g.Input(std::move(count));
  const std::string list =
      g.Add("TensorListScatterV2", {items, at, dims, number}, {g.Type("element_dtype", DType::kF32)});
  return g.Text(g.Add("TensorListLength", {list}));
}
std::string Scattered(Literal places, std::int32_t count) {
  SmallGraph g;
  const std::string items = g.Input(F({2}, {1, 2})), at = g.Input(std::move(places)), dims = g.Constant(I({}));
  const std::string list = g.Add("TensorListScatterV2", {items, at, dims, g.Input(One(count))});
  return g.Text(g.Add("TensorListStack", {list, dims}));
}

TEST(ListTest, AScatteredListIsAsLongAsItSays) {
  for (const bool constant : {false, true}) {
    EXPECT_EQ(ScatteredLength(I({0, 2}), One(7), constant), "i32[] {7}");
    EXPECT_EQ(ScatteredLength(I({0, 2}), One(-1), constant), "i32[] {3}");
  }
  EXPECT_EQ(Scattered(I({0, 2}), 4), "f32[4] {1, 0, 2, 0}");
  EXPECT_EQ(Scattered(I({2, 0}), -1), "f32[3] {2, 0, 1}");
  EXPECT_NE(Scattered(I({0, 2}), 1).find("got index 2 for 1 elements"), std::string::npos) << Scattered(I({0, 2}), 1);
  EXPECT_NE(Scattered(I({0, -1}), 3).find("got index"), std::string::npos) << Scattered(I({0, -1}), 3);
  EXPECT_NE(Scattered(I({0, 1}), -5).find("expected a dim"), std::string::npos) << Scattered(I({0, 1}), -5);
}

TEST(ListTest, ItemsAreScatteredIntoAListThatIsThere) {
  const auto stacked = [](Literal places) {
    SmallGraph g;
    const std::string dims = g.Constant(I({}));
    const std::string list = g.Add("TensorListReserve", {dims, g.Number(3)}, {g.Type("element_dtype", DType::kF32)});
    const std::string next =
        g.Add("TensorListScatterIntoExistingList", {list, g.Input(F({2}, {1, 2})), g.Input(std::move(places))});
    return g.Text(g.Add("TensorListStack", {next, dims}));
  };
  EXPECT_EQ(stacked(I({0, 2})), "f32[3] {1, 0, 2}");
  EXPECT_EQ(stacked(I({1, 1})), "f32[3] {0, 2, 0}");
  EXPECT_NE(stacked(I({0, -1})).find("got index"), std::string::npos);
}

TEST(ListTest, ItemsBelowTheFirstAreRefused) {
  const auto item = [](std::int32_t at) {
    SmallGraph g;
    const std::string list = g.Add("TensorListFromTensor", {g.Input(F({3}, {1, 2, 3})), g.Constant(I({}))});
    return g.Text(g.Add("TensorListGetItem", {list, g.Input(One(at)), g.Constant(I({}))}));
  };
  EXPECT_EQ(item(2), "f32[] {3}");
  for (const int at : {-1, -3, 3}) EXPECT_NE(item(at).find("got index"), std::string::npos) << item(at);
  const auto gathered = [](Literal at) {
    SmallGraph g;
    const std::string list = g.Add("TensorListFromTensor", {g.Input(F({3}, {1, 2, 3})), g.Constant(I({}))});
    return g.Text(g.Add("TensorListGather", {list, g.Input(std::move(at)), g.Constant(I({}))}));
  };
  EXPECT_EQ(gathered(I({2, 0})), "f32[2] {3, 1}");
  EXPECT_NE(gathered(I({2, -1})).find("got index"), std::string::npos);
  const auto written = [](std::int32_t at) {
    SmallGraph g;
    const std::string list = g.Add("TensorListFromTensor", {g.Input(F({3}, {1, 2, 3})), g.Constant(I({}))});
    const std::string next = g.Add("TensorListSetItem", {list, g.Input(One(at)), g.Input(Literal::scalar(9.0f))});
    return g.Text(g.Add("TensorListStack", {next, g.Constant(I({}))}));
  };
  EXPECT_EQ(written(1), "f32[3] {1, 9, 3}");
  EXPECT_NE(written(-1).find("got index"), std::string::npos) << written(-1);
}

// Ragged tensors.

TEST(RaggedTest, RowSplitsThatDoNotAscendAreRefused) {
  const auto dense = [](Literal splits) {
    SmallGraph g;
    auto kinds = std::make_shared<AttrList>();
    kinds->s = {"ROW_SPLITS"};
    const std::string values = g.Input(I({1, 2, 3, 4, 5, 6}));
    return g.Text(g.Add("RaggedTensorToTensor",
                        {g.Constant(L({-1, -1})), values, g.Number(0), g.Input(std::move(splits))},
                        {{"row_partition_types", AttrValue{std::shared_ptr<const AttrList>(kinds)}}}));
  };
  EXPECT_EQ(dense(L({0, 1, 6})), "i32[2, 5] {1, 0, 0, 0, 0, 2, 3, 4, 5, 6}");
  EXPECT_EQ(dense(L({0, 1, 3})), "i32[2, 2] {1, 0, 2, 3}");
  for (const auto& bad : {L({-3, 1, 6}), L({0, 4, 2, 6}), L({0, 4, 2, 9}), L({1, 2, 6}), L({0, 1, 9})})
    EXPECT_NE(dense(bad).find("got index"), std::string::npos) << bad.to_string() << dense(bad);
}

TEST(RaggedTest, RowsAreGatheredByIndicesFromZero) {
  const auto values = [](Literal splits, Literal rows) {
    SmallGraph g;
    const std::string made =
        g.Add("RaggedGather", {g.Input(std::move(splits)), g.Input(I({0, 1, 2, 3, 4, 5})), g.Input(std::move(rows))});
    return g.Text(made + ":1");
  };
  EXPECT_EQ(values(L({0, 1, 6}), I({1})), "i32[5] {1, 2, 3, 4, 5}");
  EXPECT_EQ(values(L({1, 2, 6}), I({1})), "i32[4] {2, 3, 4, 5}");
  EXPECT_EQ(values(L({0, 1, 2}), I({1})), "i32[1] {1}");
  EXPECT_NE(values(L({0, 1, 6}), I({-1})).find("got index"), std::string::npos);
  for (const auto& bad : {L({-3, 4, 6}), L({0, 4, 2, 6}), L({0, 4, 9})})
    EXPECT_NE(values(bad, I({1})).find("got index"), std::string::npos) << bad.to_string();
}

// Segments, partitions.

std::string Segmented(const std::string& op, Literal ids) {
  SmallGraph g;
  std::vector<std::string> inputs{g.Input(F({2, 2}, {1, 2, 3, 4}))};
  if (op.starts_with("Sparse")) inputs.push_back(g.Constant(I({0, 1})));
  inputs.push_back(g.Input(std::move(ids)));
  if (op.starts_with("Unsorted") || op.ends_with("WithNumSegments")) inputs.push_back(g.Number(3));
  return g.Text(g.Add(op, inputs));
}

TEST(SegmentTest, SegmentsOutOfRangeAreRefused) {
  EXPECT_EQ(Segmented("UnsortedSegmentSum", I({2, 2})), "f32[3, 2] {0, 0, 0, 0, 4, 6}");
  EXPECT_EQ(Segmented("UnsortedSegmentSum", I({0, -1})), "f32[3, 2] {1, 2, 0, 0, 0, 0}");  // left out there too
  for (const auto& bad : {I({0, 3}), I({4, 0})})
    for (const char* op : {"UnsortedSegmentSum", "UnsortedSegmentMax"})
      EXPECT_NE(Segmented(op, bad).find("got index"), std::string::npos) << op << bad.to_string();
  EXPECT_EQ(Segmented("SegmentSum", I({0, 2})), "f32[3, 2] {1, 2, 0, 0, 3, 4}");
  for (const char* op : {"SegmentSum", "SegmentMax", "SparseSegmentSumWithNumSegments"})
    for (const auto& bad : {I({-1, 0}), I({1, 0})})
      EXPECT_NE(Segmented(op, bad).find("got index"), std::string::npos) << op << bad.to_string();
  EXPECT_NE(Segmented("SparseSegmentSumWithNumSegments", I({0, 3})).find("got index"), std::string::npos);
}

TEST(SegmentTest, AnEmptyMaximumIsTheLowestNumberOfItsType) {
  const auto empty = [](const char* op, DType dtype) {
    SmallGraph g;
    const std::string data = g.Add("Cast", {g.Input(F({1}, {1}))}, {g.Type("DstT", dtype)});
    const Result<std::vector<Literal>> out = g.Run({g.Add(op, {data, g.Input(I({1})), g.Number(2)})});
    EXPECT_TRUE(out.ok()) << out.status().message();
    return out.ok() ? out->front().at(0) : 0;
  };
  EXPECT_EQ(empty("UnsortedSegmentMax", DType::kBF16), -0x1.fep127);
  EXPECT_EQ(empty("UnsortedSegmentMin", DType::kBF16), 0x1.fep127);
  EXPECT_EQ(empty("UnsortedSegmentMax", DType::kF32), -0x1.fffffep127);
  EXPECT_EQ(empty("UnsortedSegmentMax", DType::kF16), -65504);
  EXPECT_EQ(empty("UnsortedSegmentMin", DType::kI32), 0x1p31 - 1);
}

TEST(PartitionTest, PartitionsAndPlacesOutOfRangeAreRefused) {
  const auto second = [](Literal partitions) {
    SmallGraph g;
    return g.Text(g.Add("DynamicPartition", {g.Input(F({3}, {1, 2, 3})), g.Input(std::move(partitions))},
                        {{"num_partitions", AttrValue{std::int64_t{2}}}}) +
                  ":1");
  };
  EXPECT_EQ(second(I({1, 0, 1})), "f32[2] {1, 3}");
  for (const auto& bad : {I({0, 2, 1}), I({-1, 0, 1})})
    EXPECT_NE(second(bad).find("got index"), std::string::npos) << bad.to_string();
  const auto stitched = [](Literal places) {
    SmallGraph g;
    return g.Text(g.Add("DynamicStitch", {g.Input(std::move(places)), g.Input(F({2}, {1, 2}))}));
  };
  EXPECT_EQ(stitched(I({2, 0})), "f32[3] {2, 0, 1}");
  EXPECT_NE(stitched(I({0, -1})).find("got index"), std::string::npos);
}

// Gather, scatter, sparse tensors.

TEST(IndexTest, IndicesBelowZeroAreRefused) {
  const auto made = [](const std::string& op, std::int32_t at) {
    SmallGraph g;
    const std::string data = g.Input(F({3}, {1, 2, 3})), one = g.Input(F({1}, {9})), index = g.Input(I({at}));
    const std::string row = g.Input(Literal::from<std::int32_t>({1, 1}, {at})), size = g.Constant(I({3}));
    if (op == "Gather") return g.Text(g.Add(op, {data, index}));
    if (op == "GatherV2") return g.Text(g.Add(op, {data, index, g.Number(0)}));
    if (op == "GatherNd") return g.Text(g.Add(op, {data, row}));
    if (op == "ScatterNd") return g.Text(g.Add(op, {row, one, size}));
    if (op == "SparseToDense") return g.Text(g.Add(op, {index, size, one, g.Constant(Literal::scalar(0.0f))}));
    return g.Text(g.Add(op, {data, row, one}));  // TensorScatterX
  };
  EXPECT_EQ(made("GatherV2", 2), "f32[1] {3}");
  EXPECT_EQ(made("GatherNd", 1), "f32[1] {2}");
  EXPECT_EQ(made("ScatterNd", 1), "f32[3] {0, 9, 0}");
  EXPECT_EQ(made("SparseToDense", 1), "f32[3] {0, 9, 0}");
  EXPECT_EQ(made("TensorScatterUpdate", 1), "f32[3] {1, 9, 3}");
  for (const char* op : {"Gather", "GatherV2", "GatherNd", "ScatterNd", "SparseToDense", "TensorScatterUpdate",
                         "TensorScatterAdd", "TensorScatterMax"})
    EXPECT_NE(made(op, -1).find("got index"), std::string::npos) << op << ": " << made(op, -1);
}

TEST(RandomTest, EmptyRangesAreRefused) {
  const auto drawn = [](bool stateless, std::int32_t least, std::int32_t limit, std::int32_t count) {
    SmallGraph g;
    std::vector<std::string> inputs{g.Constant(I({count}))};
    if (stateless) inputs.push_back(g.Constant(I({1, 2})));
    inputs.push_back(g.Input(One(least)));
    inputs.push_back(g.Input(One(limit)));
    return g.Text(g.Add(stateless ? "StatelessRandomUniformInt" : "RandomUniformInt", inputs,
                        {g.Type("dtype", DType::kI32), g.Type("Tout", DType::kI32)}));
  };
  EXPECT_EQ(drawn(true, 1, 3, 2), "i32[2] {1, 2}");  // as TensorFlow draws them
  EXPECT_EQ(drawn(true, 3, 1, 0), "i32[0] {}");
  for (const bool stateless : {true, false})
    for (const int limit : {1, 3})
      EXPECT_NE(drawn(stateless, 3, limit, 2).find("got index"), std::string::npos) << drawn(stateless, 3, limit, 2);
}

}  // namespace
}  // namespace tenon::savedmodel
