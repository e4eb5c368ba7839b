// The ten digits as pen strokes, each in a few styles of handwriting.
#pragma once
#include <span>

namespace tenon::data {

/// In the digit's box: x from 0 (left) to 1, y from 0 (top) to 1.
struct PenPoint {
  double x, y;
};
enum class StrokeKind {
  kLines,  // straight from point to point
  kCurve,  // smooth through the points
  kLoop,   // smooth and closed
};
/// Where a stroke begins at a point of an earlier one the two are joined there.
struct Stroke {
  StrokeKind kind;
  std::span<const PenPoint> points;
};
using Glyph = std::span<const Stroke>;

/// The styles of a digit from 0 to 9.
std::span<const Glyph> GlyphsOf(int digit);

}  // namespace tenon::data
