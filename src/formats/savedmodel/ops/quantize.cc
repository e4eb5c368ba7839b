// Fake quantization, and quantization to integers and back.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

constexpr DType kReal = DType::kF32;

ir::Ex Number(OpContext& c, double value) { return Ex(c, c.b.Scalar(value, kReal)); }

/// x on the grid of 2^bits steps between min and max, which are moved so that 0 is on it. 0 where both are 0.
ir::Ex FakeQuantized(OpContext& c, ir::Ex x, ir::Ex min, ir::Ex max) {
  const std::int64_t bits = c.Int("num_bits", 8);
  if (bits < 2 || bits > 16) {
    c.b.SetStatus(c.Fail(fmt::format("num_bits is {}, expected 2 to 16", bits)));
    return x;
  }
  const double low = c.Bool("narrow_range", false) ? 1 : 0, high = static_cast<double>((1 << bits) - 1);
  const ir::Ex zero = Number(c, 0);
  const ir::Ex nothing = Op("logical_and", Op("equal", min, zero), Op("equal", max, zero));
  const ir::Ex scale = Select(nothing, Number(c, 1), (max - min) / (high - low));
  const ir::Ex from_min = low - min / scale;
  const ir::Ex point =  // half away from zero; it is not below 0
      Ex(c, c.b.Add("clip", {Op("floor", from_min + 0.5), Number(c, low), Number(c, high)}));
  const ir::Ex first = (low - point) * scale, last = (high - point) * scale;
  const ir::Ex inside = Ex(c, c.b.Add("clip", {x, first, last}));
  const ir::Ex y = Op("floor", (inside - first) * (1.0 / scale) + 0.5) * scale + first;
  return Select(nothing, zero, y);
}

Status FakeQuantArgs(OpContext& c) {
  const Value x = c.in(0);
  const double min = c.Float("min", -6), max = c.Float("max", 6);
  if (!(min < max)) return c.Fail(fmt::format("min is {} and max {}, expected less and more", min, max));
  c.Set(FakeQuantized(c, Ex(c, x), Number(c, min), Number(c, max)));
  return {};
}

Status FakeQuantVars(OpContext& c) {  // x, min, max: numbers, or one of each for every channel (the last axis)
  const Value x = c.in(0), min = c.in(1), max = c.in(2);
  c.Set(FakeQuantized(c, Ex(c, x), Ex(c, min), Ex(c, max)));
  return {};
}

/// The numbers of an integer dtype.
struct Range {
  double low = 0, high = 0;
};
std::optional<Range> RangeOf(DType dtype) {
  switch (dtype) {
    case DType::kU8:
      return Range{0, 255};
    case DType::kI8:
      return Range{-128, 127};
    case DType::kU16:
      return Range{0, 65535};
    case DType::kI16:
      return Range{-32768, 32767};
    default:
      return std::nullopt;  // 32 bits do not fit an f32
  }
}

Status Quantize(OpContext& c) {  // x, min, max
  const ir::Ex x = Ex(c, c.b.Cast(c.in(0), kReal));
  const ir::Ex given_min = Ex(c, c.in(1)), given_max = Ex(c, c.in(2));
  const std::optional<DType> dtype = c.Type("T");
  const std::string mode = c.String("mode", "MIN_COMBINED");
  const std::optional<Range> range = dtype ? RangeOf(*dtype) : std::nullopt;
  if (!range) return c.Unsupported("to such a type");
  if (c.Int("axis", -1) != -1) return c.Unsupported("with a scale for each slice");
  if (mode != "MIN_COMBINED" && mode != "SCALED") return c.Unsupported(fmt::format("in the mode {}", mode));
  // The range holds 0 and is not empty.
  const ir::Ex zero = Number(c, 0), one = Number(c, 1);
  ir::Ex min = Op("minimum", given_min, zero);
  const ir::Ex size = Op("maximum", one, Op("maximum", Op("abs", given_min), Op("abs", given_max)));
  ir::Ex max =
      Op("maximum", zero, Op("maximum", given_max, min + size * double{c.Float("ensure_minimum_range", 0.01f)}));
  if (mode == "MIN_COMBINED") {
    const ir::Ex scaled = (Ex(c, c.b.Add("clip", {x, min, max})) - min) * ((range->high - range->low) / (max - min));
    const double half = range->low < 0 ? (range->high - range->low + 1) / 2 : 0;
    const ir::Ex moved = scaled - half;
    const ir::Ex away = Op("sign", moved) * Op("floor", Op("abs", moved) + 0.5);
    c.Set(0, c.b.Cast(half == 0 ? Op("floor", scaled + 0.5) : away, *dtype));
  } else {
    const double low = range->low + (c.Bool("narrow_range", false) ? 1 : 0), high = range->high;
    const ir::Ex none = Number(c, std::numeric_limits<float>::max());
    const auto side = [&](double end, ir::Ex bound) {
      const ir::Ex safe = Select(Op("equal", bound, zero), one, bound);
      return Select(Op("greater", bound * end, zero), end / safe, none);
    };
    const ir::Ex scale = Op("minimum", side(low, min), side(high, max));
    min = low / scale;
    max = high / scale;
    const ir::Ex scaled = Ex(c, c.b.Add("clip", {x, min, max})) * scale;
    const ir::Ex away = Op("sign", scaled) * Op("floor", Op("abs", scaled) + 0.5);
    c.Set(0, c.b.Cast(c.String("round_mode", "HALF_AWAY_FROM_ZERO") == "HALF_TO_EVEN" ? Op("round", scaled) : away,
                      *dtype));
  }
  c.Set(1, min);
  c.Set(2, max);
  return {};
}

Status Dequantize(OpContext& c) {  // x, min, max
  const Value q = c.in(0);
  const ir::Ex min = Ex(c, c.in(1)), max = Ex(c, c.in(2));
  const std::string mode = c.String("mode", "MIN_COMBINED");
  if (!c.b.ok()) return {};
  const std::optional<Range> range = RangeOf(c.b.dtype(q));
  if (!range) return c.Unsupported("of such a type");
  if (c.Int("axis", -1) != -1) return c.Unsupported("with a scale for each slice");
  const ir::Ex x = Ex(c, c.b.Cast(q, kReal));
  ir::Ex y;
  if (mode == "MIN_COMBINED") {
    const double half = range->low < 0 ? (range->high - range->low + 1) / 2 : 0;
    y = (x + half) * ((max - min) / (range->high - range->low)) + min;
  } else if (mode == "SCALED") {
    const double low = range->low + (c.Bool("narrow_range", false) ? 1 : 0);
    const ir::Ex by_max = max / range->high;
    y = x * (range->low == 0 ? by_max : Op("maximum", min / low, by_max));
  } else {
    return c.Unsupported(fmt::format("in the mode {}", mode));
  }
  c.Set(c.b.Cast(y, c.Type("dtype").value_or(kReal)));
  return {};
}

/// To a grid of signed or unsigned integers around 0 and back: x, min, max (given, or those of x)[, bits].
Status QuantizeAndDequantize(OpContext& c) {
  const Value x = c.in(0);
  const bool v3 = c.node.op.ends_with("V3");
  std::int64_t bits = c.Int("num_bits", 8);
  if (v3) bits = c.integer(3);
  if (!c.b.ok()) return {};
  if (bits < 2 || bits > 16) return c.Unsupported(fmt::format("with {} bits, expected 2 to 16", bits));
  if (c.Int("axis", -1) != -1) return c.Unsupported("with a scale for each slice");
  const DType dtype = c.b.dtype(x);
  const bool is_signed = c.Bool("signed_input", true);
  const double steps = std::ldexp(1, static_cast<int>(bits)), narrow = c.Bool("narrow_range", false) ? 1 : 0;
  const double low = is_signed ? -steps / 2 + narrow : 0, high = is_signed ? steps / 2 - 1 : steps - 1;
  const auto number = [&](double v) { return Ex(c, c.b.Scalar(v, dtype)); };
  ir::Ex min, max;
  if (c.Bool("range_given", false)) {
    min = Ex(c, c.in(1));
    max = Ex(c, c.in(2));
  } else {
    min = Ex(c, c.b.Add("reduce_min", {x}));
    max = Ex(c, c.b.Add("reduce_max", {x}));
  }
  const ir::Ex zero = number(0), one = number(1), none = number(std::numeric_limits<float>::max());
  const auto side = [&](double end, ir::Ex bound) {
    const ir::Ex safe = Select(Op("equal", bound, zero), one, bound);
    return Select(Op("greater", bound * end, zero), end / safe, none);
  };
  const ir::Ex scale = Op("minimum", side(low, min), side(high, max));
  const ir::Ex inside = Ex(c, c.b.Add("clip", {x, low / scale, high / scale})) * scale;
  const bool even = c.String("round_mode", "HALF_TO_EVEN") == "HALF_TO_EVEN";
  c.Set((even ? Op("round", inside) : Op("floor", inside + 0.5)) / scale);
  return {};
}

constexpr Rule kRules[] = {
    {"QuantizeAndDequantizeV2", QuantizeAndDequantize},
    {"QuantizeAndDequantizeV3", QuantizeAndDequantize},
    {"QuantizeAndDequantizeV4", QuantizeAndDequantize},
    {"FakeQuantWithMinMaxArgs", FakeQuantArgs},
    {"FakeQuantWithMinMaxVars", FakeQuantVars},
    {"FakeQuantWithMinMaxVarsPerChannel", FakeQuantVars},
    {"QuantizeV2", Quantize},
    {"Dequantize", Dequantize},
};

}  // namespace

std::span<const Rule> QuantizeRules() { return kRules; }

}  // namespace tenon::savedmodel
