// A oneDNN primitive as a step. Only this folder sees dnnl.
#pragma once
#include <oneapi/dnnl/dnnl.hpp>

#include "backends/cpu/emit/plan_builder.h"

namespace tenon::cpu::onednn {

using Tag = dnnl::memory::format_tag;
using Desc = dnnl::memory::desc;

/// The one engine, and the calling thread's stream.
const dnnl::engine& Engine();
dnnl::stream& Stream();

/// A f32 tensor with that layout. Plain: row-major in the order of `dims`.
Desc Plain(const std::vector<std::int64_t>& dims);
Desc Any(const std::vector<std::int64_t>& dims);
/// Dims and strides as given (elements).
Desc Strided(const std::vector<std::int64_t>& dims, const std::vector<std::int64_t>& strides);

struct Arg {
  int arg = 0;  // DNNL_ARG_…
  Desc desc;
  BufferId buffer = -1;
  bool write = false;
};
/// Holds the primitive; each Context keeps its memory objects and sets their addresses only when they change.
std::unique_ptr<runtime::Step> MakePrimitiveStep(dnnl::primitive primitive, std::vector<Arg> args, std::string text);

/// Attributes with the scratchpad given by the caller.
dnnl::primitive_attr Attributes();
/// False for ref implementations, which are slower than anything of ours.
bool Acceptable(const char* implementation);
/// `from` -> `to`, as a step.
std::unique_ptr<runtime::Step> MakeReorderStep(const Desc& from_desc, BufferId from, const Desc& to_desc, BufferId to);
/// A buffer that holds the value of `buffer` (described by `have`) in the layout `want`: itself when they agree, else a
/// scratch buffer with a reorder step in front; constants are reordered now.
BufferId InLayout(PlanBuilder& b, Value v, const Desc& have, const Desc& want);

/// Runs f and turns dnnl::error into a Status (kInternal), or the reason to decline with.
template <class F>
Result<std::string> Guard(F f) {
  try {
    return f();
  } catch (const dnnl::error& e) {
    return std::string("oneDNN: ") + e.what();
  }
}

}  // namespace tenon::cpu::onednn
