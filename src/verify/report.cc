#include <algorithm>
#include <cstdio>
#include <ostream>

#include "tenon/verify.h"

namespace tenon::verify {

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kIdentical:
      return "identical";
    case Verdict::kRounding:
      return "rounding";
    case Verdict::kBug:
      break;
  }
  return "bug";
}

bool Report::ok() const { return verdict() != Verdict::kBug; }

Verdict Report::verdict() const {
  Verdict worst = Verdict::kIdentical;
  for (const OutputDifference& d : outputs) worst = std::max(worst, d.verdict);
  return worst;
}

std::ostream& operator<<(std::ostream& out, const Divergence& d) {
  if (d.node.empty()) return out << "no node diverges\n";
  return out << "first difference at \"" << d.node << "\": got " << d.got << ", expected " << d.expected
             << ", rounding explains " << d.budget << (d.bug ? ": bug\n" : ": rounding\n");
}

std::ostream& operator<<(std::ostream& out, const Report& report) {
  std::size_t width = 6;
  for (const std::vector<OutputDifference>* list : {&report.outputs, &report.nodes})
    for (const OutputDifference& d : *list) width = std::max(width, d.name.size());
  const auto line = [&](const OutputDifference& d) {
    char text[160];
    std::snprintf(text, sizeof text, "  %10.3e  %10.3e  %10.1f  %.9f  %10.3e  %10.3e  ", d.max_abs, d.max_rel,
                  d.max_ulp, d.cosine, d.oracle_abs, d.budget);
    out << d.name << std::string(width - d.name.size(), ' ') << text << verdict_name(d.verdict) << '\n';
  };
  out << "output" << std::string(width - 6, ' ')
      << "     max abs     max rel     max ulp  cosine       float64 abs   budget    verdict\n";
  for (const OutputDifference& d : report.nodes) line(d);
  for (const OutputDifference& d : report.outputs) line(d);
  out << "verdict: " << verdict_name(report.verdict()) << " (" << report.samples
      << (report.samples == 1 ? " sample" : " samples") << ")\n";
  if (!report.first.node.empty()) out << report.first;
  return out;
}

}  // namespace tenon::verify
