#include "formats/savedmodel/bundle.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/crc32c.h"
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/varint.h"
#include "temporary_folder.h"
#include "test_data.h"

namespace tenon::savedmodel {
namespace {

std::string Bytes(const std::string& path) { return base::ReadFile(path).value(); }
void Put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::map<std::string, Literal> Samples() {
  std::map<std::string, Literal> out;
  out.emplace("a/kernel", Literal::from<float>({2, 3}, {1, 2, 3, 4, 5, -6}));
  out.emplace("a/half", Literal::from<Half>({2}, {to_half(1.5f), to_half(-2)}));
  out.emplace("b", Literal::scalar<std::int64_t>(-7));
  out.emplace("empty", Literal(DType::kF64, {0, 3}));
  out.emplace("flags", Literal::from<bool>({3}, {true, false, true}));
  out.emplace("text", Literal::from_strings({2, 2}, {"", "one", std::string(300, 'x'), std::string("\0nul", 4)}));
  Literal nibbles(DType::kI4, {3});
  nibbles.mutable_raw()[0] = std::byte{0xf1};  // 1, -1
  nibbles.mutable_raw()[1] = std::byte{0x07};
  out.emplace("nibbles", nibbles);
  return out;
}

TEST(BundleTest, RoundTripOfEveryKind) {
  const TemporaryFolder folder;
  BundleWriter writer;
  for (const auto& [name, value] : Samples()) ASSERT_TRUE(writer.Add(name, value).ok());
  const std::string prefix = folder / "ckpt";
  ASSERT_TRUE(writer.Write(prefix).ok());
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"ckpt.data-00000-of-00001", "ckpt.index"}));
  const Result<BundleReader> reader = BundleReader::Open(prefix);
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  EXPECT_EQ(reader->tensors().size(), Samples().size());
  for (const auto& [name, value] : Samples()) {
    const Result<Literal> read = reader->Read(name);
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_TRUE(identical(*read, value)) << name << ' ' << read->to_string();
  }
  EXPECT_EQ(reader->Read("missing").status().code(), Code::kNotFound);
}

TEST(BundleTest, OrderOfAddingDoesNotMatterAndNamesAreUnique) {
  const TemporaryFolder folder;
  BundleWriter one, two;
  const auto samples = Samples();
  for (auto it = samples.begin(); it != samples.end(); ++it) ASSERT_TRUE(one.Add(it->first, it->second).ok());
  for (auto it = samples.rbegin(); it != samples.rend(); ++it) ASSERT_TRUE(two.Add(it->first, it->second).ok());
  EXPECT_EQ(one.Add("b", Literal()).code(), Code::kInvalidArgument);
  EXPECT_EQ(one.Add("", Literal()).code(), Code::kInvalidArgument);
  ASSERT_TRUE(one.Write(folder / "one").ok());
  ASSERT_TRUE(two.Write(folder / "two").ok());
  EXPECT_EQ(Bytes(folder / "one.index"), Bytes(folder / "two.index"));
  EXPECT_EQ(Bytes(folder / "one.data-00000-of-00001"), Bytes(folder / "two.data-00000-of-00001"));
}

TEST(BundleTest, AlignedTensorsAreViewsOfTheFile) {
  const TemporaryFolder folder;
  BundleWriter writer;
  ASSERT_TRUE(writer.Add("w", Literal::from<float>({2}, {1, 2})).ok());
  ASSERT_TRUE(writer.Write(folder / "ckpt").ok());
  std::optional<Literal> kept;
  {
    const BundleReader reader = BundleReader::Open(folder / "ckpt").value();
    kept = reader.Read("w").value();
    EXPECT_EQ(kept->raw().data(), reader.Read("w").value().buffer().data());
  }
  EXPECT_EQ(kept->data<float>()[1], 2);  // the map outlives the reader
}

TEST(BundleTest, EveryFlippedByteOfTheDataIsFound) {
  const TemporaryFolder folder;
  BundleWriter writer;
  ASSERT_TRUE(writer.Add("w", Literal::from<float>({2}, {1, 2})).ok());
  ASSERT_TRUE(writer.Add("t", Literal::from_strings({2}, {"ab", "cde"})).ok());
  ASSERT_TRUE(writer.Write(folder / "ckpt").ok());
  const std::string good = Bytes(folder / "ckpt.data-00000-of-00001");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    Put(folder / "ckpt.data-00000-of-00001", bad);
    const Result<BundleReader> reader = BundleReader::Open(folder / "ckpt");
    ASSERT_TRUE(reader.ok());
    const bool padding = i >= 11 && i < 64;  // "t" takes 2 + 4 + 5 bytes, "w" starts at 64
    EXPECT_EQ(reader->Read("t").ok() && reader->Read("w").ok(), padding) << i;
  }
  Put(folder / "ckpt.data-00000-of-00001", good.substr(0, good.size() - 1));
  EXPECT_EQ(BundleReader::Open(folder / "ckpt").status().code(), Code::kDataLoss);
  std::filesystem::remove(folder / "ckpt.data-00000-of-00001");
  EXPECT_EQ(BundleReader::Open(folder / "ckpt").status().code(), Code::kNotFound);
  EXPECT_EQ(BundleReader::Open(folder / "other").status().code(), Code::kNotFound);
}

/// An index with a header and one entry of the given bytes, beside a shard of 16 bytes.
Status OpenEntry(const std::string& entry, const std::string& other = "") {
  const TemporaryFolder folder;
  TableWriter table;
  EXPECT_TRUE(table.Add("", std::string("\x08\x01", 2)).ok());
  EXPECT_TRUE(table.Add("w", entry).ok());
  EXPECT_TRUE(other.empty() || table.Add("x", other).ok());
  Put(folder / "c.index", table.Finish());
  Put(folder / "c.data-00000-of-00001", std::string(16, '\0'));
  const Result<BundleReader> reader = BundleReader::Open(folder / "c");
  if (!reader.ok()) return reader.status();
  return reader->Read("w").status();
}

TEST(BundleTest, RefusesHostileEntries) {
  const auto entry = [](int dtype, std::uint64_t dim, std::uint64_t offset, std::uint64_t size) {
    std::string shape, dim_bytes, out;
    dim_bytes.push_back(0x08);
    PutVarint(dim_bytes, dim);
    shape.push_back(0x12);
    PutVarint(shape, dim_bytes.size());
    shape += dim_bytes;
    out.push_back(0x08);
    out.push_back(static_cast<char>(dtype));
    out.push_back(0x12);
    PutVarint(out, shape.size());
    out += shape;
    out.push_back(0x20);
    PutVarint(out, offset);
    out.push_back(0x28);
    PutVarint(out, size);
    out.push_back(0x35);
    PutLe32(out, base::MaskCrc(base::Crc32c(std::string(16, '\0'))));
    return out;
  };
  EXPECT_EQ(OpenEntry(entry(1, 4, 0, 16)).message(), "");
  EXPECT_EQ(OpenEntry(entry(1, 5, 0, 16)).code(), Code::kDataLoss);                     // size against shape
  EXPECT_EQ(OpenEntry(entry(1, 4, 1, 16)).code(), Code::kDataLoss);                     // past the end
  EXPECT_EQ(OpenEntry(entry(1, 4, ~0ULL >> 1, 16)).code(), Code::kDataLoss);            // overflow
  EXPECT_EQ(OpenEntry(entry(1, 1ULL << 62, 0, 16)).code(), Code::kInvalidArgument);     // 2^64 bytes
  EXPECT_EQ(OpenEntry(entry(7, 1ULL << 40, 0, 16)).code(), Code::kDataLoss);            // more strings than bytes
  EXPECT_EQ(OpenEntry(entry(20, 4, 0, 16)).code(), Code::kUnimplemented);               // a resource
  EXPECT_EQ(OpenEntry(entry(1, 4, 0, 16), entry(1, 2, 8, 8)).code(), Code::kDataLoss);  // overlap
  EXPECT_EQ(OpenEntry(entry(1, ~0ULL, 0, 16)).code(), Code::kInvalidArgument);          // unknown dim
}

TEST(BundleTest, SliceKeysAreOrderedCodes) {
  // As TensorFlow's saver wrote them for a tensor of three row slices.
  const std::string key = SliceKey("embedding/rows", {{4, 3}, {0, 4}});
  EXPECT_EQ(key, std::string("\0embedding/rows\0\1\1\2\x84\x83\x80\x84", 23));
  EXPECT_EQ(SliceKey("a", {{0, -1}}), std::string("\0a\0\1\1\1\x80\x7f", 8));
  EXPECT_LT(SliceKey("a", {{63, 1}}), SliceKey("a", {{64, 1}}));
  EXPECT_LT(SliceKey("a", {{-65, 1}}), SliceKey("a", {{-64, 1}}));
  EXPECT_LT(SliceKey("a", {{1 << 20, 1}}), SliceKey("a", {{std::int64_t{1} << 60, 1}}));
}

/// Every tensor of a fixture, against the types and shapes that TensorFlow listed.
class CheckpointFixture : public testing::TestWithParam<const char*> {};

TEST_P(CheckpointFixture, ReadsEveryTensor) {
  TENON_TEST_DATA_OR_SKIP(folder, std::string("fixtures/savedmodel/") + GetParam());
  const Result<BundleReader> reader = BundleReader::Open(folder + "/ckpt");
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  const std::string listing = Bytes(folder + "/tensors.json");
  for (const auto& [name, tensor] : reader->tensors()) {
    EXPECT_NE(listing.find("\"name\": \"" + name + "\""), std::string::npos) << name;
    const Result<Literal> value = reader->Read(name);
    ASSERT_TRUE(value.ok()) << value.status().message();
    EXPECT_EQ(value->dims(), tensor.dims);
  }
  std::size_t listed = 0;
  for (std::size_t at = listing.find("\"name\""); at != std::string::npos; at = listing.find("\"name\"", at + 1))
    ++listed;
  EXPECT_EQ(reader->tensors().size(), listed);
}

INSTANTIATE_TEST_SUITE_P(All, CheckpointFixture,
                         testing::Values("checkpoint_object_based", "checkpoint_saver_v2", "checkpoint_saver_v1",
                                         "checkpoint_sharded", "checkpoint_partitioned", "checkpoint_dtypes",
                                         "checkpoint_many_names"),
                         [](const auto& test) { return std::string(test.param); });

TEST(BundleTest, ObjectGraphOfACheckpointParses) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/savedmodel/checkpoint_object_based");
  const BundleReader reader = BundleReader::Open(folder + "/ckpt").value();
  const Literal bytes = reader.Read("_CHECKPOINTABLE_OBJECT_GRAPH").value();
  const Result<TrackableGraph> graph = ParseTrackableGraph(bytes.strings()[0], "graph");
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  std::size_t keys = 0;
  for (const TrackableObject& object : graph->nodes)
    for (const TrackableObject::Attribute& attribute : object.attributes) {
      EXPECT_NE(reader.Find(attribute.key), nullptr) << attribute.key;
      ++keys;
    }
  EXPECT_EQ(keys, reader.tensors().size() - 1);
  EXPECT_EQ(ParseTrackableGraph(EncodeTrackableGraph(*graph), "again").value().nodes.size(), graph->nodes.size());
}

}  // namespace
}  // namespace tenon::savedmodel
