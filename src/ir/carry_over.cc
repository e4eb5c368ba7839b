#include "ir/carry_over.h"

#include <algorithm>

namespace tenon::ir {

void CarryOver(const Record& from, Record& to) {
  const auto add = [&to](const Provenance& p) {
    if (std::ranges::find(to.provenance, p) == to.provenance.end()) to.provenance.push_back(p);
  };
  for (const Provenance& p : from.provenance) add(p);
  if (to.name.empty())
    to.name = from.name;
  else if (!from.name.empty() && !KnownAs(to, from.name))
    add({"", "", from.name});
  if (!to.quantization) to.quantization = from.quantization;
  if (to.axis_roles.empty()) to.axis_roles = from.axis_roles;
}

bool KnownAs(const Record& record, std::string_view name) {
  return record.name == name ||
         std::ranges::any_of(record.provenance, [&](const Provenance& p) { return p.name == name; });
}

}  // namespace tenon::ir
