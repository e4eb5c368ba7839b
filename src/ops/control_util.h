// The parts of the control-flow records that stand in files of their own: gradients and samples.
#pragma once
#include <algorithm>

#include "ops/body_util.h"

namespace tenon::ir::ops {

/// The run-time operands from `first` on.
inline std::vector<Datum> Operands(const EvalContext& ctx, int first) {
  std::vector<Datum> out;
  for (int i = first; i < ctx.num_inputs(); ++i) out.push_back(ctx.datum(i));
  return out;
}
/// How deep sub-graphs run within one another on this thread; at most 256.
class Depth {
 public:
  Depth() { ++depth; }
  ~Depth() { --depth; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;
  Status Check(const EvalContext& ctx) const {
    return depth <= 256 ? Status() : ctx.Fail("got sub-graphs nested more than 256 deep");
  }

 private:
  static thread_local int depth;
};

// Gradients: graphs of GradContext::differentiate(), which take a body's inputs and one cotangent for each of its
// float (or complex) outputs, and give the gradients of its float inputs.
Status GradCond(GradContext& ctx);
/// A scan as long as the trip count keeps the carries of every step; a scan in reverse takes the cotangents back. The
/// carries must keep their dims.
Status GradWhile(GradContext& ctx);
Status GradScan(GradContext& ctx);
Status GradCall(GradContext& ctx);

std::vector<Sample> CondSamples();
std::vector<Sample> WhileSamples();
std::vector<Sample> ScanSamples();
std::vector<Sample> CallSamples();

}  // namespace tenon::ir::ops
