// What happens to the records of values when a rewrite lets one value stand for another.
#pragma once
#include <string_view>

#include "ir/graph.h"

namespace tenon::ir {

/// The value of record `to` stands for that of `from` too: it takes the name, the quantization and the axis roles that
/// it lacks, and all of the provenance. A name that finds its place taken goes on as the provenance {"", "", name}.
void CarryOver(const Record& from, Record& to);

/// Whether a value is known by that name: its own, or one of its provenance.
bool KnownAs(const Record& record, std::string_view name);

}  // namespace tenon::ir
