// Handwritten-looking digits drawn by this library: a data set that needs no download.
#pragma once
#include <cstdint>
#include <span>

#include "data/mnist.h"

namespace tenon::data {

inline constexpr std::int64_t kDigitSize = 28;  // rows and columns of an image

/// Image number `index` (>= 0) of the set that `seed` names, 784 pixels from 0 (paper) to 1 (ink) in steps of 1/255;
/// returns its label. A function of (seed, index) alone. Each ten images from a multiple of ten on hold every digit.
/// A style of the digit is bent, slanted, turned, scaled and moved a little, drawn with an anti-aliased pen of random
/// width and ink, and covered with faint noise.
std::int64_t DrawDigit(std::uint64_t seed, std::int64_t index, std::span<float> pixels);

/// Images first … first + count - 1, on up to `threads` threads (0: all that we may use).
LabelledImages DrawDigits(std::uint64_t seed, std::int64_t first, std::int64_t count, int threads = 0);

}  // namespace tenon::data
