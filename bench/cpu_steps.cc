// Training and inference steps of small networks on the cpu backend, from graphs built by hand (no Keras layer
// between). TENON_EXPLAIN=1 prints the plans.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>

#include "backends/cpu/cpu.h"
#include "ir/builder.h"
#include "ir/sample.h"

namespace {

using namespace tenon;
using namespace tenon::ir;
using Dims = std::vector<std::int64_t>;

struct Step {
  Graph graph;
  runtime::CompileOptions options;
  std::vector<Literal> inputs;
};

class Maker {
 public:
  explicit Maker(Step* step) : step_(step), b(&step->graph) {}
  Ex In(const Dims& dims, double scale = 0.05) {
    step_->inputs.push_back(Random(dims, ++seed_, -scale, scale));
    return b(b.Input("", Type::Tensor(DType::kF32, Shape(std::span(dims)))));
  }
  Ex Var(const Dims& dims, double scale = 0.05) { return In(dims, scale); }
  Ex Mat(Ex x, Ex y, bool tx = false, bool ty = false) {
    return Op("matmul", x, y, {{"transpose_x", tx}, {"transpose_y", ty}});
  }
  Ex Sum(Ex x, Dims axes) { return Op("reduce_sum", x, {{"axes", axes}, {"keep_dims", false}}); }
  // Outputs: `updated` values over their variables (by input number), then others.
  void Finish(const std::vector<std::pair<int, Ex>>& updated, const std::vector<Ex>& others) {
    std::vector<Value> outs;
    for (const auto& [input, v] : updated) {
      step_->options.donations.push_back({input, static_cast<int>(outs.size())});
      outs.push_back(v);
    }
    for (const Ex& v : others) outs.push_back(v);
    step_->graph.set_outputs(outs);
    if (!b.ok()) std::cerr << b.status().message() << "\n", std::exit(1);
  }

 private:
  Step* step_;
  int seed_ = 0;

 public:
  Builder b;
};

void RunStep(benchmark::State& state, Step& step) {
  step.options.threads = 1;
  auto f = cpu::Compile(step.graph, step.options);
  if (!f.ok()) return state.SkipWithError(f.status().message().c_str());
  const auto context = (*f)->NewContext();
  std::vector<Literal> outs(step.graph.outputs().size());
  for (Literal& l : step.inputs) l.mutable_raw();
  const auto run = [&] {
    const Status status = context->Run(step.inputs, outs);
    if (!status.ok()) state.SkipWithError(status.message().c_str());
    for (const runtime::Donation& d : step.options.donations)
      std::swap(step.inputs[static_cast<std::size_t>(d.input)], outs[static_cast<std::size_t>(d.output)]);
  };
  run();
  if (std::getenv("TENON_EXPLAIN") != nullptr) std::cerr << (*f)->Explain();
  for (auto _ : state) run();
}

struct Mlp {
  Ex x, t, w1, b1, w2, b2, h, logits;
};
Mlp Forward(Maker& m, std::int64_t batch) {
  Mlp n;
  n.x = m.In({batch, 784}, 1), n.t = m.In({batch, 10}, 0.2), n.w1 = m.Var({784, 128}), n.b1 = m.Var({128}),
  n.w2 = m.Var({128, 10}), n.b2 = m.Var({10});
  n.h = Op("relu", m.Mat(n.x, n.w1) + n.b1);
  n.logits = m.Mat(n.h, n.w2) + n.b2;
  return n;
}
struct Grads {
  Ex w1, b1, w2, b2, loss;
};
Grads Backward(Maker& m, const Mlp& n, double batch) {
  Grads g;
  g.loss = m.Sum(Op("softmax_cross_entropy", n.logits, n.t), {}) / batch;
  const Ex d = (Op("softmax", n.logits) - n.t) / batch;
  g.w2 = m.Mat(n.h, d, true), g.b2 = m.Sum(d, {0});
  const Ex dh = m.Mat(d, n.w2, false, true);
  const Ex dp = Select(Op("greater", n.h, m.b(m.b.Scalar(0, DType::kF32))), dh, m.b(m.b.ZerosLike(dh)));
  g.w1 = m.Mat(n.x, dp, true), g.b1 = m.Sum(dp, {0});
  return g;
}

void MlpSgd(benchmark::State& state) {
  Step step;
  Maker m(&step);
  const Mlp n = Forward(m, 32);
  const Ex lr = m.In({}, 0.001);
  const Grads g = Backward(m, n, 32);
  m.Finish({{2, n.w1 - g.w1 * lr}, {3, n.b1 - g.b1 * lr}, {4, n.w2 - g.w2 * lr}, {5, n.b2 - g.b2 * lr}}, {g.loss});
  RunStep(state, step);
}
BENCHMARK(MlpSgd)->Unit(benchmark::kMicrosecond);

void MlpAdam(benchmark::State& state) {
  Step step;
  Maker m(&step);
  const Mlp n = Forward(m, 32);
  const Ex lr = m.In({}, 0.001);
  const Grads g = Backward(m, n, 32);
  std::vector<std::pair<int, Ex>> updated;
  int input = 7;
  const auto adam = [&](int at, Ex w, Ex d, const Dims& dims) {
    const Ex m1 = m.Var(dims), m2 = Op("abs", m.Var(dims));
    const Ex a = m1 + (d - m1) * 0.1, v = m2 + (d * d - m2) * 0.001;
    updated.push_back({at, w - a * lr / (Op("sqrt", v) + 1e-7)});
    updated.push_back({input, a}), updated.push_back({input + 1, v});
    input += 2;
  };
  adam(2, n.w1, g.w1, {784, 128}), adam(3, n.b1, g.b1, {128}), adam(4, n.w2, g.w2, {128, 10}),
      adam(5, n.b2, g.b2, {10});
  m.Finish(updated, {g.loss});
  RunStep(state, step);
}
BENCHMARK(MlpAdam)->Unit(benchmark::kMicrosecond);

void MlpInference(benchmark::State& state) {
  Step step;
  Maker m(&step);
  const Mlp n = Forward(m, state.range(0));
  m.Finish({}, {Op("softmax", n.logits)});
  RunStep(state, step);
}
BENCHMARK(MlpInference)->Arg(1)->Arg(32)->Unit(benchmark::kMicrosecond);

// conv 32 3x3, relu, max-pool 2, conv 64 3x3, relu, max-pool 2, dense 10: one SGD step on 64 images of 28x28.
void CnnSgd(benchmark::State& state) {
  Step step;
  Maker m(&step);
  const Ex x = m.In({64, 28, 28, 1}, 1), t = m.In({64, 10}, 0.2);
  const Ex k1 = m.Var({3, 3, 1, 32}), b1 = m.Var({32}), k2 = m.Var({3, 3, 32, 64}), b2 = m.Var({64}),
           w = m.Var({1600, 10}), b = m.Var({10});
  const Ex lr = m.In({}, 0.001);
  const ir::Attrs pool = {{"window", Dims{2, 2}}};
  const Ex zero = m.b(m.b.Scalar(0, DType::kF32));
  const Ex h1 = Op("relu", Op("conv", x, k1) + b1), p1 = Op("max_pool", h1, pool);
  const Ex h2 = Op("relu", Op("conv", p1, k2) + b2), p2 = Op("max_pool", h2, pool);
  const Ex flat = m.b(m.b.Reshape(p2, Shape({64, 1600})));
  const Ex logits = m.Mat(flat, w) + b;
  const Ex loss = m.Sum(Op("softmax_cross_entropy", logits, t), {}) / 64;
  const Ex d = (Op("softmax", logits) - t) / 64;
  const Ex dw = m.Mat(flat, d, true), db = m.Sum(d, {0});
  const Ex dp2 = m.b(m.b.Reshape(m.Mat(d, w, false, true), Shape({64, 5, 5, 64})));
  const auto relu_grad = [&](Ex h, Ex dh) { return Select(Op("greater", h, zero), dh, m.b(m.b.ZerosLike(dh))); };
  const Ex dh2 = relu_grad(h2, Op("max_pool_grad", dp2, h2, pool));
  const Ex dk2 = m.b(m.b.Add("conv_kernel_grad", {dh2, p1, k2})), db2 = m.Sum(dh2, {0, 1, 2});
  const Ex dp1 = m.b(m.b.Add("conv_input_grad", {dh2, k2, p1}));
  const Ex dh1 = relu_grad(h1, Op("max_pool_grad", dp1, h1, pool));
  const Ex dk1 = m.b(m.b.Add("conv_kernel_grad", {dh1, x, k1})), db1 = m.Sum(dh1, {0, 1, 2});
  m.Finish({{2, k1 - dk1 * lr},
            {3, b1 - db1 * lr},
            {4, k2 - dk2 * lr},
            {5, b2 - db2 * lr},
            {6, w - dw * lr},
            {7, b - db * lr}},
           {loss});
  RunStep(state, step);
}
BENCHMARK(CnnSgd)->Unit(benchmark::kMillisecond);

// One tiny elementwise op: what a call costs.
void CallOverhead(benchmark::State& state) {
  Step step;
  Maker m(&step);
  const Ex x = m.In({8}), y = m.In({8});
  m.Finish({}, {x + y});
  RunStep(state, step);
}
BENCHMARK(CallOverhead)->Unit(benchmark::kNanosecond);

void Gelu(benchmark::State& state) {
  Step step;
  Maker m(&step);
  const Ex x = m.In({256, 1024}, 3), bias = m.In({1024});
  m.Finish({}, {Op("gelu", x + bias) + x});
  RunStep(state, step);
}
BENCHMARK(Gelu)->Unit(benchmark::kMicrosecond);

void Softmax(benchmark::State& state) {
  Step step;
  Maker m(&step);
  m.Finish({}, {Op("softmax", m.In({512, state.range(0)}, 3))});
  RunStep(state, step);
}
BENCHMARK(Softmax)->Arg(10)->Arg(128)->Arg(1000)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
