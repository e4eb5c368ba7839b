#include "verify/compare.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/status_macros.h"
#include "ir/eval.h"
#include "ir/numeric.h"

namespace tenon::verify {
namespace {

// A run of the reference that keeps every named value.
struct Recorded {
  std::vector<Literal> outputs;
  std::map<std::string, Literal> named;
  std::vector<std::string> order;
};

std::string NameOf(const ir::Record& r) {
  if (!r.name.empty()) return r.name;
  return r.provenance.empty() ? std::string() : r.provenance.front().name;
}

Result<Recorded> RunReference(const ir::Module& module, const ir::Function& f, const std::vector<Literal>& inputs,
                              bool float64, bool keep) {
  std::vector<ir::Datum> args(inputs.begin(), inputs.end());
  for (const std::string& path : f.reads) {
    const ir::VariablePtr cell = module.FindVariable(path);
    if (cell == nullptr)
      return Status(Code::kInternal, f.name + ": reads variable \"" + path + "\", which the module lacks");
    args.emplace_back(cell->Read());
  }
  Recorded r;
  ir::EvalOptions options;
  options.float64 = float64;
  if (keep)
    options.observer = [&](ir::Value v, const ir::Datum& d) {
      if (d.kind != ir::Type::Kind::kTensor) return;
      const std::string name = NameOf(f.graph.output(v).record);
      if (name.empty() || !r.named.emplace(name, d.literal()).second) return;
      r.order.push_back(name);
    };
  TENON_ASSIGN_OR_RETURN(const std::vector<ir::Datum> out, ir::EvalGraph(f.graph, std::move(args), options));
  for (std::size_t i = 0; i < f.num_outputs(); ++i) {
    if (out[i].kind != ir::Type::Kind::kTensor)
      return Status(Code::kUnimplemented, f.name + ": output \"" + f.output_names[i] + "\" is no tensor");
    r.outputs.push_back(out[i].literal());
  }
  return r;
}

double WorstElement(const Literal& got, const Literal& expected, double* expected_value) {
  const std::vector<double> g = ir::ToDoubles(got), e = ir::ToDoubles(expected);
  std::size_t worst = 0;
  double distance = -1;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const double d = std::fabs(g[i] - e[i]);
    if (d > distance || std::isnan(d)) {
      distance = d;
      worst = i;
    }
  }
  if (g.empty()) return *expected_value = 0;
  *expected_value = e[worst];
  return g[worst];
}

void Add(std::vector<OutputDifference>& list, const OutputDifference& d) {
  const auto it = std::find_if(list.begin(), list.end(), [&](const OutputDifference& x) { return x.name == d.name; });
  if (it == list.end())
    list.push_back(d);
  else
    Merge(*it, d);
}

}  // namespace

Result<std::vector<Literal>> RandomInputs(const ir::Function& function, std::uint64_t seed, std::int64_t free_dim) {
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
      v = std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * w);
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
  TENON_ASSIGN_OR_RETURN(const Recorded e64, RunReference(*expected.module, *expected.function, inputs, true, layers));
  TENON_ASSIGN_OR_RETURN(const Recorded g64, RunReference(*got.module, *got.function, got_inputs, true, layers));
  ++report.samples;
  bool bug = false;
  for (std::size_t i = 0; i < e.size(); ++i) {
    const std::size_t k = output_map[i];
    TENON_ASSIGN_OR_RETURN(const OutputDifference d, Compare(expected.function->output_names[i],
                                                             {&e[i], &e64.outputs[i]}, {&g[k], &g64.outputs[k]}));
    bug = bug || d.verdict == Verdict::kBug;
    Add(report.outputs, d);
    if (d.verdict == Verdict::kBug && report.first.node.empty()) {
      report.first.node = d.name;
      report.first.got = WorstElement(g[k], e[i], &report.first.expected);
      report.first.budget = d.budget;
      report.first.bug = true;
    }
  }
  if (!layers && !bug) return {};
  // The values that both name, in the order of the first: where do they part?
  Recorded en = e64, gn = g64;
  if (!layers) {
    TENON_ASSIGN_OR_RETURN(en, RunReference(*expected.module, *expected.function, inputs, true, true));
    TENON_ASSIGN_OR_RETURN(gn, RunReference(*got.module, *got.function, got_inputs, true, true));
  }
  TENON_ASSIGN_OR_RETURN(const Recorded e32, RunReference(*expected.module, *expected.function, inputs, false, true));
  TENON_ASSIGN_OR_RETURN(const Recorded g32, RunReference(*got.module, *got.function, got_inputs, false, true));
  bool placed = false;
  for (const std::string& name : e32.order) {
    const auto it = g32.named.find(name);
    if (it == g32.named.end()) continue;
    const auto e_oracle = en.named.find(name), g_oracle = gn.named.find(name);
    if (e_oracle == en.named.end() || g_oracle == gn.named.end()) continue;
    const Result<OutputDifference> d =
        Compare(name, {&e32.named.at(name), &e_oracle->second}, {&it->second, &g_oracle->second});
    if (!d.ok()) continue;  // the same name for another thing
    if (layers) Add(report.nodes, *d);
    if (d->verdict == Verdict::kBug && !placed) {
      placed = true;
      report.first.node = name;
      report.first.got = WorstElement(it->second, e32.named.at(name), &report.first.expected);
      report.first.budget = d->budget;
      report.first.bug = true;
    }
  }
  return {};
}

}  // namespace tenon::verify
