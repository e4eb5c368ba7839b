// The samples of every op's record as files, for the scripts that make goldens with other tools.
#pragma once
#include <string>

#include "tenon/status.h"

namespace tenon::tools {

/// For each op with samples and each sample that must succeed: folder/<op>/<sample>.npz holds the inputs (in0, in1, …;
/// absent optional ones have no key) and literal attributes (attr_<name>), <sample>.json {"attrs": {…}, "dtypes":
/// {"in0": "f32", …}} with complete attributes: dtypes by name, dims and lists as arrays, graphs as their text form.
/// Existing files are replaced, others left alone.
Status DumpSamples(const std::string& folder);

}  // namespace tenon::tools
