#include "serve/rest/float_text.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "serve/rest/json_number.h"

namespace tenon::serve {
namespace {

using number_internal::kPow10;
using number_internal::NearFloatTie;

/// "0001" … : four digits at a time.
void Digits4(std::uint32_t v, char* out) {
  for (int i = 3; i >= 0; --i, v /= 10) out[i] = static_cast<char>('0' + v % 10);
}

char* Word(const char* word, char* out) {
  const std::size_t n = std::strlen(word);
  std::memcpy(out, word, n);
  return out + n;
}

/// %g's layout of 0.d1d2…dn * 10^(exponent + 1), that is d1.d2…dn * 10^exponent, with trailing zeros dropped, for a
/// precision of `precision`; then ".0" when neither point nor exponent stands in it.
char* Layout(const char* digits, int n, int exponent, int precision, char* out) {
  while (n > 1 && digits[n - 1] == '0') --n;
  const auto copy = [&](const char* from, int count) {
    std::memcpy(out, from, static_cast<std::size_t>(count));
    out += count;
  };
  if (exponent < -4 || exponent >= precision) {
    *out++ = digits[0];
    if (n > 1) {
      *out++ = '.';
      copy(digits + 1, n - 1);
    }
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    const int e = exponent < 0 ? -exponent : exponent;
    if (e >= 100) *out++ = static_cast<char>('0' + e / 100);
    *out++ = static_cast<char>('0' + e / 10 % 10);
    *out++ = static_cast<char>('0' + e % 10);
    return out;
  }
  if (exponent < 0) {
    *out++ = '0';
    *out++ = '.';
    for (int i = -1; i > exponent; --i) *out++ = '0';
    copy(digits, n);
    return out;
  }
  if (n <= exponent + 1) {
    copy(digits, n);
    for (int i = n; i <= exponent; ++i) *out++ = '0';
    return Word(".0", out);
  }
  copy(digits, exponent + 1);
  *out++ = '.';
  copy(digits + exponent + 1, n - exponent - 1);
  return out;
}

/// value * 10^power, one rounding; |power| <= 22.
double Scale(double value, int power) { return power < 0 ? value / kPow10[-power] : value * kPow10[power]; }

/// The common case without a division by ten or a search: the value times a power of ten is a nine-digit integer plus a
/// remainder that is known to about 2^-22. False where that is not enough to be sure of a digit.
bool FastFloat(float value, char*& out) {
  const double v = value;
  if (!(v >= 1e-12 && v < 1e18)) return false;
  // log10 from the binary exponent; one too low at most.
  const int binary = static_cast<int>(std::bit_cast<std::uint64_t>(v) >> 52) - 1023;
  int exponent = (binary * 1233) >> 12;
  double scaled = Scale(v, 8 - exponent);
  if (scaled >= 1e9) scaled = Scale(v, 8 - ++exponent);
  if (scaled < 1e8 || scaled >= 999'999'999.5) return false;
  const auto whole = static_cast<std::uint32_t>(scaled);
  const double rest = scaled - whole;
  if (std::abs(rest - 0.5) < 1e-4) return false;
  const std::uint32_t nine = whole + (rest > 0.5 ? 1 : 0);
  // Six digits: right when they read back.
  const std::uint32_t half = whole % 1000;
  if (half == 499 || half == 500) return false;  // a tie of the six-digit rounding, or nearly
  const std::uint32_t six = whole / 1000 + (half >= 500 ? 1 : 0);
  const double back = Scale(six, exponent - 5);
  char digits[12];
  if (static_cast<float>(back) == value) {
    if (NearFloatTie(back)) return false;
    if (six == 1'000'000) return false;
    Digits4(six / 10'000, digits);
    Digits4(six % 10'000, digits + 4);
    out = Layout(digits + 2, 6, exponent, 6, out);
    return true;
  }
  if (NearFloatTie(back)) return false;
  digits[0] = static_cast<char>('0' + nine / 100'000'000);
  Digits4(nine / 10'000 % 10'000, digits + 1);
  Digits4(nine % 10'000, digits + 5);
  out = Layout(digits, 9, exponent, 9, out);
  return true;
}

template <class T>
char* NonFinite(T value, char* out) {
  return Word(std::isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity", out);
}

/// Shortest digits of a positive value: their count and the decimal exponent of the first.
template <class T>
int ShortestDigits(T value, char* digits, int& exponent) {
  char text[kFloatTextMax];
  const char* end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  int n = 0;
  const char* p = text;
  for (; p != end && *p != 'e'; ++p)
    if (*p != '.') digits[n++] = *p;
  exponent = 0;
  ++p;
  const bool minus = *p == '-';
  for (++p; p != end; ++p) exponent = exponent * 10 + (*p - '0');
  if (minus) exponent = -exponent;
  return n;
}

/// The general way: if the shortest text has at most six digits, six digits read back, and are those. Not so among the
/// subnormals, where fewer digits may do although there are more.
template <class T>
char* General(T value, int precision, char* out) {
  if (value < std::numeric_limits<T>::min()) {
    char text[kFloatTextMax];
    const char* end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6).ptr;
    T back = 0;
    if (std::from_chars(text, end, back).ec == std::errc() && back == value) {
      std::memcpy(out, text, static_cast<std::size_t>(end - text));
      return out + (end - text);
    }
  } else {
    char digits[kFloatTextMax];
    int exponent = 0;
    const int n = ShortestDigits(value, digits, exponent);
    if (n <= 6) return Layout(digits, n, exponent, 6, out);
  }
  char* end = std::to_chars(out, out + kFloatTextMax, value, std::chars_format::general, precision).ptr;
  const auto length = static_cast<std::size_t>(end - out);
  if (std::memchr(out, '.', length) == nullptr && std::memchr(out, 'e', length) == nullptr) end = Word(".0", end);
  return end;
}

}  // namespace

char* FloatText(float value, char* out) {
  if (!std::isfinite(value)) return NonFinite(value, out);
  if (std::signbit(value)) *out++ = '-';
  value = std::abs(value);
  if (value == 0) return Word("0.0", out);
  if (FastFloat(value, out)) return out;
  return General(value, 9, out);
}

char* DoubleText(double value, char* out) {
  if (!std::isfinite(value)) return NonFinite(value, out);
  if (std::signbit(value)) *out++ = '-';
  value = std::abs(value);
  if (value == 0) return Word("0.0", out);
  return General(value, 17, out);
}

char* ShortestText(double value, char* out) {
  if (std::signbit(value)) *out++ = '-';
  value = std::abs(value);
  if (value == 0) return Word("0.0", out);
  char digits[kFloatTextMax];
  int exponent = 0;
  const int n = ShortestDigits(value, digits, exponent);
  const auto copy = [&](const char* from, int count) {
    std::memcpy(out, from, static_cast<std::size_t>(count));
    out += count;
  };
  if (exponent >= 21 || exponent < -6) {
    *out++ = digits[0];
    if (n > 1) {
      *out++ = '.';
      copy(digits + 1, n - 1);
    }
    *out++ = 'e';
    return std::to_chars(out, out + 8, exponent).ptr;
  }
  if (exponent < 0) {
    out = Word("0.", out);
    for (int i = -1; i > exponent; --i) *out++ = '0';
    copy(digits, n);
    return out;
  }
  const int whole = exponent + 1;
  copy(digits, n < whole ? n : whole);
  for (int i = n; i < whole; ++i) *out++ = '0';
  *out++ = '.';
  if (n > whole)
    copy(digits + whole, n - whole);
  else
    *out++ = '0';
  return out;
}

}  // namespace tenon::serve
