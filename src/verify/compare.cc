#include "verify/compare.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/status_macros.h"
#include "ir/numeric.h"
#include "ir/op_def.h"
#include "verify/layers.h"
#include "verify/ties.h"

namespace tenon::verify {
namespace {

void Add(std::vector<OutputDifference>& list, const OutputDifference& d) {
  const auto it = std::find_if(list.begin(), list.end(), [&](const OutputDifference& x) { return x.name == d.name; });
  if (it == list.end())
    list.push_back(d);
  else
    Merge(*it, d);
}

}  // namespace

Result<std::vector<Literal>> RandomInputs(const ir::Function& function, std::uint64_t seed, std::int64_t free_dim,
                                          double scale) {
  std::vector<Literal> out;
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
  const auto next = [&] {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  };
  for (std::size_t i = 0; i < function.num_inputs(); ++i) {
    const ir::Type& type = function.input_type(i);
    const std::string what = "input \"" + function.input_names[i] + "\"";
    if (!type.is_tensor() || !type.has_rank() || type.dtype() == DType::kString)
      return Status(Code::kInvalidArgument, what + ": cannot draw a " + type.to_string() + ", give it a value");
    std::vector<std::int64_t> dims;
    for (const Dim& d : type.shape().dims()) {
      TENON_ASSIGN_OR_RETURN(const std::int64_t n,
                             d.evaluate([&](std::string_view) { return std::optional(free_dim); }));
      dims.push_back(n);
    }
    TENON_ASSIGN_OR_RETURN(const std::int64_t size, checked_size(dims));
    std::vector<double> values(static_cast<std::size_t>(size));
    const bool real = is_float(type.dtype()) || is_complex(type.dtype());
    for (double& v : values) {
      if (!real) {
        v = static_cast<double>(next() % (type.dtype() == DType::kBool ? 2 : 4));
        continue;
      }
      const double u = (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53,
                   w = static_cast<double>(next() >> 11) * 0x1p-53;
      v = scale * std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * w);
    }
    out.push_back(ir::FromDoubles(type.dtype(), std::move(dims), values));
  }
  return out;
}

Result<std::vector<std::size_t>> Match(const std::vector<std::string>& names, const std::vector<std::string>& others,
                                       const char* what) {
  if (names.size() != others.size())
    return Status(Code::kInvalidArgument, std::string("verify: got ") + std::to_string(others.size()) + " " + what +
                                              ", expected " + std::to_string(names.size()));
  std::vector<std::size_t> map;
  for (const std::string& n : names) {
    const auto it = std::find(others.begin(), others.end(), n);
    if (it == others.end()) break;
    map.push_back(static_cast<std::size_t>(it - others.begin()));
  }
  if (map.size() == names.size()) return map;
  map.clear();
  for (std::size_t i = 0; i < names.size(); ++i) map.push_back(i);
  return map;
}

Status AddSample(Report& report, const Side& expected, const Side& got, const std::vector<Literal>& inputs,
                 const std::vector<std::size_t>& input_map, const std::vector<std::size_t>& output_map, bool layers) {
  std::vector<Literal> got_inputs(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) got_inputs[input_map[i]] = inputs[i];
  TENON_ASSIGN_OR_RETURN(const std::vector<Literal> e, expected.run(inputs));
  TENON_ASSIGN_OR_RETURN(const std::vector<Literal> g, got.run(got_inputs));
  // What a discrete op decided otherwise is judged by what it decided on.
  const auto decided = [](const ir::Function& f, std::size_t i) {
    return f.output(i).valid() && f.graph.node(f.output(i)).op->Is(ir::kDiscrete);
  };
  bool keep = layers;
  for (std::size_t i = 0; i < e.size(); ++i)
    keep = keep || (decided(*expected.function, i) && !identical(e[i], g[output_map[i]]));
  const auto run = [](const Side& side, const std::vector<Literal>& values, bool all) -> Result<Observed> {
    Observed out{*side.function, {}, {}};
    if (all) {
      TENON_ASSIGN_OR_RETURN(out.narrow, RunReference(*side.module, *side.function, values, false, true));
    }
    TENON_ASSIGN_OR_RETURN(out.wide, RunReference(*side.module, *side.function, values, true, all));
    return out;
  };
  TENON_ASSIGN_OR_RETURN(Observed eo, run(expected, inputs, keep));
  TENON_ASSIGN_OR_RETURN(Observed go, run(got, got_inputs, keep));
  ++report.samples;
  bool bug = false;
  for (std::size_t i = 0; i < e.size(); ++i) {
    const std::size_t k = output_map[i];
    TENON_ASSIGN_OR_RETURN(OutputDifference d, Compare(expected.function->output_names[i], {&e[i], &eo.wide.outputs[i]},
                                                       {&g[k], &go.wide.outputs[k]}));
    if (keep && decided(*expected.function, i))
      JudgeDecisions(d, eo, expected.function->output(i), e[i], go, got.function->output(k), g[k]);
    bug = bug || d.verdict == Verdict::kBug;
    Add(report.outputs, d);
    if (d.verdict != Verdict::kBug || report.first.bug) continue;
    report.first = {.node = d.name, .budget = d.budget, .bug = true, .got_node = got.function->output_names[k]};
    report.first.difference = d;
  }
  if (!layers && !bug) return {};
  // Where do they part? A second sample does not move what the first one found.
  const bool known = report.samples > 1 && report.first.bug && !report.first.difference.op.empty();
  if (known && !layers) return {};
  Observed *full_e = &eo, *full_g = &go;
  std::optional<Observed> late_e, late_g;
  if (!keep) {
    TENON_ASSIGN_OR_RETURN(Observed x, run(expected, inputs, true));
    TENON_ASSIGN_OR_RETURN(Observed y, run(got, got_inputs, true));
    full_e = &late_e.emplace(std::move(x));
    full_g = &late_g.emplace(std::move(y));
  }
  const Divergence before = report.first;
  TENON_RETURN_IF_ERROR(CompareLayers(report, *full_e, *full_g, input_map, output_map, layers));
  if (known) report.first = before;
  return {};
}

}  // namespace tenon::verify
