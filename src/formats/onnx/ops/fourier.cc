// Even lengths are halved: the even results are the transform of x[i] + x[i + m], the odd ones that of
// (x[i] - x[i + m]) w^i. An odd length with the smallest prime p is cut in p parts likewise. What is prime pairs the
// elements j and p - j, whose cosines are equal and whose sines are opposite.
#include "formats/onnx/ops/fourier.h"

#include <cmath>
#include <numbers>

namespace tenon::onnx {
namespace {

struct Complex {
  Ex re, im;
};
using Signal = std::vector<Complex>;

double Angle(std::int64_t i, std::int64_t length) {
  return 2 * std::numbers::pi * static_cast<double>(i % length) / static_cast<double>(length);
}
Complex Plus(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
Complex Minus(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
// Each product is rounded by itself. Backends may round a product and the sum that takes it only once, which would show
// where terms cancel; therefore products are subtracted, never added.
Complex Turned(Complex a, double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {a.re * c - a.im * s, a.re * s - a.im * -c};
}

std::int64_t SmallestPrime(std::int64_t n) {
  for (const std::int64_t p : {2, 3, 5, 7})
    if (n % p == 0) return p;
  return n;
}

Signal Prime(const Signal& x, double sign) {
  const auto p = static_cast<std::int64_t>(x.size());
  if (p == 1) return x;
  if (p == 2) return {Plus(x[0], x[1]), Minus(x[0], x[1])};
  const auto at = [&](std::int64_t i) { return x[static_cast<std::size_t>(i)]; };
  const std::int64_t half = (p - 1) / 2;
  Signal sums, differences, out(x.size());
  out[0] = x[0];
  for (std::int64_t j = 1; j <= half; ++j) {
    sums.push_back(Plus(at(j), at(p - j)));
    differences.push_back(Minus(at(j), at(p - j)));
    out[0] = Plus(out[0], sums.back());
  }
  for (std::int64_t k = 1; k <= half; ++k) {
    Complex even = x[0], odd;
    for (std::int64_t j = 1; j <= half; ++j) {
      const auto i = static_cast<std::size_t>(j - 1);
      const double c = std::cos(Angle(j * k, p)), s = sign * std::sin(Angle(j * k, p));
      even = {even.re - sums[i].re * -c, even.im - sums[i].im * -c};
      const Complex &d = differences[i], part = {d.im * s, d.re * -s};
      odd = j == 1 ? Complex{d.im * -s, d.re * s} : Minus(odd, part);
    }
    out[static_cast<std::size_t>(k)] = Plus(even, odd);
    out[static_cast<std::size_t>(p - k)] = Minus(even, odd);
  }
  return out;
}

Signal Fast(const Signal& x, double sign) {
  const auto length = static_cast<std::int64_t>(x.size());
  const std::int64_t p = SmallestPrime(length), m = length / p;
  if (m <= 1) return Prime(x, sign);
  std::vector<Signal> parts(static_cast<std::size_t>(p));  // part r gives the results r, r + p, …
  for (std::int64_t i = 0; i < m; ++i) {
    Signal column;
    for (std::int64_t j = 0; j < p; ++j) column.push_back(x[static_cast<std::size_t>(i + j * m)]);
    const Signal turned = Prime(column, sign);
    for (std::int64_t r = 0; r < p; ++r) {
      const Complex c = turned[static_cast<std::size_t>(r)];
      parts[static_cast<std::size_t>(r)].push_back(i * r == 0 ? c : Turned(c, sign * Angle(i * r, length)));
    }
  }
  Signal out(x.size());
  for (std::int64_t r = 0; r < p; ++r) {
    const Signal part = Fast(parts[static_cast<std::size_t>(r)], sign);
    for (std::int64_t k = 0; k < m; ++k) out[static_cast<std::size_t>(r + k * p)] = part[static_cast<std::size_t>(k)];
  }
  return out;
}

}  // namespace

bool WritesOut(std::int64_t length) {
  if (length < 1 || length > 32) return false;
  while (length > 1) {
    const std::int64_t p = SmallestPrime(length);
    if (p > 7) return false;
    length /= p;
  }
  return true;
}

Ex WrittenOutTransform(NodeContext& n, Ex real, Ex imaginary, std::int64_t length, double sign, double scale) {
  if (!n.b.ok()) return real;
  const int last = n.b.shape(real).rank() - 1;
  Signal x;
  for (std::int64_t i = 0; i < length; ++i)
    x.push_back({n.SliceAxis(real, last, i, i + 1), n.SliceAxis(imaginary, last, i, i + 1)});
  const Signal y = Fast(x, sign);
  const auto join = [&](std::vector<Value> values) {
    return n.Apply("concat", std::move(values), {{"axis", std::int64_t{-1}}});
  };
  const auto column = [&](Ex v) { return n.Add("expand_dims", {v}, {{"axes", Ints{-1}}}); };
  std::vector<Value> re, im;
  for (const Complex& c : y) {
    re.push_back(c.re);
    im.push_back(c.im);
  }
  const Ex a = join(std::move(re)), b = join(std::move(im));
  return scale == 1 ? join({column(a), column(b)}) : join({column(a * scale), column(b * scale)});
}

}  // namespace tenon::onnx
