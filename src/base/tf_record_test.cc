#include "base/tf_record.h"

#include <gtest/gtest.h>

namespace tenon::base {
namespace {

TEST(TfRecord, RoundTripAndDamage) {
  std::string bytes;
  AppendTfRecord(bytes, "one");
  AppendTfRecord(bytes, "");
  AppendTfRecord(bytes, std::string(1000, 'x'));
  TfRecordReader reader(bytes);
  std::string_view data;
  ASSERT_TRUE(reader.Next(&data));
  EXPECT_EQ(data, "one");
  ASSERT_TRUE(reader.Next(&data));
  EXPECT_EQ(data, "");
  ASSERT_TRUE(reader.Next(&data));
  EXPECT_EQ(data.size(), 1000U);
  EXPECT_FALSE(reader.Next(&data));
  EXPECT_TRUE(reader.status().ok());
  for (const std::size_t at : {0U, 9U, 13U, 16U}) {  // length, its checksum, data, its checksum
    std::string bad = bytes;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    TfRecordReader damaged(bad);
    EXPECT_FALSE(damaged.Next(&data)) << at;
    EXPECT_EQ(damaged.status().code(), Code::kDataLoss);
  }
  for (const std::size_t size : {1U, 11U, 12U, 15U, 18U}) {
    TfRecordReader cut(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(cut.Next(&data));
    EXPECT_EQ(cut.status().code(), Code::kDataLoss) << size;
  }
}

}  // namespace
}  // namespace tenon::base
