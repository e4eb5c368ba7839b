#include "serve/grpc_http2/message.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/gzip.h"

namespace tenon::serve::http2 {
namespace {

using std::chrono::nanoseconds;

std::string Framed(std::string_view message, char flag = 0) {
  char head[kMessageHead];
  WriteMessageHead(message.size(), head);
  head[0] = flag;
  return std::string(head, kMessageHead) + std::string(message);
}

TEST(Message, Timeouts) {
  EXPECT_EQ(ParseTimeout("5S"), nanoseconds(5'000'000'000));
  EXPECT_EQ(ParseTimeout("100m"), nanoseconds(100'000'000));
  EXPECT_EQ(ParseTimeout("7u"), nanoseconds(7'000));
  EXPECT_EQ(ParseTimeout("0n"), nanoseconds(0));
  EXPECT_EQ(ParseTimeout("2M"), std::chrono::minutes(2));
  EXPECT_EQ(ParseTimeout("1H"), std::chrono::hours(1));
  EXPECT_EQ(ParseTimeout("99999999H"), std::chrono::hours(1'000'000));
  for (const char* bad : {"", "S", "5", "5s", "-5S", "1.5S", "123456789S", "5 S", "5SS"})
    EXPECT_EQ(ParseTimeout(bad), std::nullopt) << bad;
}

TEST(Message, TextIsPercentEncoded) {
  EXPECT_EQ(PercentEncoded("plain text"), "plain text");
  EXPECT_EQ(PercentEncoded("100%\n\xc3\xa4\x7f"), "100%25%0A%C3%A4%7F");
}

TEST(Message, AnyPiecesGiveTheSameMessages) {
  const std::string bytes = Framed("first") + Framed("") + Framed(std::string(100'000, 'x')) + Framed("last");
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{4096}, bytes.size()}) {
    MessageReader reader;
    reader.Begin(-1);
    std::vector<std::string> got;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      std::string_view in = std::string_view(bytes).substr(at, piece);
      while (!in.empty()) {
        const Result<bool> whole = reader.Take(in);
        ASSERT_TRUE(whole.ok());
        if (*whole) got.emplace_back(reader.bytes());
      }
    }
    EXPECT_FALSE(reader.in_message());
    EXPECT_EQ(got, (std::vector<std::string>{"first", "", std::string(100'000, 'x'), "last"})) << piece;
  }
}

TEST(Message, LongerThanWhatIsTrusted) {
  std::string message(3 * MessageReader::kTrusted + 17, '\0');
  for (std::size_t i = 0; i < message.size(); ++i) message[i] = static_cast<char>(i * 31);
  const std::string bytes = Framed(message);
  MessageReader reader;
  reader.Begin(-1);
  reader.AlignAt(13);
  bool whole = false;
  for (std::size_t at = 0; at < bytes.size(); at += 50'000) {
    std::string_view in = std::string_view(bytes).substr(at, 50'000);
    whole = reader.Take(in).value();
    EXPECT_TRUE(in.empty());
  }
  ASSERT_TRUE(whole);
  EXPECT_EQ(reader.bytes(), message);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(reader.bytes().data() + 13) % 64, 0);
  const std::shared_ptr<const void> owner = reader.owner();
  const std::string_view kept = reader.bytes();
  reader.Clear();
  EXPECT_EQ(kept, message) << "the owner keeps it";
}

TEST(Message, LimitsAndBadHeads) {
  MessageReader reader;
  reader.Begin(10);
  std::string bytes = Framed(std::string(11, 'x'));
  std::string_view in = bytes;
  EXPECT_EQ(reader.Take(in).status().code(), Code::kResourceExhausted);
  reader.Begin(-1);
  bytes = Framed("x", 2);
  in = bytes;
  EXPECT_EQ(reader.Take(in).status().code(), Code::kInternal);
  reader.Begin(-1);
  bytes = std::string("\0\xff\xff\xff\xff", 5) + "abc";  // 4 GiB are claimed, 3 bytes come
  in = bytes;
  EXPECT_FALSE(reader.Take(in).value());
  EXPECT_TRUE(reader.in_message());
}

TEST(Message, Compressed) {
  const std::string text(10'000, 'a'), packed = base::Gzip(text);
  EXPECT_EQ(Decompress(packed, "gzip", -1).value(), text);
  EXPECT_EQ(Decompress(packed, "gzip", 100).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(Decompress("no gzip", "gzip", -1).status().code(), Code::kInternal);
  EXPECT_EQ(Decompress(packed, "snappy", -1).status().code(), Code::kUnimplemented);
  EXPECT_EQ(Decompress(packed, "", -1).status().code(), Code::kInternal);
  const auto budget = ByteBudget::Make(8 << 20);
  HeldBytes held(budget.get()), other(budget.get());
  const std::string bomb = base::Gzip(std::string(1 << 20, 'b'));
  EXPECT_EQ(Decompress(bomb, "gzip", -1, &held)->size(), std::size_t{1} << 20);
  EXPECT_GE(budget->used(), 1 << 20);
  EXPECT_LE(budget->used(), 2 << 20);
  other.Set(6 << 20);
  held.Set(0);
  const Status full = Decompress(bomb, "gzip", -1, &held).status();
  EXPECT_NE(full.message().find("try again later"), std::string::npos) << full.message();
  EXPECT_EQ(budget->used(), 6 << 20) << "all is given back";
}

TEST(MessageReader, CountsWhatItHolds) {
  const auto budget = ByteBudget::Make(8 << 20);
  std::string head(kMessageHead, '\0');
  const auto take = [&](MessageReader& reader, std::size_t claimed, std::size_t sent) {
    reader.Begin(-1, budget.get());
    WriteMessageHead(claimed, head.data());
    const std::string bytes = head + std::string(sent, 'x');
    std::string_view in = bytes;
    return reader.Take(in);
  };
  MessageReader one, two;
  EXPECT_TRUE(take(one, 7 << 20, 10).ok());
  EXPECT_LT(budget->used(), (1 << 20) + 200) << "claims are not believed";
  EXPECT_TRUE(take(two, 4 << 20, 4 << 20).value());
  EXPECT_GE(budget->used(), 5 << 20);
  MessageReader third;
  EXPECT_TRUE(take(third, 7 << 20, 10).ok());
  EXPECT_LT(budget->used(), (5 << 20) + (66 << 10)) << "and even less when much is under way";
  const Result<bool> never = take(third, 1 << 30, 10);
  EXPECT_EQ(never.status().code(), Code::kResourceExhausted) << "by its head alone";
  EXPECT_NE(never.status().message().find("7340032 bytes"), std::string::npos) << never.status().message();
  EXPECT_EQ(never.status().message().find("again"), std::string::npos);
  const Result<bool> large = take(third, 3 << 20, 3 << 20);
  EXPECT_EQ(large.status().code(), Code::kResourceExhausted);
  EXPECT_NE(large.status().message().find("(--max_inflight_bytes)"), std::string::npos);
  EXPECT_TRUE(take(third, 1000, 1000).value()) << "small ones still come";
  const std::shared_ptr<const void> kept = two.owner();
  one.Clear();
  two.Clear();
  third.Clear();
  EXPECT_GE(budget->used(), 4 << 20) << "as long as somebody reads them";
}

}  // namespace
}  // namespace tenon::serve::http2
