#include "verify/layers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/status_macros.h"
#include "ir/numeric.h"
#include "ir/op_def.h"
#include "verify/difference.h"
#include "verify/explain.h"
#include "verify/ties.h"

namespace tenon::verify {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Any two tensors. Floats of two widths are compared in the narrower one; other dims differ infinitely.
Result<OutputDifference> CompareAny(const std::string& name, const Measured& e, const Measured& g) {
  if (e.value->dims() != g.value->dims()) {
    OutputDifference d;
    d.name = name;
    d.max_abs = d.max_rel = d.max_ulp = d.oracle_abs = kInf;
    d.cosine = 0;
    d.verdict = Verdict::kBug;
    return d;
  }
  const DType a = e.value->dtype(), b = g.value->dtype();
  if (a == b || !is_float(a) || !is_float(b)) return Compare(name, e, g);
  const DType narrow = dtype_bits(a) <= dtype_bits(b) ? a : b;
  TENON_ASSIGN_OR_RETURN(const Literal x, ir::Convert(*e.value, narrow));
  TENON_ASSIGN_OR_RETURN(const Literal y, ir::Convert(*g.value, narrow));
  return Compare(name, {&x, e.oracle}, {&y, g.oracle});
}

double WorstElement(const Literal& got, const Literal& expected, double* expected_value) {
  *expected_value = 0;
  if (got.dims() != expected.dims() || got.dtype() == DType::kString || expected.dtype() == DType::kString) return 0;
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
  if (g.empty()) return 0;
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

struct Compared {
  ir::Value value;
  OutputDifference difference;
  bool same;  // also in float64: what stands behind it starts from the same numbers
};

// The values from which an output can be reached without passing one in which both agree. What a discrete op decides
// may agree although what it decides on does not.
std::set<ir::Value> ReachOutputs(const ir::Function& f, const std::vector<Compared>& compared) {
  std::set<ir::Value> agree, live;
  for (const Compared& c : compared)
    if (c.same && c.difference.verdict != Verdict::kBug && !f.graph.node(c.value).op->Is(ir::kDiscrete))
      agree.insert(c.value);
  for (std::size_t i = 0; i < f.num_outputs(); ++i)
    if (f.output(i).valid()) live.insert(f.output(i));
  for (std::int32_t id = f.graph.size(); id-- > 0;) {
    const ir::Node& node = f.graph.node(id);
    bool passes = false;
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      const ir::Value v{id, static_cast<std::int32_t>(k)};
      passes = passes || (live.contains(v) && !agree.contains(v));
    }
    if (!passes) continue;
    for (const ir::Value v : node.inputs)
      if (v.valid()) live.insert(v);
  }
  return live;
}

void FillIn(Divergence& first, const ir::Function& f, const Layers& layers, const Compared& c) {
  first.node = c.difference.name;
  first.layer = layers(c.value).node;
  first.op = std::string(f.graph.node(c.value).op->name);
  first.budget = c.difference.budget;
  first.bug = true;
  first.difference = c.difference;
}

// The first that is a bug and reaches an output; null when there is none.
const Compared* First(const ir::Function& f, const std::vector<Compared>& compared) {
  const std::set<ir::Value> live = ReachOutputs(f, compared);
  for (const Compared& c : compared)
    if (c.difference.verdict == Verdict::kBug && live.contains(c.value)) return &c;
  return nullptr;
}

}  // namespace

Status CompareLayers(Report& report, const Observed& e, const Observed& g, const std::vector<std::size_t>& input_map,
                     const std::vector<std::size_t>& output_map, bool list) {
  const Matches matches = MatchValues({e.function, e.wide}, {g.function, g.wide}, input_map, output_map);
  const Layers names(e.function), other_names(g.function);
  const std::vector<bool> constant = ConstantNodes(e.function);
  std::vector<Compared> compared;
  int values = 0;
  for (const ir::Value v : e.narrow.order) {
    if (constant[static_cast<std::size_t>(v.node)] || e.function.graph.node(v).op->name == "input") continue;
    ++values;
    const auto it = matches.find(v);
    if (it == matches.end() || e.wide.Find(v) == nullptr) continue;
    const Literal *gn = g.narrow.Find(it->second.value), *gw = g.wide.Find(it->second.value);
    if (gn == nullptr || gw == nullptr) continue;
    Result<OutputDifference> d = CompareAny(names(v).value, {e.narrow.Find(v), e.wide.Find(v)}, {gn, gw});
    if (!d.ok()) continue;  // a number here, a string there
    JudgeDecisions(*d, e, v, *e.narrow.Find(v), g, it->second.value, *gn);
    d->op = std::string(e.function.graph.node(v).op->name);
    d->matched = std::string(HowName(it->second.how));
    compared.push_back({v, *std::move(d), SameElements(*e.wide.Find(v), *gw, e.function.graph.type(v).dtype())});
  }
  if (list) {
    report.values = values;
    for (const Compared& c : compared) Add(report.nodes, c.difference);
  }
  const Compared* first = First(e.function, compared);
  if (first == nullptr) return {};
  const ir::Value other = matches.at(first->value).value;
  Divergence found;
  FillIn(found, e.function, names, *first);
  found.got_node = other_names(other).value;
  found.got = WorstElement(*g.narrow.Find(other), *e.narrow.Find(first->value), &found.expected);
  found.reasons = Explain({e.function, names}, first->value, {g.function, other_names}, other, matches);
  report.first = std::move(found);
  return {};
}

Status CompareRecorded(Report& report, const Observed& g, const Recorded& shaken,
                       const std::map<std::string, Literal>& recorded) {
  const ir::Function& f = g.function;
  const auto plain = [](const std::string& key) { return key.starts_with("out.") ? key.substr(4) : key; };
  std::map<std::string, std::pair<const Literal*, bool>> wanted;  // the bool: taken
  for (const auto& [key, value] : recorded)
    if (!key.starts_with("in.")) wanted[plain(key)] = {&value, false};
  std::unordered_map<ir::Value, std::pair<const Literal*, std::string>, ir::ValueHash> matches;
  const auto pair = [&](ir::Value v, const std::string& name, const char* how) {
    const auto it = wanted.find(name);
    if (name.empty() || it == wanted.end() || it->second.second || matches.contains(v)) return;
    const bool floats = is_float(it->second.first->dtype()) && is_float(f.graph.type(v).dtype());
    if (!floats && it->second.first->dtype() != f.graph.type(v).dtype()) return;
    it->second.second = true;
    matches[v] = {it->second.first, how};
  };
  for (std::size_t i = 0; i < f.num_outputs(); ++i) pair(f.output(i), f.output_names[i], "name");
  for (const ir::Value v : g.narrow.order) pair(v, NameOf(f.graph.output(v).record), "name");
  for (const ir::Value v : g.narrow.order)
    if (const ir::Record& r = f.graph.output(v).record; !r.provenance.empty())
      pair(v, r.provenance.front().node, "provenance");
  for (auto& [name, value] : wanted) {
    if (value.second) continue;
    for (const ir::Value v : g.narrow.order)
      if (!matches.contains(v) && value.first->dtype() == f.graph.type(v).dtype() &&
          SameElements(*value.first, *g.narrow.Find(v), value.first->dtype())) {
        pair(v, name, "value");
        break;
      }
  }
  const Layers names(f);
  const std::vector<bool> constant = ConstantNodes(f);
  std::vector<Compared> compared;
  for (const ir::Value v : g.narrow.order) {
    if (constant[static_cast<std::size_t>(v.node)] || f.graph.node(v).op->name == "input") continue;
    ++report.values;
    const auto it = matches.find(v);
    if (it == matches.end() || g.wide.Find(v) == nullptr) continue;
    Result<OutputDifference> d =
        CompareAny(names(v).value, {it->second.first, nullptr}, {g.narrow.Find(v), g.wide.Find(v), shaken.Find(v)});
    if (!d.ok()) continue;
    d->op = std::string(f.graph.node(v).op->name);
    d->matched = it->second.second;
    Add(report.nodes, *d);
    const bool same = d->verdict != Verdict::kBug;
    compared.push_back({v, *std::move(d), same});
  }
  const Compared* first = First(f, compared);
  if (first == nullptr) return {};
  Divergence found;
  FillIn(found, f, names, *first);
  found.got_node = found.node;
  found.got = WorstElement(*g.narrow.Find(first->value), *matches.at(first->value).first, &found.expected);
  report.first = std::move(found);
  return {};
}

}  // namespace tenon::verify
