// tenon_bench [--threads N] [--quick] [NAME ...]: our side of bench/run.py. Prints one JSON row a line for each case:
// {"name": "mlp_sgd_step", "threads": 1, "us": 61.2}; us is the median over many steps. --import MODEL: the time from a
// file to a context that is ready, and the private memory that this takes (mb). --save-mlp DIR writes the MLP as a
// SavedModel.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>

#include "base/json_writer.h"
#include "eager/state_function.h"
#include "eager/trace.h"
#include "ir/variable.h"
#include "tenon/compile.h"
#include "tenon/formats.h"
#include "tenon/keras.h"

using namespace tenon;
namespace layers = tenon::keras::layers;

namespace {

using Clock = std::chrono::steady_clock;
bool quick = false;
int threads = 1;

double Median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

// Microseconds of a call: the median of many after a warm-up.
double Time(const std::function<void()>& call, double seconds) {
  for (int i = 0; i < 10; ++i) call();
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  do {
    const Clock::time_point t = Clock::now();
    call();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - t).count());
  } while (times.size() < 20 || std::chrono::duration<double>(Clock::now() - begin).count() < seconds);
  return Median(std::move(times));
}

// Of all threads of this process.
double CpuMicroseconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
}

keras::Sequential Mlp() {
  return keras::Sequential({keras::Input({784}, {.name = "x"}), layers::Dense(128, {.activation = "relu"}),
                            layers::Dense(10, {.name = "y"})});
}
keras::Sequential Cnn() {
  return keras::Sequential({keras::Input({28, 28, 1}), layers::Conv2D(32, 3, {.activation = "relu"}),
                            layers::MaxPooling2D(), layers::Conv2D(64, 3, {.activation = "relu"}),
                            layers::MaxPooling2D(), layers::Flatten(), layers::Dropout(0.5), layers::Dense(10)});
}
Tensor Labels(std::int64_t n) {
  Literal l(DType::kI64, {n});
  for (std::int64_t i = 0; i < n; ++i) l.mutable_data<std::int64_t>()[static_cast<std::size_t>(i)] = (i * 7) % 10;
  return Tensor(std::move(l));
}

// The bare step: forward, backward, update, no metrics, the same batch again.
// `cpu`: the processor's time over epochs of 2000 steps, as FitStep takes it.
double SgdStep(const keras::Sequential& model, const Tensor& x, const Tensor& y, bool cpu = false) {
  const keras::SGD optimizer;
  const keras::SparseCategoricalCrossentropy loss_of({.from_logits = true});
  eager::Trace trace;
  const Tensor xs = trace.Input(eager::TypeOf(x), "x"), ys = trace.Input(eager::TypeOf(y), "y");
  Tensor loss;
  {
    GradientTape tape;
    loss = loss_of(ys, model(xs, {.training = true}));
    const std::vector<Variable> variables = model.trainable_variables();
    optimizer.apply(tape.gradient(loss, variables), variables);
  }
  const Tensor outputs[] = {loss};
  const std::shared_ptr<eager::StateFunction> step =
      eager::StateFunction::Make(trace.Finish(outputs).value(), {.threads = threads}).value();
  trace.Close();
  if (std::getenv("TENON_BENCH_EXPLAIN") != nullptr) {
    step->Run({x.literal(), y.literal()}).value();
    std::cerr << step->Explain();
  }
  const auto run = [&] { step->Run({x.literal(), y.literal()}).value(); };
  if (!cpu) return Time(run, quick ? 0.3 : 2);
  std::vector<double> times;
  const int steps = quick ? 200 : 2000;
  for (int i = 0; i < (quick ? 3 : 6); ++i) {
    const double t = CpuMicroseconds();
    for (int k = 0; k < steps; ++k) run();
    if (i > 0) times.push_back((CpuMicroseconds() - t) / steps);
  }
  return Median(std::move(times));
}

double FitStep(const keras::Sequential& model, const Tensor& x, const Tensor& y, int batch) {
  model.compile({.optimizer = keras::SGD(),
                 .loss = keras::SparseCategoricalCrossentropy({.from_logits = true}),
                 .metrics = {"accuracy"}});
  const double steps = static_cast<double>(x.dim(0).value()) / batch;
  // The bar goes to a buffer: the work of drawing it stays in the figure.
  std::ostringstream sink;
  std::streambuf* const saved = std::cout.rdbuf(sink.rdbuf());
  // An epoch is too long to hope that nobody else gets the core in between, as a step's median may: the processor's
  // time is taken, which is the wall's on a quiet machine (one thread, nothing to wait for).
  std::vector<double> times;
  for (int i = 0; i < (quick ? 3 : 6); ++i) {
    const double t = CpuMicroseconds();
    model.fit(x, y, {.batch_size = batch, .epochs = 1, .verbose = 1});
    if (i > 0) times.push_back((CpuMicroseconds() - t) / steps);
  }
  std::cout.rdbuf(saved);
  return Median(std::move(times));
}

double InferOne() {
  const keras::Sequential model = Mlp();
  const Executable exe = compile(model.module(), {.threads = threads}).value();
  Context run = exe.context("serving_default", {{"x", {1, 784}}}).value();
  std::span<float> in = run.input<float>("x").value();
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i % 13) / 13;
  return Time([&] { run().value(); }, quick ? 0.2 : 1);
}

// Private memory of this process in MB: what it has written, without pages of mapped files.
double AnonymousMegabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::atof(line.c_str() + 8) / 1024;
  return 0;
}

void Row(const std::string& name, const char* unit, double value) {
  base::JsonWriter json;
  json.Object();
  json.Key("name").String(name);
  json.Key("threads").Number(threads);
  json.Key(unit).Number(value);
  json.End();
  std::cout << std::move(json).Take() << std::endl;
}

// A model file from its name to a Context that is ready to run: read, compiled, planned, weights laid out.
void Import(const std::string& path) {
  const std::string stem = std::filesystem::path(path).stem().string();
  const auto ready = [&] {
    const Module module = load(path).value();
    const Executable exe = compile(module, {.threads = threads}).value();
    std::map<std::string, Shape> shapes;
    for (const TensorSpec& in : module.signature().value().inputs) shapes[in.name] = in.shape;
    return std::make_pair(module, exe.context("", shapes).value());
  };
  const double before = AnonymousMegabytes();
  std::vector<double> times;
  for (int i = 0; i < (quick ? 1 : 5); ++i) {
    const Clock::time_point t = Clock::now();
    const auto held = ready();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - t).count());
    if (i == 0) Row(stem + "_import_mb", "mb", AnonymousMegabytes() - before);
  }
  Row(stem + "_import", "us", Median(std::move(times)));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> wanted, imports;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--quick")
      quick = true;
    else if (a == "--threads" && i + 1 < argc)
      threads = std::atoi(argv[++i]);
    else if (a == "--import" && i + 1 < argc)
      imports.push_back(argv[++i]);
    else if (a == "--save-mlp" && i + 1 < argc) {
      const Result<void> saved = save(Mlp().module(), argv[++i], {.format = Format::kSavedModel});
      if (!saved.ok()) std::cerr << "tenon_bench: " << saved.message() << '\n';
      return saved.ok() ? 0 : 1;
    } else if (a.starts_with("-")) {
      std::cerr << "usage: tenon_bench [--threads N] [--quick] [NAME ...] [--import MODEL ...] | --save-mlp DIR\n";
      return 2;
    } else
      wanted.push_back(a);
  }
  try {
    for (const std::string& path : imports) Import(path);
  } catch (const Error& e) {
    std::cerr << "tenon_bench: " << e.what() << '\n';
    return 1;
  }
  if (!imports.empty()) return 0;
  keras::set_random_seed(1);
  const std::int64_t rows = quick ? 6400 : 64000;
  const std::pair<const char*, std::function<double()>> cases[] = {
      {"mlp_sgd_step", [] { return SgdStep(Mlp(), random::uniform({32, 784}, {.seed = 1}), Labels(32)); }},
      {"mlp_sgd_step_cpu", [] { return SgdStep(Mlp(), random::uniform({32, 784}, {.seed = 1}), Labels(32), true); }},
      {"mlp_fit_step", [&] { return FitStep(Mlp(), random::uniform({rows, 784}, {.seed = 2}), Labels(rows), 32); }},
      {"cnn_sgd_step", [] { return SgdStep(Cnn(), random::uniform({64, 28, 28, 1}, {.seed = 3}), Labels(64)); }},
      {"cnn_fit_step",
       [&] { return FitStep(Cnn(), random::uniform({rows / 10, 28, 28, 1}, {.seed = 4}), Labels(rows / 10), 64); }},
      {"mlp_infer_n1", InferOne},
      {"eager_add",
       [] {
         const Tensor a = random::uniform({4, 4}, {.seed = 5}), b = random::uniform({4, 4}, {.seed = 6});
         return Time(
                    [&] {
                      for (int i = 0; i < 100; ++i) (void)(a + b);
                    },
                    0.3) /
                100;
       }},
      {"eager_matmul_512",
       [] {
         const Tensor a = random::uniform({512, 512}, {.seed = 5}), b = random::uniform({512, 512}, {.seed = 6});
         return Time([&] { (void)matmul(a, b); }, 0.5);
       }},
  };
  for (const auto& [name, run] : cases) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), name) == wanted.end()) continue;
    try {
      Row(name, "us", run());
    } catch (const Error& e) {
      std::cerr << "tenon_bench: " << name << ": " << e.what() << '\n';
      return 1;
    }
  }
}
