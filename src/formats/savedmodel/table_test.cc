#include "formats/savedmodel/table.h"

#include <gtest/gtest.h>
#include <snappy.h>

#include "base/crc32c.h"
#include "formats/savedmodel/varint.h"

namespace tenon::savedmodel {
namespace {

std::string Key(int i) { return "block_" + std::to_string(1000000 + i) + "/kernel"; }

std::string ManyKeys(int n, std::size_t value_size) {
  TableWriter writer;
  EXPECT_TRUE(writer.Add("", "header").ok());
  for (int i = 0; i < n; ++i)
    EXPECT_TRUE(writer.Add(Key(i), std::string(value_size, static_cast<char>('a' + i % 26))).ok());
  return writer.Finish();
}

TEST(TableTest, RoundTripOverSeveralBlocks) {
  const std::string file = ManyKeys(5000, 200);
  const Result<Table> table = Table::Parse(file, "t");
  ASSERT_TRUE(table.ok()) << table.status().message();
  ASSERT_EQ(table->entries().size(), 5001u);
  EXPECT_EQ(table->entries()[0].key, "");
  EXPECT_EQ(table->entries()[0].value, "header");
  for (int i = 0; i < 5000; i += 37) {
    const Table::Entry* entry = table->Find(Key(i));
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->value, std::string(200, static_cast<char>('a' + i % 26)));
  }
  EXPECT_EQ(table->Find("block_"), nullptr);
  EXPECT_EQ(table->Find("z"), nullptr);
}

TEST(TableTest, EmptyTableIsATable) {
  const std::string file = TableWriter().Finish();
  const Result<Table> table = Table::Parse(file, "t");
  ASSERT_TRUE(table.ok()) << table.status().message();
  EXPECT_TRUE(table->entries().empty());
}

TEST(TableTest, WriterWantsAscendingKeys) {
  TableWriter writer;
  ASSERT_TRUE(writer.Add("b", "").ok());
  EXPECT_EQ(writer.Add("a", "").code(), Code::kInvalidArgument);
  EXPECT_EQ(writer.Add("b", "").code(), Code::kInvalidArgument);
}

TEST(TableTest, EveryFlippedByteIsFoundOrHarmless) {
  const std::string good = ManyKeys(20, 10);
  const Result<Table> before = Table::Parse(good, "t");
  ASSERT_TRUE(before.ok());
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    const Result<Table> after = Table::Parse(bad, "t");
    if (!after.ok()) {
      ++refused;
      continue;
    }
    // What is still read is only what no checksum covers: the padding and the metaindex.
    ASSERT_EQ(after->entries().size(), before->entries().size()) << i;
    for (std::size_t k = 0; k < before->entries().size(); ++k)
      EXPECT_EQ(after->entries()[k].value, before->entries()[k].value);
  }
  EXPECT_GT(refused, static_cast<int>(good.size()) - 70);
}

TEST(TableTest, EveryTruncationIsRefused) {
  const std::string good = ManyKeys(20, 10);
  for (std::size_t n = 0; n < good.size(); ++n) {
    const Result<Table> table = Table::Parse(std::string_view(good).substr(0, n), "t");
    ASSERT_FALSE(table.ok()) << n;
    EXPECT_EQ(table.status().code(), Code::kDataLoss);
  }
}

/// A file of one data block with the given stored bytes and compression, checksums right.
std::string OneBlock(std::string stored, char compression) {
  std::string file;
  const auto put = [&file](const std::string& block) {
    file += block;
    PutLe32(file, base::MaskCrc(base::Crc32c(block)));
  };
  std::string handle;
  PutVarint(handle, 0);
  PutVarint(handle, stored.size());
  stored.push_back(compression);
  put(stored);
  const std::size_t meta = file.size();
  std::string empty;
  PutLe32(empty, 0);
  PutLe32(empty, 1);
  put(empty + '\0');
  const std::size_t index_at = file.size();
  std::string index;
  PutVarint(index, 0);
  PutVarint(index, 1);
  PutVarint(index, handle.size());
  index += "z" + handle;
  PutLe32(index, 0);
  PutLe32(index, 1);
  put(index + '\0');
  std::string footer;
  PutVarint(footer, meta);
  PutVarint(footer, empty.size());
  PutVarint(footer, index_at);
  PutVarint(footer, index.size());
  footer.resize(40);
  PutLe64(footer, 0xdb4775248b80fb57ULL);
  return file + footer;
}

std::string BlockOf(std::string_view key, std::string_view value) {
  std::string block;
  PutVarint(block, 0);
  PutVarint(block, key.size());
  PutVarint(block, value.size());
  block += key;
  block += value;
  PutLe32(block, 0);
  PutLe32(block, 1);
  return block;
}

TEST(TableTest, ReadsSnappyBlocks) {
  std::string compressed;
  const std::string plain = BlockOf("k", std::string(1000, 'v'));
  snappy::Compress(plain.data(), plain.size(), &compressed);
  const std::string file = OneBlock(compressed, 1);
  const Result<Table> table = Table::Parse(file, "t");
  ASSERT_TRUE(table.ok()) << table.status().message();
  ASSERT_EQ(table->entries().size(), 1u);
  EXPECT_EQ(table->entries()[0].value, std::string(1000, 'v'));
}

TEST(TableTest, RefusesHostileBlocks) {
  std::string huge;
  PutVarint(huge, 0xffffffff);  // a Snappy stream that claims 4 GiB
  huge += "abc";
  EXPECT_EQ(Table::Parse(OneBlock(huge, 1), "t").status().code(), Code::kDataLoss);
  EXPECT_EQ(Table::Parse(OneBlock("abc", 7), "t").status().code(), Code::kDataLoss);
  std::string restarts;
  PutLe32(restarts, 0xffffffff);
  EXPECT_EQ(Table::Parse(OneBlock(restarts, 0), "t").status().code(), Code::kDataLoss);
  std::string shared;
  PutVarint(shared, 5);
  PutVarint(shared, 0);
  PutVarint(shared, 0);
  PutLe32(shared, 0);
  EXPECT_EQ(Table::Parse(OneBlock(shared, 0), "t").status().code(), Code::kDataLoss);
}

TEST(TableTest, SharedPrefixesCannotExpandWithoutBound) {
  std::string block;
  const std::string prefix(1 << 20, 'p');
  PutVarint(block, 0);
  PutVarint(block, prefix.size());
  PutVarint(block, 0);
  block += prefix;
  for (int i = 0; i < 200; ++i) {  // each entry shares a MiB and adds two bytes
    PutVarint(block, prefix.size());
    PutVarint(block, 2);
    PutVarint(block, 0);
    block.push_back(static_cast<char>('a' + i / 16));
    block.push_back(static_cast<char>('a' + i % 16));
  }
  PutLe32(block, 0);
  PutLe32(block, 1);
  EXPECT_EQ(Table::Parse(OneBlock(block, 0), "t").status().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace tenon::savedmodel
