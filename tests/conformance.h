// The conformance harness: from the samples of every op's record, all checks. A check is one function of an Op; the
// table in conformance_test.cc names them, and every (check, op) is one test: --gtest_filter='gradient.softmax'. The
// reference itself is compared with goldens by goldens_test.cc.
#pragma once
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/op_def.h"

namespace tenon::conformance {

/// A sample with its inputs in one choice of dtypes.
struct Case {
  const ir::OpDef* op = nullptr;
  const ir::Sample* sample = nullptr;
  std::string dtypes = {};  // "own", or "T=f64"
  bool own = false;         // the dtypes of the sample itself (as far as the op takes them)
  std::vector<std::optional<Literal>> inputs = {};
  std::string name() const { return sample->name + " (" + dtypes + ")"; }
};

/// An op under test.
struct Op {
  const ir::OpDef* def = nullptr;
  std::string_view family = {};
  std::vector<ir::Sample> samples = {};  // all
  std::vector<Case> cases = {};          // of the samples that are no errors
};
/// Cases: every sample in its own dtypes, in f32 and in f64, and the first one in every other dtype that a type
/// variable may have. Ops with sub-graphs keep their own dtypes.
Op MakeOp(const ir::OpDef& def, std::string_view family);

/// One op on the inputs, by its reference.
Result<std::vector<ir::Datum>> Reference(const Case& c);

/// A graph with one node (or its lowering), and the values for the graph's inputs.
struct Wired {
  ir::Graph graph;
  std::vector<ir::Value> inputs;  // one a port; invalid: absent
  std::vector<ir::Value> outputs;
  std::vector<ir::Datum> data;  // of the present inputs
};
enum class InputForm { kPlain, kTransposed, kSymbolic };
struct WireOptions {
  InputForm form = InputForm::kPlain;  // transposed: each input of rank >= 2 comes through a transpose; symbolic: all
                                       // dims are symbols
  bool lowered = false;                // the lowering in place of the op
  bool surrounded = false;             // elementwise ops before and after it
};
Result<Wired> Wire(const Case& c, const WireOptions& options = {});

struct Tolerance {
  double relative = 0, absolute = 0;  // both 0: the same bits, but for the sign of a zero and the bits of a NaN
};
/// From the op's exactness class and the sample's tolerance: exact; elementwise 16 ulp; accumulating growing with the
/// root of the number of terms, relative to the largest result. Outputs that are no floats are exact.
Tolerance ToleranceOf(const Case& c, const Literal& want);
/// Empty when got is want within the tolerance, else what differs.
std::string Difference(const Literal& got, const Literal& want, const Tolerance& tolerance);
std::string Difference(const ir::Datum& got, const ir::Datum& want, const Tolerance& tolerance);
/// All outputs of a case against the expected ones; adds failures.
void ExpectOutputs(const Case& c, const std::vector<ir::Datum>& got, const std::vector<ir::Datum>& want,
                   std::string_view what);

/// A fixed pseudo-random f64 literal in [-1, 1).
Literal Noise(std::vector<std::int64_t> dims, int seed);

// The checks.
void CheckInfer(const Op& op);
void CheckSymbolicInfer(const Op& op);
void CheckErrors(const Op& op);
void CheckLowering(const Op& op);
void CheckDeterminism(const Op& op);
void CheckGradient(const Op& op);
void CheckSecondGradient(const Op& op);
void CheckGradientOfLowering(const Op& op);
void CheckBackends(const Op& op);
void CheckTransposed(const Op& op);
void CheckCompiledSymbolic(const Op& op);
void CheckText(const Op& op);
void CheckNative(const Op& op);
void CheckEager(const Op& op);
void CheckExport(const Op& op);

}  // namespace tenon::conformance
