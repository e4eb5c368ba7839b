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

/// Reads the text behind `before` numbers and in front of so many that the end is far; true when it was taken. `comma`
/// stands behind it, ", " or "," behind the others.
bool Taken(int level, const std::string& text, float& out, std::size_t before = 0, const char* comma = ",",
           bool spaced = true) {
  std::string all;
  for (std::size_t i = 0; i < before; ++i) all += spaced ? "-1.25, " : "-1.25,";
  all += text + comma;
  while (all.size() < 400) all += spaced ? "0.5, " : "0.5,";
  std::vector<float> values(all.size());
  float* next = values.data();
  ScanFloatRunAt(level, all.data(), all.data() + all.size(), next);
  out = values[before];
  for (std::size_t i = 0; i < before; ++i) EXPECT_EQ(values[i], -1.25F) << text;
  return next > values.data() + before;
}

void Check(const std::string& text, std::size_t before = 0) {
  for (int level = 1; level <= FloatRunLevel(); ++level)
    for (int form = 0; form < 3; ++form) {  // spaces everywhere, everywhere but here, nowhere
      float got = 0, expected = 0;
      if (!Taken(level, text, got, before, form == 0 ? ", " : ",", form != 2)) continue;  // left to others
      ASSERT_TRUE(Expected(text, expected)) << text << " is no number";
      EXPECT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(expected))
          << text << " level " << level << " form " << form;
    }
}

TEST(FloatRun, TakesPlainNumbersAndNothingElse) {
  if (FloatRunLevel() == 0) GTEST_SKIP() << "this processor has no fast way";
  const int best = FloatRunLevel();
  for (const char* text : {"0", "-0", "0.0", "-0.0", "1", "255", "-17", "3.5", "0.51182164", "-0.51182164", "12345.678",
                           "0.1234567890123", "12345678", "0.12345678901234567", "999999.9", "0.000000000001"}) {
    float value = 0;
    EXPECT_TRUE(Taken(1, text, value) && Taken(best, text, value, 2)) << text;
    Check(text);
  }
  for (const char* text :
       {"",   "-",  ".",   ".5",        "5.", "01",  "-012.5", "00", "1.2.3", "1..2",  "1 ",  " 1",  "  1",
        "1]", "[1", "NaN", "-Infinity", "1e", "--1", "+1",     "1-", "0x10",  "\"1\"", "1\n", "1/2", "1:2"}) {
    float value = 0;
    EXPECT_FALSE(Taken(1, text, value) || Taken(best, text, value, 2)) << text;
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
    Check(text, below(9));
  }
}

TEST(FloatRun, AnyBytesAreTakenRightlyOrNotAtAll) {
  std::mt19937 random(8);
  const std::string alphabet = "00123456789..-+eE ,[]";
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (auto n = random() % 20; n > 0; --n) text += alphabet[random() % (alphabet.size() - 4)];
    Check(text, random() % 9);
  }
}

TEST(FloatRun, StopsInFrontOfWhatItDoesNotTake) {
  std::string all;
  for (int i = 0; i < 100; ++i) all += std::to_string(i) + (i % 2 ? ".25, " : ".5,");
  const std::size_t stop = all.size();
  all += "null, ";
  for (int i = 0; i < 100; ++i) all += "1.5, ";
  if (FloatRunLevel() == 0) GTEST_SKIP() << "this processor has no fast way";
  for (int level = 1; level <= FloatRunLevel(); ++level) {
    std::vector<float> values(all.size());
    float* next = values.data();
    const char* const at = ScanFloatRunAt(level, all.data(), all.data() + all.size(), next);
    EXPECT_EQ(at - all.data(), static_cast<std::ptrdiff_t>(stop));
    ASSERT_EQ(next - values.data(), 100);
    for (int i = 0; i < 100; ++i)
      EXPECT_EQ(values[static_cast<std::size_t>(i)], static_cast<float>(i + (i % 2 ? 0.25 : 0.5)));
  }
}

TEST(FloatRun, LongTextsAreTakenUpToTheirEnd) {
  for (int form = 0; form < 3; ++form) {  // commas with and without spaces, all with, all without
    std::string all;
    std::vector<float> expected;
    std::mt19937 random(9);
    for (int i = 0; i < 20'000; ++i) {
      const std::string text = (random() % 2 ? "-0." : "1.") + std::to_string(random() % 100'000'000);
      expected.push_back(std::stof(text));
      all += text + (form == 1 || (form == 0 && random() % 2) ? ", " : ",");
    }
    for (int level = 1; level <= FloatRunLevel(); ++level) {
      std::vector<float> values(expected.size());
      float *const first = values.data(), *next = first;
      const char* const at = ScanFloatRunAt(level, all.data(), all.data() + all.size(), next);
      EXPECT_LE(all.data() + all.size() - at, 200);
      values.resize(static_cast<std::size_t>(next - first));
      EXPECT_EQ(values, std::vector<float>(expected.begin(), expected.begin() + (next - first))) << form;
    }
  }
}

}  // namespace
}  // namespace tenon::serve
