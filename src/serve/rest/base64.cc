#include "serve/rest/base64.h"

#include <array>
#include <cstdint>

namespace tenon::serve {
namespace {
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> MakeValues() {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  for (const char c : {' ', '\t', '\n', '\v', '\f', '\r'}) values[static_cast<unsigned char>(c)] = -2;
  values['='] = -3;
  return values;
}
constexpr std::array<std::int8_t, 256> kValues = MakeValues();
}  // namespace

bool Base64Decode(std::string_view text, std::string& out) {
  out.reserve(out.size() + text.size() / 4 * 3 + 3);
  std::uint32_t bits = 0;
  int count = 0, padding = 0;
  for (const char c : text) {
    const int value = kValues[static_cast<unsigned char>(c)];
    if (value == -2) continue;
    if (value == -3) {
      ++padding;
      continue;
    }
    if (value < 0 || padding > 0) return false;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (++count == 4) {
      out.push_back(static_cast<char>(bits >> 16));
      out.push_back(static_cast<char>(bits >> 8));
      out.push_back(static_cast<char>(bits));
      bits = 0;
      count = 0;
    }
  }
  switch (count) {
    case 0:
      return padding == 0;
    case 2:
      if ((bits & 15) != 0) return false;  // bits that no byte takes
      out.push_back(static_cast<char>(bits >> 4));
      return padding == 0 || padding == 2;
    case 3:
      if ((bits & 3) != 0) return false;
      out.push_back(static_cast<char>(bits >> 10));
      out.push_back(static_cast<char>(bits >> 2));
      return padding == 0 || padding == 1;
    default:
      return false;
  }
}

void Base64Encode(std::string_view bytes, std::string& out) {
  const auto at = [&](std::size_t i) {
    return i < bytes.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) : 0U;
  };
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t v = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    out.push_back(kAlphabet[v >> 18]);
    out.push_back(kAlphabet[v >> 12 & 63]);
    out.push_back(i + 1 < bytes.size() ? kAlphabet[v >> 6 & 63] : '=');
    out.push_back(i + 2 < bytes.size() ? kAlphabet[v & 63] : '=');
  }
}

}  // namespace tenon::serve
