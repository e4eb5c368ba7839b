// Where two functions part: their values compared one by one.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "tenon/verify.h"
#include "verify/match.h"
#include "verify/record.h"

namespace tenon::verify {

/// One side with both of its runs, all values kept.
struct Observed {
  const ir::Function& function;
  Recorded narrow;  // in the function's dtypes
  Recorded wide;    // in float64
};

/// Compares what MatchValues finds. With `list` every compared value joins report.nodes. The first difference that no
/// rounding explains and that reaches an output of `expected` becomes report.first. A difference reaches an output when
/// some path to it leads through no value in which both agree, but for results of discrete ops.
Status CompareLayers(Report& report, const Observed& expected, const Observed& got,
                     const std::vector<std::size_t>& input_map, const std::vector<std::size_t>& output_map, bool list);

/// The same against recorded tensors (keys: see tenon/verify.h), which are the ones to trust. `shaken`: the run in
/// float64 on shaken inputs.
Status CompareRecorded(Report& report, const Observed& got, const Recorded& shaken,
                       const std::map<std::string, Literal>& recorded);

}  // namespace tenon::verify
