// A bound Context allocates nothing and takes no lock: whole networks, forward and as training steps, on the cpu
// backend. This program counts every request for memory and every lock of the whole process, the libraries' too: its
// own malloc and pthread functions stand before theirs (not under the sanitizers, which do the same). What oneDNN does
// inside a call of it (2.6 makes a table of the arguments in each execution, and guards its list of GEMM kernels) is
// counted apart.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>

#include "base/sanitizers.h"
#include "compiler/backend.h"
#include "eager/trace.h"
#include "ir/variable.h"
#include "tenon/compile.h"
#include "tenon/function.h"
#include "tenon/keras.h"

#if !defined(TENON_OWN_HEAP)
#define TENON_COUNTS 1
#endif

namespace {
struct Counts {
  std::atomic<long> allocations = 0, locks = 0;
};
Counts ours, library;

#ifdef TENON_COUNTS
thread_local int in_library = 0;
Counts& Now() { return in_library > 0 ? library : ours; }

// The function that ours stands before.
template <class F>
F* Next(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}
#endif
}  // namespace

#ifdef TENON_COUNTS
#define TENON_STANDS_BEFORE extern "C" __attribute__((visibility("default")))
extern "C" {
void* __libc_malloc(std::size_t n);
void* __libc_calloc(std::size_t count, std::size_t n);
void* __libc_realloc(void* p, std::size_t n);
void* __libc_memalign(std::size_t align, std::size_t n);
}
TENON_STANDS_BEFORE void* malloc(std::size_t n) {
  ++Now().allocations;
  return __libc_malloc(n);
}
TENON_STANDS_BEFORE void* calloc(std::size_t count, std::size_t n) {
  ++Now().allocations;
  return __libc_calloc(count, n);
}
TENON_STANDS_BEFORE void* realloc(void* p, std::size_t n) {
  ++Now().allocations;
  return __libc_realloc(p, n);
}
TENON_STANDS_BEFORE void* memalign(std::size_t align, std::size_t n) {
  ++Now().allocations;
  return __libc_memalign(align, n);
}
TENON_STANDS_BEFORE void* aligned_alloc(std::size_t align, std::size_t n) {
  ++Now().allocations;
  return __libc_memalign(align, n);
}
TENON_STANDS_BEFORE int posix_memalign(void** out, std::size_t align, std::size_t n) {
  ++Now().allocations;
  *out = __libc_memalign(align, n);
  return *out == nullptr ? 12 : 0;
}
TENON_STANDS_BEFORE int pthread_mutex_lock(pthread_mutex_t* m) {
  static auto* const next = Next<int(pthread_mutex_t*)>("pthread_mutex_lock");
  ++Now().locks;
  return next(m);
}
TENON_STANDS_BEFORE int pthread_mutex_trylock(pthread_mutex_t* m) {
  static auto* const next = Next<int(pthread_mutex_t*)>("pthread_mutex_trylock");
  ++Now().locks;
  return next(m);
}
TENON_STANDS_BEFORE int pthread_rwlock_rdlock(pthread_rwlock_t* m) {
  static auto* const next = Next<int(pthread_rwlock_t*)>("pthread_rwlock_rdlock");
  ++Now().locks;
  return next(m);
}
TENON_STANDS_BEFORE int pthread_rwlock_wrlock(pthread_rwlock_t* m) {
  static auto* const next = Next<int(pthread_rwlock_t*)>("pthread_rwlock_wrlock");
  ++Now().locks;
  return next(m);
}
TENON_STANDS_BEFORE int pthread_spin_lock(pthread_spinlock_t* m) {
  static auto* const next = Next<int(pthread_spinlock_t*)>("pthread_spin_lock");
  ++Now().locks;
  return next(m);
}
// The two doors through which a running plan enters oneDNN.
TENON_STANDS_BEFORE int dnnl_primitive_execute(const void* primitive, void* stream, int count, const void* arguments) {
  static auto* const next = Next<int(const void*, void*, int, const void*)>("dnnl_primitive_execute");
  ++in_library;
  const int status = next(primitive, stream, count, arguments);
  --in_library;
  return status;
}
TENON_STANDS_BEFORE int dnnl_sgemm(char ta, char tb, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                                   const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta,
                                   float* c, std::int64_t ldc) {
  using F = int(char, char, std::int64_t, std::int64_t, std::int64_t, float, const float*, std::int64_t, const float*,
                std::int64_t, float, float*, std::int64_t);
  static auto* const next = Next<F>("dnnl_sgemm");
  ++in_library;
  const int status = next(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  --in_library;
  return status;
}
#endif

namespace tenon {
namespace {

namespace layers = keras::layers;

class BoundContext : public testing::Test {
 protected:
  void SetUp() override {
#ifndef TENON_COUNTS
    GTEST_SKIP() << "a sanitizer owns malloc and the locks";
#endif
  }
  /// After three calls, 50 more neither allocate nor lock.
  template <class F>
  void ExpectQuiet(F&& call) {
    for (int i = 0; i < 3; ++i) call();
    const long memory = ours.allocations, locks = ours.locks;
    const long theirs = library.allocations;
    for (int i = 0; i < 50; ++i) call();
    const long more_memory = ours.allocations - memory, more_locks = ours.locks - locks;
    EXPECT_EQ(more_memory, 0) << "requests for memory in 50 calls";
    EXPECT_EQ(more_locks, 0) << "locks in 50 calls";
    RecordProperty("onednn_requests_for_memory_a_call", static_cast<int>((library.allocations - theirs) / 50));
  }
};

TEST_F(BoundContext, TheCountersCount) {
  long before = ours.allocations;
  void* volatile p = std::malloc(10);
  std::free(p);
  EXPECT_GT(ours.allocations, before);
  before = ours.allocations;
  std::vector<int>* volatile v = new std::vector<int>(100);  // operator new, in the C++ library
  delete v;
  EXPECT_GE(ours.allocations, before + 2);
  before = ours.allocations;
  const Literal literal(DType::kF32, {1000});
  EXPECT_GT(ours.allocations, before);
  before = ours.locks;
  std::mutex m;
  m.lock();
  m.unlock();
  EXPECT_GT(ours.locks, before);
  before = ours.locks;
  std::shared_mutex shared;
  shared.lock_shared();
  shared.unlock_shared();
  EXPECT_GT(ours.locks, before);
}

keras::Sequential Mlp() {
  return keras::Sequential({keras::Input({64}, {.name = "x"}), layers::Dense(32, {.activation = "relu"}),
                            layers::Dropout(0.25), layers::Dense(10, {.name = "y"})});
}
keras::Sequential Cnn() {
  return keras::Sequential({keras::Input({12, 12, 3}, {.name = "x"}), layers::Conv2D(8, 3, {.padding = "same"}),
                            layers::BatchNormalization(), layers::ReLU(), layers::MaxPooling2D(),
                            layers::Conv2D(16, 3, {.activation = "relu"}), layers::AveragePooling2D(2),
                            layers::Flatten(), layers::Dropout(0.25), layers::Dense(10, {.name = "y"})});
}

Literal Noise(const Shape& shape) { return random::normal(shape, {.seed = 5}).literal(); }

void Forward(const keras::Sequential& model, const Shape& shape, const std::function<void(Context&)>& check) {
  const Executable exe = compile(model.module(), {.threads = 1, .backend = "cpu"}).value();
  EXPECT_EQ(exe.explain().find("ref:"), std::string::npos) << exe.explain();
  Context run = exe.context("serving_default", {{"x", shape}}).value();
  const std::span<float> in = run.input<float>("x").value();
  const Literal noise = Noise(shape);
  std::ranges::copy(noise.data<float>(), in.begin());
  check(run);
  const Tensor want = model.predict(Tensor(noise));
  const std::span<const float> y = run.output<float>("y").value();
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], want.data<float>()[i], 1e-5);
}

TEST_F(BoundContext, MlpForward) {
  Forward(Mlp(), {8, 64}, [&](Context& run) { ExpectQuiet([&] { run().value(); }); });
}
TEST_F(BoundContext, CnnForward) {
  Forward(Cnn(), {4, 12, 12, 3}, [&](Context& run) { ExpectQuiet([&] { run().value(); }); });
}

// Loops and branches hold plans of their own.
TEST_F(BoundContext, ControlFlow) {
  Literal x = Noise({4, 8});
  eager::Trace trace;
  const Tensor xs = trace.Input(ir::Type::Of(x), "x");
  const Tensor grown = while_loop([](const std::vector<Tensor>& c) { return reduce_sum(c[0] * c[0]) < 1000; },
                                  [](const std::vector<Tensor>& c) { return std::vector{c[0] * 1.5 + 0.25}; }, {xs})[0];
  const ScanResult sums = scan(
      [](const std::vector<Tensor>& carries, const std::vector<Tensor>& rows) {
        const Tensor next = tanh(carries[0] + rows[0]);
        return ScanResult{{next}, {next * 2}};
      },
      {zeros({8})}, {xs});
  const Tensor chosen =
      cond(reduce_sum(xs) > 0, [&] { return std::vector{exp(xs)}; }, [&] { return std::vector{xs - 1}; })[0];
  const Tensor outputs[] = {grown, sums.carries[0], sums.ys[0], chosen};
  const eager::Trace::Traced traced = trace.Finish(outputs).value();
  trace.Close();
  const auto compiled = compiler::FindBackend("cpu")->compile(traced.graph, {}).value();
  const auto context = compiled->NewContext();
  std::vector<Literal> in = {x}, out(4);
  ExpectQuiet([&] {
    const Status status = context->Run(in, out);
    if (!status.ok()) fail(status);
  });
  EXPECT_EQ(compiled->Explain().find("ref:"), std::string::npos) << compiled->Explain();
  double square = 0;
  for (const float v : out[0].data<float>()) square += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_GE(square, 1000);
}

// Forward, backward and update as one entry, with the variables handed in and taken back as fit does it.
class Step {
 public:
  Step(const keras::Sequential& model, const keras::Optimizer& optimizer, const Literal& x, const Literal& y) {
    const keras::SparseCategoricalCrossentropy loss_of({.from_logits = true});
    eager::Trace trace;
    const Tensor xs = trace.Input(ir::Type::Of(x), "x"), ys = trace.Input(ir::Type::Of(y), "y");
    Tensor loss;
    {
      GradientTape tape;
      loss = loss_of(ys, model(xs, {.training = true}));
      const std::vector<Variable> variables = model.trainable_variables();
      optimizer.apply(tape.gradient(loss, variables), variables);
    }
    const Tensor outputs[] = {loss};
    eager::Trace::Traced traced = trace.Finish(outputs).value();
    trace.Close();
    runtime::CompileOptions options;
    in_ = {x, y};
    for (const ir::VariablePtr& cell : traced.reads) {
      Literal own = cell->Read();
      own.mutable_raw();  // a copy of its own, as of a variable that nobody else holds
      in_.push_back(std::move(own));
    }
    for (std::size_t w = 0; w < traced.writes.size(); ++w) {
      const auto read = std::ranges::find(traced.reads, traced.writes[w]) - traced.reads.begin();
      options.donations.push_back({static_cast<int>(2 + read), static_cast<int>(1 + w)});
    }
    donations_ = options.donations;
    compiled_ = compiler::FindBackend("cpu")->compile(traced.graph, options).value();
    context_ = compiled_->NewContext();
    out_.resize(1 + traced.writes.size());
  }
  void Run() {
    const Status status = context_->Run(in_, out_);
    if (!status.ok()) fail(status);
    for (const runtime::Donation& d : donations_)
      std::swap(in_[static_cast<std::size_t>(d.input)], out_[static_cast<std::size_t>(d.output)]);
  }
  float loss() const { return out_[0].data<float>()[0]; }
  std::string Explain() const { return compiled_->Explain(); }

 private:
  std::unique_ptr<runtime::CompiledFunction> compiled_;
  std::unique_ptr<runtime::Context> context_;
  std::vector<runtime::Donation> donations_;
  std::vector<Literal> in_, out_;
};

Literal Labels(std::int64_t n) {
  Literal l(DType::kI64, {n});
  for (std::int64_t i = 0; i < n; ++i) l.mutable_data<std::int64_t>()[static_cast<std::size_t>(i)] = (i * 7) % 10;
  return l;
}

TEST_F(BoundContext, MlpTrainingStep) {
  for (const keras::Optimizer& optimizer :
       {keras::Optimizer(keras::SGD({.learning_rate = 0.1})), keras::Optimizer(keras::Adam({.learning_rate = 0.01}))}) {
    SCOPED_TRACE(optimizer.impl()->name());
    Step step(Mlp(), optimizer, Noise({8, 64}), Labels(8));
    step.Run();
    const float first = step.loss();
    ExpectQuiet([&] { step.Run(); });
    EXPECT_LT(step.loss(), 0.5F * first);  // and it learns
    EXPECT_EQ(step.Explain().find("ref:"), std::string::npos) << step.Explain();
  }
}

TEST_F(BoundContext, CnnTrainingStep) {
  for (const keras::Optimizer& optimizer :
       {keras::Optimizer(keras::SGD({.learning_rate = 0.05, .momentum = 0.9})), keras::Optimizer(keras::RMSprop())}) {
    SCOPED_TRACE(optimizer.impl()->name());
    Step step(Cnn(), optimizer, Noise({8, 12, 12, 3}), Labels(8));
    step.Run();
    const float first = step.loss();
    ExpectQuiet([&] { step.Run(); });
    EXPECT_LT(step.loss(), 0.5F * first);
    EXPECT_EQ(step.Explain().find("ref:"), std::string::npos) << step.Explain();
  }
}

}  // namespace
}  // namespace tenon
