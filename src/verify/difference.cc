#include "verify/difference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/numeric.h"
#include "ir/type.h"

namespace tenon::verify {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Format {
  int mantissa;       // explicit bits
  double min_normal;  // smallest normal number
};
Format FormatOf(DType t) {
  switch (t) {
    case DType::kF16:
      return {10, 0x1p-14};
    case DType::kBF16:
      return {7, 0x1p-126};
    case DType::kF64:
    case DType::kC128:
      return {52, 0x1p-1022};
    default:
      return {23, 0x1p-126};
  }
}

double Ulp(double at, const Format& f) {
  const double a = std::max(std::fabs(at), f.min_normal);
  return std::ldexp(1.0, std::ilogb(a) - f.mantissa);
}

double Distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double d = std::fabs(a - b);
  return std::isfinite(d) ? d : kInf;
}

bool Rounded(DType t) { return is_float(t) || is_complex(t); }

// Largest distance of two lists; 0 for empty ones.
double Farthest(const std::vector<double>& a, const std::vector<double>& b) {
  double d = 0;
  for (std::size_t i = 0; i < a.size(); ++i) d = std::max(d, Distance(a[i], b[i]));
  return d;
}

}  // namespace

Result<OutputDifference> Compare(const std::string& name, const Measured& expected, const Measured& got) {
  const Literal &e = *expected.value, &g = *got.value;
  if (e.dtype() != g.dtype() || e.dims() != g.dims())
    return Status(Code::kInvalidArgument, "output \"" + name + "\": got " + ir::Type::Of(g).to_string() +
                                              ", expected " + ir::Type::Of(e).to_string());
  OutputDifference d;
  d.name = name;
  if (e.dtype() == DType::kString) {
    if (e.strings() != g.strings()) {
      d.max_abs = d.max_rel = 1;
      d.verdict = Verdict::kBug;
    }
    return d;
  }
  const std::vector<double> ev = ir::ToDoubles(e), gv = ir::ToDoubles(g);
  const Format format = FormatOf(e.dtype());
  double dot = 0, ee = 0, gg = 0, scale = 0;
  for (std::size_t i = 0; i < ev.size(); ++i) {
    const double distance = Distance(gv[i], ev[i]);
    d.max_abs = std::max(d.max_abs, distance);
    d.max_rel = std::max(d.max_rel, distance / std::max(std::fabs(ev[i]), format.min_normal));
    if (Rounded(e.dtype())) d.max_ulp = std::max(d.max_ulp, distance / Ulp(std::isfinite(ev[i]) ? ev[i] : 1, format));
    if (std::isfinite(ev[i]) && std::isfinite(gv[i])) {
      dot += ev[i] * gv[i];
      ee += ev[i] * ev[i];
      gg += gv[i] * gv[i];
      scale = std::max(scale, std::fabs(ev[i]));
    }
  }
  d.cosine = ee == 0 && gg == 0 ? 1 : dot / std::max(std::sqrt(ee) * std::sqrt(gg), std::numeric_limits<double>::min());
  if (identical(e, g)) return d;
  // What rounding explains: the measured error of the float runs against their own oracles, and a few units of the last
  // place of the largest element.
  double rounding = Rounded(e.dtype()) ? 4 * Ulp(scale, format) : 0;
  if (expected.oracle != nullptr) rounding = std::max(rounding, Farthest(ev, ir::ToDoubles(*expected.oracle)));
  if (got.oracle != nullptr) rounding = std::max(rounding, Farthest(gv, ir::ToDoubles(*got.oracle)));
  for (const Measured* m : {&expected, &got})
    if (m->oracle != nullptr && m->shaken != nullptr && m->shaken->dims() == m->oracle->dims())
      rounding = std::max(rounding, Farthest(ir::ToDoubles(*m->shaken), ir::ToDoubles(*m->oracle)));
  d.budget = 16 * rounding;
  if (expected.oracle != nullptr && got.oracle != nullptr) {
    d.oracle_abs = Farthest(ir::ToDoubles(*expected.oracle), ir::ToDoubles(*got.oracle));
    // The same function in exact arithmetic: constants may have been folded in the float dtype on one side.
    d.verdict =
        d.oracle_abs <= d.budget && d.max_abs <= 2 * d.budget + 2 * rounding ? Verdict::kRounding : Verdict::kBug;
  } else {
    d.verdict = d.max_abs <= d.budget ? Verdict::kRounding : Verdict::kBug;
  }
  return d;
}

double RoundingBudget(const Literal& value, const Literal& oracle) {
  const std::vector<double> v = ir::ToDoubles(value);
  double scale = 0;
  for (const double e : v)
    if (std::isfinite(e)) scale = std::max(scale, std::fabs(e));
  const double units = Rounded(value.dtype()) ? 4 * Ulp(scale, FormatOf(value.dtype())) : 0;
  return 16 * std::max(units, Farthest(v, ir::ToDoubles(oracle)));
}

void Merge(OutputDifference& into, const OutputDifference& other) {
  into.max_abs = std::max(into.max_abs, other.max_abs);
  into.max_rel = std::max(into.max_rel, other.max_rel);
  into.max_ulp = std::max(into.max_ulp, other.max_ulp);
  into.cosine = std::min(into.cosine, other.cosine);
  into.budget = std::max(into.budget, other.budget);
  into.oracle_abs = std::max(into.oracle_abs, other.oracle_abs);
  into.ties += other.ties;
  into.verdict = std::max(into.verdict, other.verdict);
}

}  // namespace tenon::verify
