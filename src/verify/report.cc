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

bool Report::ok() const { return verdict() != Verdict::kBug && !first.bug; }

Verdict Report::verdict() const {
  Verdict worst = Verdict::kIdentical;
  for (const OutputDifference& d : outputs) worst = std::max(worst, d.verdict);
  return worst;
}

std::ostream& operator<<(std::ostream& out, const Divergence& d) {
  if (d.node.empty()) return out << "no node diverges\n";
  out << "first difference at \"" << d.node << "\"";
  if (!d.op.empty()) out << " (" << d.op << (d.layer.empty() ? "" : " of node \"" + d.layer + "\"") << ")";
  if (!d.got_node.empty() && d.got_node != d.node) out << ", \"" << d.got_node << "\" of the other model";
  out << ": got " << d.got << ", expected " << d.expected << "\n  max abs " << d.difference.max_abs << ", max rel "
      << d.difference.max_rel << ", max ulp " << d.difference.max_ulp << ", cosine " << d.difference.cosine
      << "; rounding explains " << d.budget << (d.bug ? ": bug\n" : ": rounding\n");
  for (const std::string& reason : d.reasons) out << "  " << reason << '\n';
  return out;
}

std::ostream& operator<<(std::ostream& out, const Report& report) {
  std::size_t width = 6;
  for (const std::vector<OutputDifference>* list : {&report.outputs, &report.nodes})
    for (const OutputDifference& d : *list) width = std::max(width, d.name.size());
  const auto line = [&](const OutputDifference& d) {
    char ulp[24], text[160];
    // Beside a value near 0 a difference can be any number of units.
    std::snprintf(ulp, sizeof ulp, d.max_ulp < 1e8 ? "%10.1f" : "%10.3e", d.max_ulp);
    std::snprintf(text, sizeof text, "  %10.3e  %10.3e  %s  %.9f  %10.3e  %10.3e  ", d.max_abs, d.max_rel, ulp,
                  d.cosine, d.oracle_abs, d.budget);
    out << d.name << std::string(width - d.name.size(), ' ') << text << verdict_name(d.verdict);
    if (d.ties > 0) out << ", " << d.ties << (d.ties == 1 ? " tie" : " ties");
    out << '\n';
  };
  out << "output" << std::string(width - 6, ' ')
      << "     max abs     max rel     max ulp  cosine       float64 abs   budget    verdict\n";
  for (const OutputDifference& d : report.nodes) line(d);
  for (const OutputDifference& d : report.outputs) line(d);
  out << "verdict: " << verdict_name(report.verdict()) << " (" << report.samples
      << (report.samples == 1 ? " sample" : " samples") << ")\n";
  if (report.values > 0) out << report.nodes.size() << " of " << report.values << " values inside were compared\n";
  if (!report.first.node.empty()) out << report.first;
  return out;
}

}  // namespace tenon::verify
