#include "serve/rest/json_number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace tenon::serve {
namespace number_internal {
const double kPow10[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                           1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
}
namespace {

using namespace number_internal;

/// The parts of a plain decimal number: (-1)^minus * mantissa * 10^exponent.
struct Decimal {
  std::uint64_t mantissa = 0;
  int exponent = 0;
  bool minus = false;
  bool integer = true;  // neither point nor exponent
  bool exact = true;    // the mantissa holds all digits
};

const char* Digits(const char* p, const char* end, Decimal& out, int& significant) {
  // Leading zeros do not count; 19 digits always fit.
  while (p != end && IsDigit(*p)) {
    if (end - p >= 8 && significant <= 11) {
      if (const std::uint64_t v = Load8(p); AreDigits8(v)) {
        out.mantissa = out.mantissa * 100'000'000 + Digits8(v);
        if (out.mantissa != 0) significant += 8;
        p += 8;
        continue;
      }
    }
    if (significant >= 19) {
      out.exact = false;
      ++out.exponent;  // undone for digits after the point by the caller's count
    } else {
      out.mantissa = out.mantissa * 10 + static_cast<std::uint64_t>(*p - '0');
      if (out.mantissa != 0) ++significant;
    }
    ++p;
  }
  return p;
}

const char* ScanDecimal(const char* p, const char* end, Decimal& out, NumberError& error) {
  error = NumberError::kNone;
  if (p != end && *p == '-') {
    out.minus = true;
    ++p;
  }
  if (p == end || !IsDigit(*p)) {
    error = NumberError::kInvalid;
    return p;
  }
  int significant = 0;
  if (*p == '0')
    ++p;  // no digit may follow; what follows is not ours to judge
  else
    p = Digits(p, end, out, significant);
  if (p != end && *p == '.') {
    ++p;
    if (p == end || !IsDigit(*p)) {
      error = NumberError::kMissFraction;
      return p;
    }
    out.integer = false;
    const char* first = p;
    p = Digits(p, end, out, significant);
    out.exponent -= static_cast<int>(std::min<std::ptrdiff_t>(p - first, 1'000'000'000));
  }
  if (p != end && (*p == 'e' || *p == 'E')) {
    ++p;
    out.integer = false;
    const bool minus = p != end && *p == '-';
    if (p != end && (*p == '-' || *p == '+')) ++p;
    if (p == end || !IsDigit(*p)) {
      error = NumberError::kMissExponent;
      return p;
    }
    int exponent = 0;
    for (; p != end && IsDigit(*p); ++p)
      if (exponent < 100'000'000) exponent = exponent * 10 + (*p - '0');
    out.exponent += minus ? -exponent : exponent;
  }
  return p;
}

const char* ScanNonFinite(const char* start, const char* end, JsonNumber& out, NumberError& error) {
  const char* p = start;
  const bool minus = *p == '-';
  if (minus) ++p;
  const auto take = [&](char c) {
    if (p == end || *p != c) return false;
    ++p;
    return true;
  };
  out.kind = JsonNumber::Kind::kDouble;
  error = NumberError::kInvalid;
  // Clients see the offset at which this gives up, so the order of the attempts is part of the contract.
  if (take('N') && take('a') && take('N')) {
    out.d = std::numeric_limits<double>::quiet_NaN();
  } else if (take('I') && take('n') && take('f')) {
    out.d = minus ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    if (p != end && *p == 'i')
      for (const char c : {'i', 'n', 'i', 't', 'y'})
        if (!take(c)) return p;
  } else {
    return p;
  }
  error = NumberError::kNone;
  return p;
}

}  // namespace

const char* ScanNumber(const char* p, const char* end, JsonNumber& out, NumberError& error) {
  const char* const start = p;
  if (p != end) {
    const char first = *p == '-' && end - p > 1 ? p[1] : *p;
    if (first == 'N' || first == 'I') return ScanNonFinite(p, end, out, error);
  }
  Decimal n;
  p = ScanDecimal(p, end, n, error);
  if (error != NumberError::kNone) return p;
  if (n.integer) {
    // 20 digits may still fit an unsigned; from_chars tells.
    if (n.exact && n.mantissa <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      out.kind = JsonNumber::Kind::kInt;
      out.i = n.minus ? -static_cast<std::int64_t>(n.mantissa) : static_cast<std::int64_t>(n.mantissa);
      return p;
    }
    if (n.minus) {
      if (std::from_chars(start, p, out.i).ec == std::errc()) {
        out.kind = JsonNumber::Kind::kInt;
        return p;
      }
    } else if (std::from_chars(start, p, out.u).ec == std::errc()) {
      out.kind = JsonNumber::Kind::kUint;
      return p;
    }
  }
  out.kind = JsonNumber::Kind::kDouble;
  if (n.exact && n.mantissa <= (1ULL << 53) && n.exponent >= -22 && n.exponent <= 22) {
    const auto m = static_cast<double>(n.mantissa);
    const double v = n.exponent < 0 ? m / kPow10[-n.exponent] : m * kPow10[n.exponent];
    out.d = n.minus ? -v : v;
    return p;
  }
  const auto [stop, code] = std::from_chars(start, p, out.d);
  if (code == std::errc::result_out_of_range) {
    // Either too big or too small; the decimal exponent of the leading digit tells.
    const bool tiny = n.mantissa == 0 || n.exponent < 0;
    if (!tiny) {
      error = NumberError::kTooBig;
      return start;
    }
    out.d = n.minus ? -0.0 : 0.0;
  }
  return p;
}

const char* ScanFloat(const char* p, const char* end, float& out) {
  Decimal n;
  NumberError error;
  p = ScanDecimal(p, end, n, error);
  if (error != NumberError::kNone) return nullptr;
  if (!n.exact || n.exponent < -22 || n.exponent > 22) return nullptr;
  const auto m = static_cast<double>(n.mantissa);
  double v = n.exponent < 0 ? m / kPow10[-n.exponent] : m * kPow10[n.exponent];
  if (n.mantissa > (1ULL << 53)) {
    // Two roundings, each within half a unit in the last place of the double: the float is right unless the double
    // lies next to the middle of two floats.
    if (NearFloatTie(v)) return nullptr;
  }
  if (n.minus) v = n.integer && n.mantissa == 0 ? 0.0 : -v;
  out = static_cast<float>(v);  // infinity above the range, as IEEE 754 has it
  return p;
}

}  // namespace tenon::serve
