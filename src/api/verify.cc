#include "tenon/verify.h"

#include <algorithm>

#include "base/status_macros.h"
#include "tenon/compile.h"
#include "verify/compare.h"
#include "verify/layers.h"

namespace tenon::verify {
namespace {

Result<Side> MakeSide(const Module& module, const CompareOptions& options) {
  Side side;
  side.module = module.impl().get();
  TENON_ASSIGN_OR_RETURN(side.function, side.module->Signature(options.signature));
  if (options.backend == "ref") {
    side.run = [m = side.module, f = side.function](std::vector<Literal> inputs) {
      return ir::RunFunction(*m, *f, std::move(inputs), {.update = false});
    };
    return side;
  }
  CompileOptions compile_options;
  compile_options.backend = options.backend;
  TENON_ASSIGN_OR_RETURN(const Executable exe, compile(module, compile_options));
  side.run = [exe, name = side.function->name](std::vector<Literal> inputs) {
    return exe.run_ordered(std::move(inputs), name);
  };
  return side;
}

Result<std::vector<Literal>> Ordered(const ir::Function& f, const std::map<std::string, Literal>& values) {
  std::vector<Literal> out;
  for (const std::string& name : f.input_names) {
    auto it = values.find(name);
    if (it == values.end()) it = values.find("in." + name);
    if (it == values.end()) return Status(Code::kInvalidArgument, f.name + ": input \"" + name + "\" is missing");
    out.push_back(it->second);
  }
  return out;
}

}  // namespace

Result<Report> compare(const Module& expected, const Module& got, CompareOptions options) {
  TENON_ASSIGN_OR_RETURN(const Side e, MakeSide(expected, options));
  TENON_ASSIGN_OR_RETURN(const Side g, MakeSide(got, options));
  TENON_ASSIGN_OR_RETURN(const std::vector<std::size_t> inputs,
                         Match(e.function->input_names, g.function->input_names, "inputs"));
  TENON_ASSIGN_OR_RETURN(const std::vector<std::size_t> outputs,
                         Match(e.function->output_names, g.function->output_names, "outputs"));
  Report report;
  if (!options.inputs.values.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::vector<Literal> values, Ordered(*e.function, options.inputs.values));
    TENON_RETURN_IF_ERROR(AddSample(report, e, g, values, inputs, outputs, options.layers));
    return report;
  }
  for (int i = 0; i < std::max(1, options.inputs.samples); ++i) {
    constexpr double kScales[] = {1, 4, 0.25};
    TENON_ASSIGN_OR_RETURN(const std::vector<Literal> values,
                           RandomInputs(*e.function, options.inputs.seed + static_cast<std::uint64_t>(i), 2,
                                        kScales[static_cast<std::size_t>(i) % std::size(kScales)]));
    TENON_RETURN_IF_ERROR(AddSample(report, e, g, values, inputs, outputs, options.layers));
  }
  return report;
}

Result<Report> compare(const Module& got, const std::map<std::string, Literal>& inputs,
                       const std::map<std::string, Literal>& outputs, CompareOptions options) {
  TENON_ASSIGN_OR_RETURN(const Side g, MakeSide(got, options));
  TENON_ASSIGN_OR_RETURN(const std::vector<Literal> values, Ordered(*g.function, inputs));
  TENON_ASSIGN_OR_RETURN(const std::vector<Literal> results, g.run(values));
  TENON_ASSIGN_OR_RETURN(Recorded oracle, RunReference(*g.module, *g.function, values, true, options.layers));
  // Another implementation rounds in other places: what roundings of inputs and weights do bounds those.
  // (Where they decide a size, there may be no such run.)
  const Result<Recorded> shaken_run = RunShaken(*g.module, *g.function, values, options.layers);
  const Recorded shaken = shaken_run.ok() ? *shaken_run : Recorded{oracle.outputs};
  Report report;
  report.samples = 1;
  for (const auto& [key, value] : outputs) {
    const std::string name = key.starts_with("out.") ? key.substr(4) : key;
    const auto it = std::find(g.function->output_names.begin(), g.function->output_names.end(), name);
    if (it == g.function->output_names.end()) {
      if (options.layers || key.starts_with("in.")) continue;
      return Status(Code::kInvalidArgument, g.function->name + ": has no output \"" + name + "\" of the recorded ones");
    }
    const auto k = static_cast<std::size_t>(it - g.function->output_names.begin());
    // The recorded value was rounded elsewhere: the oracle of our own run bounds what rounding explains.
    TENON_ASSIGN_OR_RETURN(const OutputDifference d,
                           Compare(name, {&value, nullptr}, {&results[k], &oracle.outputs[k], &shaken.outputs[k]}));
    report.outputs.push_back(d);
    if (d.verdict != Verdict::kBug || report.first.bug) continue;
    report.first = {.node = name, .budget = d.budget, .bug = true};
    report.first.difference = d;
  }
  if (!options.layers) return report;
  TENON_ASSIGN_OR_RETURN(Recorded narrow, RunReference(*g.module, *g.function, values, false, true));
  TENON_RETURN_IF_ERROR(CompareRecorded(report, {*g.function, std::move(narrow), std::move(oracle)}, shaken, outputs));
  return report;
}

}  // namespace tenon::verify
