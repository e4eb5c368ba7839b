#include "data/digits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "base/philox.h"
#include "base/threads.h"
#include "data/glyphs.h"

namespace tenon::data {
namespace {

using base::PhiloxStream;

constexpr auto kPixels = static_cast<std::size_t>(kDigitSize * kDigitSize);
constexpr int kPiecesPerSpan = 6;

// Streams of one seed: the image's own draws, and the order of the labels of ten images.
PhiloxStream ImageStream(std::uint64_t seed, std::int64_t index) {
  return PhiloxStream(seed, static_cast<std::uint64_t>(index));
}
PhiloxStream LabelStream(std::uint64_t seed, std::int64_t ten) {
  return PhiloxStream(seed, (std::uint64_t{1} << 63) | static_cast<std::uint64_t>(ten));
}

int LabelOf(std::uint64_t seed, std::int64_t index) {
  std::array<int, 10> order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  PhiloxStream random = LabelStream(seed, index / 10);
  for (std::size_t i = 9; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
  return order[static_cast<std::size_t>(index % 10)];
}

double Clamped(double value, double limit) { return std::clamp(value, -limit, limit); }

// From the digit's box to pixels: bend, scale, slant, turn, move.
class Hand {
 public:
  explicit Hand(PhiloxStream& random) {
    const double scale = random.Uniform(0.76, 1.1);
    height_ = 19 * scale;
    width_ = 13.5 * scale * std::exp(Clamped(0.16 * random.Normal(), 0.35));
    slant_ = Clamped(0.14 + 0.24 * random.Normal(), 0.7);
    const double turn = Clamped(0.13 * random.Normal(), 0.35);
    cos_ = std::cos(turn);
    sin_ = std::sin(turn);
    x_ = kDigitSize / 2.0 + Clamped(1.5 * random.Normal(), 3.5);
    y_ = kDigitSize / 2.0 + Clamped(1.2 * random.Normal(), 3);
    for (Wave* wave : {&along_, &across_}) {
      wave->height = 0.055 * random.Normal();
      wave->frequency = random.Uniform(0.4, 1.3);
      wave->phase = random.Uniform();
    }
  }
  PenPoint operator()(PenPoint p) const {
    const double bent_x = p.x + across_.At(p.y) - 0.5, bent_y = p.y + along_.At(p.x) - 0.5;
    const double y = bent_y * height_, x = bent_x * width_ - slant_ * y;
    return {x_ + cos_ * x - sin_ * y, y_ + sin_ * x + cos_ * y};
  }

 private:
  struct Wave {
    double height = 0, frequency = 0, phase = 0;
    double At(double t) const { return height * std::sin(2 * std::numbers::pi * (frequency * t + phase)); }
  };
  double height_, width_, slant_, cos_, sin_, x_, y_;
  Wave along_, across_;
};

// A stroke's points as straight pieces; a curve goes smoothly through its points (Catmull and Rom, 1974).
std::vector<PenPoint> Flatten(StrokeKind kind, const std::vector<PenPoint>& p) {
  if (kind == StrokeKind::kLines) return p;
  const auto n = static_cast<int>(p.size());
  const bool loop = kind == StrokeKind::kLoop;
  const auto at = [&](int i) { return p[static_cast<std::size_t>(loop ? (i + n) % n : std::clamp(i, 0, n - 1))]; };
  std::vector<PenPoint> out = {p[0]};
  for (int i = 0; i < (loop ? n : n - 1); ++i) {
    const PenPoint a = at(i - 1), b = at(i), c = at(i + 1), d = at(i + 2);
    for (int k = 1; k <= kPiecesPerSpan; ++k) {
      const double t = static_cast<double>(k) / kPiecesPerSpan;
      const auto blend = [t](double w, double x, double y, double z) {
        return 0.5 * (2 * x + (y - w) * t + (2 * w - 5 * x + 4 * y - z) * t * t + (3 * x - w - 3 * y + z) * t * t * t);
      };
      out.push_back({blend(a.x, b.x, c.x, d.x), blend(a.y, b.y, c.y, d.y)});
    }
  }
  return out;
}

// The pen: darkens pixels near its way; its edge is one pixel soft.
class Pen {
 public:
  Pen(PhiloxStream& random, std::span<float> pixels) : pixels_(pixels) {
    radius_ = 0.75 + 0.75 * random.Uniform() + 0.35 * random.Uniform() * random.Uniform();
    softness_ = random.Uniform(0.8, 1.4);
  }
  void Line(PenPoint a, PenPoint b) {
    const double reach = radius_ + softness_;
    const int top = First(std::min(a.y, b.y) - reach), bottom = Last(std::max(a.y, b.y) + reach);
    const int left = First(std::min(a.x, b.x) - reach), right = Last(std::max(a.x, b.x) + reach);
    const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    for (int row = top; row <= bottom; ++row)
      for (int column = left; column <= right; ++column) {
        const double px = column + 0.5 - a.x, py = row + 0.5 - a.y;
        const double t = length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0, 1.0) : 0.0;
        const double ex = px - t * dx, ey = py - t * dy;
        const double ink = std::clamp(0.5 + (radius_ - std::sqrt(ex * ex + ey * ey)) / softness_, 0.0, 1.0);
        float& pixel = pixels_[static_cast<std::size_t>(row * kDigitSize + column)];
        pixel = std::max(pixel, static_cast<float>(ink));
      }
  }

 private:
  static int First(double v) { return std::max(0, static_cast<int>(std::floor(v))); }
  static int Last(double v) { return std::min(static_cast<int>(kDigitSize) - 1, static_cast<int>(std::floor(v))); }
  std::span<float> pixels_;
  double radius_ = 1, softness_ = 1;
};

// Scales the ink, adds noise that is nearly normal (the sum of four uniform bytes), and rounds to steps of 1/255.
void Develop(PhiloxStream& random, std::span<float> pixels) {
  const double ink = random.Uniform(0.75, 1.0);
  const double deviation = 0.05 * random.Uniform() * random.Uniform();
  constexpr double kMean = 4 * 127.5, kDeviation = 147.8;
  for (float& pixel : pixels) {
    const std::uint32_t bits = random.Bits();
    const auto bytes = static_cast<double>((bits & 255U) + ((bits >> 8) & 255U) + ((bits >> 16) & 255U) + (bits >> 24));
    const double value = ink * static_cast<double>(pixel) + deviation * (bytes - kMean) / kDeviation;
    pixel = static_cast<float>(std::floor(std::clamp(value, 0.0, 1.0) * 255 + 0.5)) / 255.0F;
  }
}

}  // namespace

std::int64_t DrawDigit(std::uint64_t seed, std::int64_t index, std::span<float> pixels) {
  const int label = LabelOf(seed, index);
  PhiloxStream random = ImageStream(seed, index);
  std::fill(pixels.begin(), pixels.end(), 0.0F);
  const std::span<const Glyph> styles = GlyphsOf(label);
  const Glyph glyph = styles[random.Below(styles.size())];
  const Hand hand(random);
  Pen pen(random, pixels);
  std::vector<std::pair<PenPoint, PenPoint>> joints;  // points of the style and where they went
  for (const Stroke& stroke : glyph) {
    std::vector<PenPoint> moved;
    for (const PenPoint& p : stroke.points) {
      const auto known = std::find_if(joints.begin(), joints.end(),
                                      [&](const auto& j) { return j.first.x == p.x && j.first.y == p.y; });
      const PenPoint shaken = {p.x + 0.05 * random.Normal(), p.y + 0.04 * random.Normal()};
      moved.push_back(known != joints.end() ? known->second : shaken);
      if (known == joints.end()) joints.emplace_back(p, shaken);
    }
    std::vector<PenPoint> way = Flatten(stroke.kind, moved);
    for (PenPoint& p : way) p = hand(p);
    for (std::size_t i = 1; i < way.size(); ++i) pen.Line(way[i - 1], way[i]);
  }
  Develop(random, pixels);
  return label;
}

LabelledImages DrawDigits(std::uint64_t seed, std::int64_t first, std::int64_t count, int threads) {
  LabelledImages out{Literal::uninitialized(DType::kF32, {count, kDigitSize, kDigitSize}),
                     Literal::uninitialized(DType::kI64, {count})};
  const std::span<float> images = out.images.mutable_data<float>();
  const std::span<std::int64_t> labels = out.labels.mutable_data<std::int64_t>();
  base::ParallelFor(
      count, 256,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const auto at = static_cast<std::size_t>(i);
          labels[at] = DrawDigit(seed, first + i, images.subspan(at * kPixels, kPixels));
        }
      },
      threads);
  return out;
}

}  // namespace tenon::data
