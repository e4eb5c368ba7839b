#include "verify/explain.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "ir/numeric.h"
#include "ir/op_def.h"

namespace tenon::verify {
namespace {

std::string Number(double v) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", v);
  return text;
}

template <class T, class TextFn>
std::string List(const std::vector<T>& items, TextFn text) {
  std::string out = "[";
  for (std::size_t i = 0; i < items.size() && i < 16; ++i) out += (i == 0 ? "" : ", ") + text(items[i]);
  return out + (items.size() > 16 ? ", …]" : "]");
}

std::string AttrText(const ir::Attr& a) {
  switch (ir::KindOf(a)) {
    case ir::AttrKind::kBool:
      return std::get<bool>(a) ? "true" : "false";
    case ir::AttrKind::kInt:
      return std::to_string(std::get<std::int64_t>(a));
    case ir::AttrKind::kFloat:
      return Number(std::get<double>(a));
    case ir::AttrKind::kString:
      return "\"" + std::get<std::string>(a) + "\"";
    case ir::AttrKind::kDType:
      return std::string(dtype_name(std::get<DType>(a)));
    case ir::AttrKind::kDims:
      return std::get<Shape>(a).to_string();
    case ir::AttrKind::kInts:
      return List(std::get<std::vector<std::int64_t>>(a), [](std::int64_t v) { return std::to_string(v); });
    case ir::AttrKind::kFloats:
      return List(std::get<std::vector<double>>(a), Number);
    case ir::AttrKind::kStrings:
      return List(std::get<std::vector<std::string>>(a), [](const std::string& v) { return "\"" + v + "\""; });
    case ir::AttrKind::kDTypes:
      return List(std::get<std::vector<DType>>(a), [](DType v) { return std::string(dtype_name(v)); });
    case ir::AttrKind::kLiteral:
      return "a " + std::string(dtype_name(std::get<Literal>(a).dtype())) + std::get<Literal>(a).shape().to_string();
    case ir::AttrKind::kGraph:
    case ir::AttrKind::kGraphs:
      break;
  }
  return "a graph";
}

std::string Described(const Named& side, ir::Value v) {
  const ir::Node& node = side.function.graph.node(v);
  const std::string& name = side.layers(v).value;
  return (node.op->name == "constant" || node.op->name == "input" ? std::string() : std::string(node.op->name) + " ") +
         "\"" + name + "\" " + side.function.graph.type(v).to_string();
}

const Literal* Constant(const ir::Function& f, ir::Value v) {
  const ir::Node& node = f.graph.node(v);
  return node.op->name == "constant" ? &node.attrs.Lit("value") : nullptr;
}

// How two constants differ; empty when they do not.
std::string WeightDifference(const Literal& a, const Literal& b) {
  if (a.dims() != b.dims()) return "got " + b.shape().to_string() + ", expected " + a.shape().to_string();
  if (a.dtype() == DType::kString || b.dtype() == DType::kString)
    return a.dtype() == b.dtype() && a.strings() == b.strings() ? "" : "other strings";
  const std::vector<double> x = ir::ToDoubles(a), y = ir::ToDoubles(b);
  std::size_t count = 0, worst = 0;
  double distance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = std::fabs(x[i] - y[i]);
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) continue;
    ++count;
    if (d > distance || std::isnan(d)) {
      distance = d;
      worst = i;
    }
  }
  if (count == 0) return a.dtype() == b.dtype() ? "" : "other dtype";
  return std::to_string(count) + " of " + std::to_string(x.size()) + " elements differ, most at " +
         std::to_string(worst) + ": got " + Number(y[worst]) + ", expected " + Number(x[worst]);
}

}  // namespace

Layers::Layers(const ir::Function& f) {
  std::vector<std::int32_t> reader(static_cast<std::size_t>(f.graph.size()), -1);  // the first one
  for (std::int32_t id = f.graph.size(); id-- > 0;) {
    const ir::Node& node = f.graph.node(id);
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      const ir::Record& r = node.outputs[k].record;
      Layer layer{NameOf(r), r.provenance.empty() ? std::string() : r.provenance.front().node};
      const std::int32_t next = reader[static_cast<std::size_t>(id)];
      if (layer.value.empty() && next >= 0 && !f.graph.node(next).outputs.empty()) layer = layers_.at({next, 0});
      if (layer.value.empty()) layer.value = "#" + std::to_string(id) + " " + std::string(node.op->name);
      layers_.emplace(ir::Value{id, static_cast<std::int32_t>(k)}, std::move(layer));
    }
    for (const ir::Value v : node.inputs)
      if (v.valid()) reader[static_cast<std::size_t>(v.node)] = id;
  }
}

std::vector<std::string> Explain(const Named& en, ir::Value a, const Named& gn, ir::Value b, const Matches& matches) {
  const ir::Function &e = en.function, &g = gn.function;
  std::vector<std::string> reasons;
  const ir::Node &x = e.graph.node(a), &y = g.graph.node(b);
  if (x.op != y.op) reasons.push_back("op: got " + std::string(y.op->name) + ", expected " + std::string(x.op->name));
  if (!(e.graph.type(a) == g.graph.type(b)))
    reasons.push_back("type: got " + g.graph.type(b).to_string() + ", expected " + e.graph.type(a).to_string());
  if (x.op == y.op) {
    for (const auto& [name, value] : x.attrs) {
      const ir::Attr* other = y.attrs.Find(name);
      if (other == nullptr)
        reasons.push_back("attribute " + std::string(name) + ": got none, expected " + AttrText(value));
      else if (!ir::SameAttr(value, *other))
        reasons.push_back("attribute " + std::string(name) + ": got " + AttrText(*other) + ", expected " +
                          AttrText(value));
    }
    for (const auto& [name, value] : y.attrs)
      if (!x.attrs.Has(name))
        reasons.push_back("attribute " + std::string(name) + ": got " + AttrText(value) + ", expected none");
  }
  for (std::size_t i = 0; i < std::max(x.inputs.size(), y.inputs.size()); ++i) {
    const std::string what = "operand " + std::to_string(i) + ": ";
    const ir::Value p = i < x.inputs.size() ? x.inputs[i] : ir::Value(),
                    q = i < y.inputs.size() ? y.inputs[i] : ir::Value();
    if (!p.valid() && !q.valid()) continue;
    if (!p.valid()) {
      reasons.push_back(what + "got " + Described(gn, q) + ", expected none");
      continue;
    }
    if (!q.valid()) {
      reasons.push_back(what + "got none, expected " + Described(en, p));
      continue;
    }
    const Literal *s = Constant(e, p), *t = Constant(g, q);
    if (s != nullptr && t != nullptr) {
      const std::string difference = WeightDifference(*s, *t);
      if (!difference.empty()) reasons.push_back(what + "constant \"" + en.layers(p).value + "\": " + difference);
      continue;
    }
    const auto it = matches.find(p);
    if (it != matches.end() && it->second.value == q) continue;
    reasons.push_back(what + "got " + Described(gn, q) + ", expected " + Described(en, p) +
                      (it == matches.end() ? ", which has no counterpart" : ""));
  }
  return reasons;
}

}  // namespace tenon::verify
