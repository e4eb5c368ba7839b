// compare: do two Modules compute the same thing, and where do they part?
#pragma once
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "tenon/module.h"

namespace tenon::verify {

/// Given values (keys are input names), or `samples` random draws: floats normal, integers in [0, 4), a free dim 2 (the
/// same for the same symbol).
struct Inputs {
  std::map<std::string, Literal> values = {};
  int samples = 1;
  std::uint64_t seed = 1;
};
inline Inputs random(int samples, std::uint64_t seed = 1) { return {{}, samples, seed}; }

enum class Verdict { kIdentical, kRounding, kBug };
std::string_view TENON_API verdict_name(Verdict verdict);

/// One output (or node) of one sample, worst element.
struct OutputDifference {
  std::string name;
  double max_abs = 0;  // |got - expected|
  double max_rel = 0;  // |got - expected| / max(|expected|, smallest normal)
  double max_ulp = 0;  // in units of the last place of the dtype at the expected value; 0 for integers
  double cosine = 1;
  double budget = 0;      // what rounding explains, from the float64 oracle
  double oracle_abs = 0;  // |got - expected| when both run in float64
  Verdict verdict = Verdict::kIdentical;
};
struct Divergence {
  std::string node = {};
  double got = 0, expected = 0, budget = 0;
  bool bug = false;
};
TENON_API std::ostream& operator<<(std::ostream& out, const Divergence& d);

struct CompareOptions {
  Inputs inputs = {};
  bool layers = false;          // also compare values that both modules name
  std::string signature = {};   // "": the default
  std::string backend = "ref";  // of the float runs: ref or cpu
};
struct TENON_API Report {
  std::vector<OutputDifference> outputs;  // worst over the samples
  std::vector<OutputDifference> nodes;    // with layers: matched values in the order of the first module
  int samples = 0;
  Divergence first = {};
  /// Every difference is rounding within its budget.
  bool ok() const;
  Verdict verdict() const;
  /// The first node (in the order of the first module) whose difference no rounding explains; empty node when none.
  const Divergence& first_divergence() const { return first; }
};
/// A table with a line per output and the verdict.
TENON_API std::ostream& operator<<(std::ostream& out, const Report& report);

/// `got` against `expected`, signature by signature name; inputs and outputs are matched by name, else by position.
/// The verdict comes from a float64 oracle: both modules run in float64 (float casts are the identity), and a
/// difference that vanishes there is rounding; one that stays beyond 16 times the measured rounding error is a bug.
/// kInvalidArgument when the signatures do not match.
TENON_API Result<Report> compare(const Module& expected, const Module& got, CompareOptions options = {});

/// A module against recorded outputs (keys are the output names).
TENON_API Result<Report> compare(const Module& got, const std::map<std::string, Literal>& inputs,
                                 const std::map<std::string, Literal>& outputs, CompareOptions options = {});

}  // namespace tenon::verify
