// compare: do two Modules compute the same thing, and where do they part?
#pragma once
#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "tenon/module.h"

namespace tenon::verify {

/// Given values (keys are input names), or `samples` random draws: floats normal with standard deviations 1, 4, 1/4 in
/// turn, integers in [0, 4), a free dim 2 (the same for the same symbol).
struct Inputs {
  std::map<std::string, Literal> values = {};
  int samples = 1;
  std::uint64_t seed = 1;
};
inline Inputs random(int samples, std::uint64_t seed = 1) { return {{}, samples, seed}; }

enum class Verdict { kIdentical, kRounding, kBug };
std::string_view TENON_API verdict_name(Verdict verdict);

/// One output (or value inside) of one sample, worst element.
struct OutputDifference {
  std::string name;
  double max_abs = 0;  // |got - expected|
  double max_rel = 0;  // |got - expected| / max(|expected|, smallest normal)
  double max_ulp = 0;  // in units of the last place of the dtype at the expected value; 0 for integers
  double cosine = 1;
  double budget = 0;      // what rounding explains, from the float64 oracle
  double oracle_abs = 0;  // |got - expected| when both run in float64
  Verdict verdict = Verdict::kIdentical;
  // Elements that a discrete op (argmax, top_k, round, a comparison …) decides otherwise because what it decides on
  // ties within rounding. Ties are no bug.
  std::int64_t ties = 0;
  // Values inside: the op that makes it, and how the other model's value was found: "name", "provenance", "value" (the
  // same type and elements), "structure" (the same place behind values that were found), "position".
  std::string op = {}, matched = {};
};
/// Where two models part.
struct Divergence {
  std::string node = {};  // the value's name in the first model, else that of the layer it belongs to
  double got = 0, expected = 0, budget = 0;
  bool bug = false;
  std::string layer = {};                 // the source format's name of the node, when it has one
  std::string op = {}, got_node = {};     // the op that makes it; the value in the other model
  OutputDifference difference = {};       // its numbers; infinite when the shapes differ
  std::vector<std::string> reasons = {};  // attributes, weights and operands that differ there
};
TENON_API std::ostream& operator<<(std::ostream& out, const Divergence& d);

struct CompareOptions {
  Inputs inputs = {};
  bool layers = false;          // also compare the values inside
  std::string signature = {};   // "": the default
  std::string backend = "ref";  // of the float runs: ref or cpu
};
struct TENON_API Report {
  std::vector<OutputDifference> outputs;  // worst over the samples
  std::vector<OutputDifference> nodes;    // with layers: matched values in the order of the first module
  int values = 0;                         // with layers: tensors that the first module computes
  int samples = 0;
  Divergence first = {};
  /// Every difference of an output is rounding within its budget; with layers no value inside differs in a way that
  /// reaches an output either.
  bool ok() const;
  Verdict verdict() const;
  /// The first value (in the order of the first module) whose difference no rounding explains; empty node when none.
  const Divergence& first_divergence() const { return first; }
};
/// A table with a line per output and the verdict.
TENON_API std::ostream& operator<<(std::ostream& out, const Report& report);

/// `got` against `expected`, signature by signature name; inputs and outputs are matched by name, else by position.
/// The verdict comes from a float64 oracle: both modules run in float64 (float casts are the identity), and a
/// difference that vanishes there is rounding; one that stays beyond 16 times the measured rounding error is a bug.
/// With layers, values inside are matched by name, by provenance, by type and elements, and by their place in the
/// graph; a difference counts when it reaches an output: one behind which the models agree again is another value of
/// that name. kInvalidArgument when the signatures do not match.
TENON_API Result<Report> compare(const Module& expected, const Module& got, CompareOptions options = {});

/// A module against recorded outputs: keys are output names, with or without "out." in front; of `inputs`, input names,
/// with or without "in.". With layers, other keys are values inside: matched by the value's name, the node's name, else
/// by type and elements; keys that match nothing are left out.
TENON_API Result<Report> compare(const Module& got, const std::map<std::string, Literal>& inputs,
                                 const std::map<std::string, Literal>& outputs, CompareOptions options = {});

}  // namespace tenon::verify
