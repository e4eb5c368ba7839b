#include "verify/match.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "ir/numeric.h"
#include "ir/op_def.h"

namespace tenon::verify {
namespace {

using ValueSet = std::set<ir::Value>;

bool Comparable(DType a, DType b) { return a == b || (is_float(a) && is_float(b)); }

double Epsilon(DType t) {
  switch (t) {
    case DType::kF16:
      return 0x1p-10;
    case DType::kBF16:
      return 0x1p-7;
    case DType::kF64:
    case DType::kC128:
      return 0x1p-52;
    default:
      return 0x1p-23;
  }
}

// What must be equal for two values to have the same elements, cheap to compare.
std::string Signature(const Literal& l, DType declared) {
  std::string key = is_float(declared) ? "float" : std::string(dtype_name(declared));
  for (const std::int64_t d : l.dims()) key += "," + std::to_string(d);
  return key;
}

class Matcher {
 public:
  Matcher(const Known& expected, const Known& got)
      : a_(expected),
        b_(got),
        constant_a_(ConstantNodes(expected.function)),
        constant_b_(ConstantNodes(got.function)) {}

  void Border(const std::vector<std::size_t>& input_map, const std::vector<std::size_t>& output_map) {
    for (std::size_t i = 0; i < input_map.size(); ++i)
      Pair(a_.function.input(i), b_.function.input(input_map[i]), How::kBorder);
    for (std::size_t i = 0; i < a_.function.reads.size(); ++i)
      for (std::size_t k = 0; k < b_.function.reads.size(); ++k)
        if (a_.function.reads[i] == b_.function.reads[k])
          Pair(a_.function.read_input(i), b_.function.read_input(k), How::kBorder);
    for (std::size_t i = 0; i < output_map.size(); ++i)
      Pair(a_.function.output(i), b_.function.output(output_map[i]), How::kBorder);
  }

  template <class KeyFn>
  void Keys(How how, KeyFn key) {
    const auto index = [&](const Known& side, const auto& taken) {
      std::map<std::string, ir::Value> found;
      std::set<std::string> twice;
      for (const ir::Value v : side.wide.order) {
        if (taken(v)) continue;
        const std::string k = key(side.function.graph.output(v).record);
        if (!k.empty() && !found.emplace(k, v).second) twice.insert(k);
      }
      for (const std::string& k : twice) found.erase(k);
      return found;
    };
    const std::map<std::string, ir::Value> theirs = index(b_, [&](ir::Value v) { return used_.contains(v); });
    for (const auto& [k, v] : index(a_, [&](ir::Value v) { return matches_.contains(v); }))
      if (const auto it = theirs.find(k); it != theirs.end()) Pair(v, it->second, how);
  }

  void Elements() {
    std::map<std::string, std::vector<ir::Value>> theirs;
    for (const ir::Value v : b_.wide.order)
      if (!used_.contains(v)) theirs[Signature(*b_.wide.Find(v), b_.function.graph.type(v).dtype())].push_back(v);
    for (const ir::Value v : a_.wide.order) {
      if (matches_.contains(v)) continue;
      const DType t = a_.function.graph.type(v).dtype();
      const auto it = theirs.find(Signature(*a_.wide.Find(v), t));
      if (it == theirs.end()) continue;
      for (const ir::Value w : it->second) {
        if (used_.contains(w) || ConstantA(v) != ConstantB(w)) continue;
        if (!SameElements(*a_.wide.Find(v), *b_.wide.Find(w), t)) continue;
        Pair(v, w, How::kValue);
        break;
      }
    }
  }

  // Nodes whose operands are known, in order: the node of the other side that reads the same ones.
  void Structure() {
    std::map<ir::Value, std::vector<std::int32_t>> readers;
    const ir::Graph &ga = a_.function.graph, &gb = b_.function.graph;
    for (std::int32_t id = 0; id < gb.size(); ++id)
      for (const ir::Value v : gb.node(id).inputs)
        if (v.valid()) readers[v].push_back(id);
    for (std::int32_t id = 0; id < ga.size(); ++id) {
      const ir::Node& node = ga.node(id);
      if (node.outputs.empty() || matches_.contains({id, 0})) continue;
      ValueSet operands;
      bool known = true;
      for (const ir::Value v : node.inputs) {
        if (!v.valid() || ConstantA(v)) continue;
        const auto it = matches_.find(v);
        if (it == matches_.end()) {
          known = false;
          break;
        }
        operands.insert(it->second.value);
      }
      if (!known || operands.empty()) continue;
      std::int32_t best = -1;
      int best_score = -1;
      for (const std::int32_t other : readers[*operands.begin()]) {
        const ir::Node& candidate = gb.node(other);
        if (candidate.outputs.empty() || used_.contains({other, 0})) continue;
        ValueSet theirs;
        for (const ir::Value v : candidate.inputs)
          if (v.valid() && !ConstantB(v)) theirs.insert(v);
        if (theirs != operands) continue;
        const int score = 4 * (candidate.op == node.op) + 2 * (candidate.attrs == node.attrs) +
                          (candidate.outputs[0].type == node.outputs[0].type);
        if (score > best_score) {
          best = other;
          best_score = score;
        }
      }
      if (best < 0) continue;
      const ir::Node& other = gb.node(best);
      for (std::size_t k = 0; k < std::min(node.outputs.size(), other.outputs.size()); ++k)
        Pair({id, static_cast<std::int32_t>(k)}, {best, static_cast<std::int32_t>(k)}, How::kStructure);
    }
  }

  // The k-th unmatched value of an op and type, where both sides have equally many.
  void Position() {
    const auto group = [](const Known& side, const std::vector<bool>& constant, const auto& taken) {
      std::map<std::string, std::vector<ir::Value>> groups;
      for (const ir::Value v : side.wide.order)
        if (!taken(v) && !constant[static_cast<std::size_t>(v.node)])
          groups[std::string(side.function.graph.node(v).op->name) + " " +
                 Signature(*side.wide.Find(v), side.function.graph.type(v).dtype())]
              .push_back(v);
      return groups;
    };
    const auto theirs = group(b_, constant_b_, [&](ir::Value v) { return used_.contains(v); });
    for (const auto& [key, ours] : group(a_, constant_a_, [&](ir::Value v) { return matches_.contains(v); })) {
      const auto it = theirs.find(key);
      if (it == theirs.end() || it->second.size() != ours.size()) continue;
      for (std::size_t i = 0; i < ours.size(); ++i) Pair(ours[i], it->second[i], How::kPosition);
    }
  }

  Matches Take() { return std::move(matches_); }

 private:
  void Pair(ir::Value a, ir::Value b, How how) {
    // Two outputs may be one value on the other side.
    if (!a.valid() || !b.valid() || matches_.contains(a) || (how != How::kBorder && used_.contains(b))) return;
    if (a_.wide.Find(a) == nullptr || b_.wide.Find(b) == nullptr) return;
    if (!Comparable(a_.function.graph.type(a).dtype(), b_.function.graph.type(b).dtype())) return;
    matches_.emplace(a, Found{b, how});
    used_.insert(b);
  }

  bool ConstantA(ir::Value v) const { return constant_a_[static_cast<std::size_t>(v.node)]; }
  bool ConstantB(ir::Value v) const { return constant_b_[static_cast<std::size_t>(v.node)]; }

  const Known &a_, &b_;
  const std::vector<bool> constant_a_, constant_b_;
  Matches matches_;
  ValueSet used_;
};

}  // namespace

std::string_view HowName(How how) {
  switch (how) {
    case How::kBorder:
      return "border";
    case How::kName:
      return "name";
    case How::kProvenance:
      return "provenance";
    case How::kValue:
      return "value";
    case How::kStructure:
      return "structure";
    case How::kPosition:
      break;
  }
  return "position";
}

std::string NameOf(const ir::Record& r) {
  if (!r.name.empty()) return r.name;
  return r.provenance.empty() ? std::string() : r.provenance.front().name;
}

std::vector<bool> ConstantNodes(const ir::Function& f) {
  std::vector<bool> constant(static_cast<std::size_t>(f.graph.size()), true);
  for (std::size_t i = 0; i < f.num_inputs(); ++i) constant[static_cast<std::size_t>(f.input(i).node)] = false;
  for (std::int32_t id = 0; id < f.graph.size(); ++id)
    for (const ir::Value v : f.graph.node(id).inputs)
      if (v.valid() && !constant[static_cast<std::size_t>(v.node)]) constant[static_cast<std::size_t>(id)] = false;
  return constant;
}

bool SameElements(const Literal& a, const Literal& b, DType dtype) {
  if (a.dims() != b.dims()) return false;
  if (a.dtype() == DType::kString || b.dtype() == DType::kString)
    return a.dtype() == b.dtype() && a.strings() == b.strings();
  const std::vector<double> x = ir::ToDoubles(a), y = ir::ToDoubles(b);
  double largest = 0;
  for (const double v : x)
    if (std::isfinite(v)) largest = std::max(largest, std::fabs(v));
  const double bound = is_float(dtype) || is_complex(dtype) ? 64 * Epsilon(dtype) * largest : 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!(x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i])) || std::fabs(x[i] - y[i]) <= bound)) return false;
  return true;
}

Matches MatchValues(const Known& expected, const Known& got, const std::vector<std::size_t>& input_map,
                    const std::vector<std::size_t>& output_map) {
  Matcher m(expected, got);
  m.Border(input_map, output_map);
  m.Keys(How::kName, [](const ir::Record& r) { return r.name; });
  m.Keys(How::kProvenance, [](const ir::Record& r) {
    if (r.provenance.empty()) return std::string();
    const ir::Provenance& p = r.provenance.front();
    return p.node.empty() && p.name.empty() ? std::string() : p.node + "\n" + p.name;
  });
  m.Elements();
  m.Structure();
  m.Elements();
  m.Position();
  return m.Take();
}

}  // namespace tenon::verify
