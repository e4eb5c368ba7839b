#include "eager/random.h"

#include <mutex>

#include "eager/dispatch.h"
#include "eager/trace.h"

namespace tenon {
namespace eager {
namespace {

const ir::VariablePtr& GlobalGenerator() {
  static const ir::VariablePtr cell = std::make_shared<ir::VariableCell>(
      "random/state", Literal::from<std::uint64_t>({2}, {0x7e404d5eedULL, 0}), /*trainable=*/false);
  return cell;
}

}  // namespace

Tensor NextRandomState(const ir::VariablePtr& generator) {
  static const Literal kStep = Literal::from<std::uint64_t>({2}, {0, 1});
  if (Trace* trace = Trace::Current()) {
    const Tensor state = trace->Read(generator);
    trace->Assign(generator, state + Tensor(kStep));
    return state;
  }
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const Literal state = generator->Read();
  Literal next = state;
  next.mutable_data<std::uint64_t>()[1] += 1;
  if (Status s = generator->Assign(std::move(next)); !s.ok()) fail(std::move(s));
  return Tensor(state);
}

Tensor NextRandomState(std::optional<std::uint64_t> seed) {
  if (seed) return Tensor(Literal::from<std::uint64_t>({2}, {*seed, 0}));
  return NextRandomState(GlobalGenerator());
}

}  // namespace eager

namespace random {

void set_random_seed(std::uint64_t seed) {
  if (Status s = eager::GlobalGenerator()->Assign(Literal::from<std::uint64_t>({2}, {seed, 0})); !s.ok())
    fail(std::move(s));
}

Tensor normal(const Shape& shape, NormalOptions options) {
  return eager::ApplyOne(
      "random_normal", {eager::NextRandomState(options.seed)},
      {{"dims", shape}, {"mean", options.mean}, {"stddev", options.stddev}, {"dtype", options.dtype}});
}

Tensor uniform(const Shape& shape, UniformOptions options) {
  return eager::ApplyOne("random_uniform", {eager::NextRandomState(options.seed)},
                         {{"dims", shape}, {"low", options.low}, {"high", options.high}, {"dtype", options.dtype}});
}

}  // namespace random
}  // namespace tenon
