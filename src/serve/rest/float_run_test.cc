#include "serve/rest/float_run.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <string>
#include <vector>

#include "serve/rest/json_number.h"

namespace tenon::serve {
namespace {

/// What ScanNumber makes of the text, in a float; false when it is no number or something follows it.
bool Expected(const std::string& text, float& out) {
  JsonNumber n;
  NumberError error;
  const char* const end = text.data() + text.size();
  if (ScanNumber(text.data(), end, n, error) != end || error != NumberError::kNone) return false;
  out = n.kind == JsonNumber::Kind::kInt    ? static_cast<float>(n.i)
        : n.kind == JsonNumber::Kind::kUint ? static_cast<float>(n.u)
                                            : static_cast<float>(n.d);
  return true;
}

/// Reads the text followed by numbers enough that the end is far; true when it was taken.
bool Taken(const std::string& text, float& out) {
  std::string all = text + ",";
  while (all.size() < 400) all += "0.5, ";
  std::vector<float> values(all.size());
  float* next = values.data();
  ScanFloatRun(all.data(), all.data() + all.size(), next);
  out = values[0];
  return next != values.data();
}

bool Runs() {
  float value = 0;
  return Taken("1", value);
}

void Check(const std::string& text) {
  float got = 0, expected = 0;
  if (!Taken(text, got)) return;  // left to others
  ASSERT_TRUE(Expected(text, expected)) << text << " is no number";
  EXPECT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(expected)) << text;
}

TEST(FloatRun, TakesPlainNumbersAndNothingElse) {
  if (!Runs()) GTEST_SKIP() << "this processor has no fast way";
  for (const char* text : {"0", "-0", "0.0", "-0.0", "1", "255", "-17", "3.5", "0.51182164", "-0.51182164", "12345.678",
                           "0.1234567890123", "12345678", "0.12345678901234567", "999999.9", "0.000000000001"}) {
    float value = 0;
    EXPECT_TRUE(Taken(text, value)) << text;
    Check(text);
  }
  for (const char* text :
       {"",   "-",  ".",   ".5",        "5.", "01",  "-012.5", "00", "1.2.3", "1..2",  "1 ",  " 1",  "  1",
        "1]", "[1", "NaN", "-Infinity", "1e", "--1", "+1",     "1-", "0x10",  "\"1\"", "1\n", "1/2", "1:2"}) {
    float value = 0;
    EXPECT_FALSE(Taken(text, value)) << text;
  }
}

TEST(FloatRun, ValuesAreThoseOfTheExactReader) {
  std::mt19937 random(7);
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  for (int i = 0; i < 200'000; ++i) {
    std::string text = below(3) == 0 ? "-" : "";
    const unsigned whole = 1 + below(below(4) == 0 ? 17 : 3), part = below(below(4) == 0 ? 20 : 10);
    for (unsigned k = 0; k < whole; ++k) text += static_cast<char>('0' + below(10));
    if (part > 0 || below(9) == 0) text += '.';
    for (unsigned k = 0; k < part; ++k) text += static_cast<char>('0' + below(10));
    if (below(20) == 0) text += std::string("e") + (below(2) ? "-" : "") + std::to_string(below(12));
    Check(text);
  }
}

TEST(FloatRun, AnyBytesAreTakenRightlyOrNotAtAll) {
  std::mt19937 random(8);
  const std::string alphabet = "00123456789..-+eE ,[]";
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (auto n = random() % 20; n > 0; --n) text += alphabet[random() % (alphabet.size() - 4)];
    Check(text);
  }
}

TEST(FloatRun, StopsInFrontOfWhatItDoesNotTake) {
  std::string all;
  for (int i = 0; i < 100; ++i) all += std::to_string(i) + (i % 2 ? ".25, " : ".5,");
  const std::size_t stop = all.size();
  all += "null, ";
  for (int i = 0; i < 100; ++i) all += "1.5, ";
  std::vector<float> values(all.size());
  float* next = values.data();
  const char* const at = ScanFloatRun(all.data(), all.data() + all.size(), next);
  if (!Runs()) GTEST_SKIP() << "this processor has no fast way";
  EXPECT_EQ(at - all.data(), static_cast<std::ptrdiff_t>(stop));
  ASSERT_EQ(next - values.data(), 100);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(values[static_cast<std::size_t>(i)], static_cast<float>(i + (i % 2 ? 0.25 : 0.5)));
}

}  // namespace
}  // namespace tenon::serve
