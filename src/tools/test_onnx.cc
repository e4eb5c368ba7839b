#include <chrono>
#include <iostream>
#include <map>

#include "base/file.h"
#include "base/json_writer.h"
#include "base/threads.h"
#include "tools/commands.h"
#include "tools/onnx_suite.h"

namespace tenon::tools {
namespace {

struct Score {
  int pass = 0, fail = 0, unsupported = 0;
  void Add(CaseStatus status) {
    ++(status == CaseStatus::kPass ? pass : status == CaseStatus::kFail ? fail : unsupported);
  }
  int all() const { return pass + fail + unsupported; }
};

std::string Report(const TestOnnxOptions& o, const std::vector<SuiteCase>& cases,
                   const std::vector<CaseResult>& results, const Score& total, double seconds) {
  base::JsonWriter json({.indent = 1});
  json.Object();
  json.Key("backend").String(o.backend);
  json.Key("passed").Number(total.pass);
  json.Key("all").Number(total.all());
  json.Key("seconds").Number(seconds);
  json.Key("cases").Object();
  for (std::size_t i = 0; i < cases.size(); ++i) {
    json.Key(cases[i].name).Object();
    json.Key("status").String(CaseStatusName(results[i].status));
    json.Key("why").String(results[i].why);
    json.Key("category").String(cases[i].category);
    json.Key("op").String(results[i].op);
    json.Key("seconds").Number(results[i].seconds);
    json.End();
  }
  json.End();
  json.End();
  return std::move(json).Take();
}

}  // namespace

int TestOnnx(const TestOnnxOptions& o) {
  Result<std::vector<SuiteCase>> found = FindSuiteCases(o.folder);
  if (!found.ok()) return Fail("test-onnx", found.status());
  std::vector<SuiteCase> cases;
  for (SuiteCase& test : *found)
    if (o.only.empty() || test.name.find(o.only) != std::string::npos) cases.push_back(std::move(test));
  std::vector<CaseResult> results(cases.size());
  const auto start = std::chrono::steady_clock::now();
  base::ParallelFor(
      static_cast<std::int64_t>(cases.size()), 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::size_t i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          if (o.verbose) std::cerr << cases[i].name << std::endl;
          results[i] = o.roundtrip > 0 ? RoundTripSuiteCase(cases[i], o.roundtrip) : RunSuiteCase(cases[i], o.backend);
        }
      },
      o.threads);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  Score total;
  std::map<std::string, Score> by_op;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    total.Add(results[i].status);
    by_op[results[i].op.empty() ? "(" + cases[i].category + ")" : results[i].op].Add(results[i].status);
    if (results[i].status != CaseStatus::kPass)
      std::cerr << CaseStatusName(results[i].status) << ' ' << cases[i].name << ": " << results[i].why << '\n';
  }
  std::cout << "operator                          pass  fail  unsupported\n";
  for (const auto& [op, score] : by_op)
    std::cout << op << std::string(op.size() < 32 ? 32 - op.size() : 1, ' ') << "  " << score.pass << "  " << score.fail
              << "  " << score.unsupported << '\n';
  std::cout << total.pass << " of " << total.all() << " cases "
            << (o.roundtrip > 0 ? "come back bit for bit" : "pass on " + o.backend) << " (" << total.fail << " fail, "
            << total.unsupported << " unsupported), " << seconds << " s\n";
  if (!o.json.empty()) {
    auto file = base::AtomicFile::Create(o.json);
    if (!file.ok()) return Fail("test-onnx", file.status());
    if (const Status s = (*file)->Append(Report(o, cases, results, total, seconds)); !s.ok())
      return Fail("test-onnx", s);
    if (const Status s = (*file)->Commit(); !s.ok()) return Fail("test-onnx", s);
  }
  return total.pass >= (o.at_least > 0 ? o.at_least : total.all()) ? kDone : kDiffers;
}

}  // namespace tenon::tools
