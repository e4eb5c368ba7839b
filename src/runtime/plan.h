// Plan: a flat list of steps over buffers, made for one set of input dims. Immutable; shared by the Contexts that run
// it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tenon/types.h"

namespace tenon::runtime {

using BufferId = std::int32_t;

enum class BufferKind : std::uint8_t {
  kInput,     // the caller's memory; read only, unless an output is donated to it
  kOutput,    // the caller's memory; written
  kConstant,  // memory of the plan
  kArena,     // memory of the Context, shared by values that do not live at the same time
};

struct BufferDesc {
  std::size_t bytes = 0;
  BufferKind kind = BufferKind::kArena;
  std::int32_t index = 0;  // which input, output or constant
  std::size_t offset = 0;  // kArena: from the start of the arena; a multiple of 64 (PlanArena)
};

/// What a step has beside its own constant data when it runs.
class StepState {
 public:
  virtual ~StepState() = default;
};
struct StepContext {
  std::byte* const* buffers;  // by BufferId
  StepState* state;           // of this step in this Context, or null
  int threads;                // of the team

  template <class T>
  T* get(BufferId id) const {
    return reinterpret_cast<T*>(buffers[id]);
  }
};

/// One kernel call. Reads and writes only the buffers that it declares (a scratch buffer is one that it writes), and
/// runs from any Context, one at a time in each. Order, memory reuse and concurrency follow from the declarations.
class Step {
 public:
  virtual ~Step() = default;
  virtual Status Run(const StepContext& ctx) const = 0;
  /// What the step wants to keep in each Context (handles bound to addresses); null for nothing.
  virtual std::unique_ptr<StepState> MakeState() const { return nullptr; }
  /// One line for explain: "gemm 32x128x784 sgemm".
  virtual std::string Describe() const = 0;

  std::vector<BufferId> reads, writes;
  /// {read, write}: the step works when both are the same memory (element i is read before it is written). A hint: the
  /// planner lays the write over the read when the read's value is not needed afterwards.
  std::vector<std::pair<BufferId, BufferId>> may_overlay;
};

struct PlanPort {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> dims;
  BufferId buffer = -1;
};

struct Plan {
  std::vector<BufferDesc> buffers;
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<Buffer> constants;
  std::vector<PlanPort> inputs;   // buffer of kind kInput
  std::vector<PlanPort> outputs;  // buffer of kind kOutput, or the kInput buffer that is donated to it
  std::vector<int> donated_from;  // by output: the input whose storage becomes the output's, or -1
  std::size_t arena_bytes = 0;

  BufferId AddBuffer(BufferKind kind, std::size_t bytes, std::int32_t index = 0);
  BufferId AddConstant(Buffer constant);
  std::string Explain() const;
};

/// Gives every arena buffer its offset so that buffers that are alive at the same time do not overlap, and sets
/// arena_bytes. A buffer lives from the first step that writes it to the last that touches it. `overlay` honours
/// may_overlay. Largest first, each at the lowest free offset. Fails (kInternal) on a buffer that is read before any
/// step writes it.
Status PlanArena(Plan& plan, bool overlay = true);

}  // namespace tenon::runtime
