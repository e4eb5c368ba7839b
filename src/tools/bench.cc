#include <algorithm>
#include <chrono>
#include <iostream>

#include "base/json_writer.h"
#include "base/threads.h"
#include "ir/eval.h"
#include "ir/module.h"
#include "tenon/compile.h"
#include "tenon/formats.h"
#include "tools/commands.h"
#include "verify/compare.h"

namespace tenon::tools {

int Bench(const BenchOptions& o) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  const Clock::time_point start = Clock::now();
  const Result<Module> module = load(o.model);
  if (!module.ok()) return Fail("bench", module.status());
  const Result<Executable> exe = compile(*module, {.threads = o.threads, .backend = o.backend});
  if (!exe.ok()) return Fail("bench", exe.status());
  const Result<const ir::Function*> f = module->impl()->Signature(o.signature);
  if (!f.ok()) return Fail("bench", f.status());
  // Every free dim becomes the batch.
  Result<std::vector<Literal>> inputs = verify::RandomInputs(**f, 1, o.batch);
  if (!inputs.ok()) return Fail("bench", inputs.status());
  const Result<std::vector<Literal>> first = exe->run_ordered(*inputs, (*f)->name);
  if (!first.ok()) return Fail("bench", first.status());
  const double ready = seconds(Clock::now() - start);
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  while (times.size() < 5 || seconds(Clock::now() - begin) < o.seconds) {
    const Clock::time_point t = Clock::now();
    const Result<std::vector<Literal>> r = exe->run_ordered(*inputs, (*f)->name);
    if (!r.ok()) return Fail("bench", r.status());
    times.push_back(seconds(Clock::now() - t) * 1e6);
  }
  std::sort(times.begin(), times.end());
  const auto at = [&](double q) { return times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))]; };
  const int threads = o.threads > 0 ? o.threads : base::DefaultThreads();
  if (o.explain) std::cerr << exe->explain();
  if (o.json) {
    base::JsonWriter json;
    json.Object();
    json.Key("model").String(o.model);
    json.Key("threads").Number(threads);
    json.Key("batch").Number(o.batch);
    json.Key("runs").Number(static_cast<std::int64_t>(times.size()));
    json.Key("ready_s").Number(ready);
    json.Key("p50_us").Number(at(0.5));
    json.Key("p90_us").Number(at(0.9));
    json.Key("p99_us").Number(at(0.99));
    json.Key("min_us").Number(times.front());
    json.End();
    std::cout << std::move(json).Take() << '\n';
  } else {
    std::cout << o.model << ": " << threads << " threads, batch " << o.batch << ", " << times.size()
              << " runs; ready in " << ready * 1e3 << " ms\n"
              << "p50 " << at(0.5) << " us, p90 " << at(0.9) << " us, p99 " << at(0.99) << " us, min " << times.front()
              << " us\n";
  }
  return kDone;
}

}  // namespace tenon::tools
