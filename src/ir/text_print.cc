#include <charconv>
#include <cmath>

#include "base/crc32c.h"
#include "ir/numeric.h"
#include "ir/op_def.h"
#include "ir/text.h"

namespace tenon::ir {
namespace {

std::string Quote(std::string_view s) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : s) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (c == '\n')
      out += "\\n";
    else if (u < 0x20)
      out += {'\\', 'x', kHex[u >> 4], kHex[u & 15]};
    else
      out += c;
  }
  return out + "\"";
}

// Shortest decimal that reads back to the same double; always has '.', 'e' or a word, so that it is no integer.
std::string NumberText(double v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
  char text[40];
  const auto [end, ec] = std::to_chars(text, text + sizeof text, v);
  std::string out(text, end);
  if (out.find_first_of(".en") == std::string::npos) out += ".0";
  return out;
}

class Printer {
 public:
  explicit Printer(Blobs* blobs) : blobs_(blobs) {}

  std::string GraphBody(const Graph& g, int indent) {
    const std::string pad(static_cast<std::size_t>(indent), ' ');
    std::string out = "(";
    for (std::size_t i = 0; i < g.inputs().size(); ++i) {
      const Value v = g.inputs()[i];
      out += (i ? ", " : "") + Name(v) + ": " + g.type(v).to_string() + RecordText(g.output(v).record);
    }
    out += ") {\n";
    for (std::int32_t id = 0; id < g.size(); ++id) {
      const Node& n = g.node(id);
      if (n.op->name == "input") continue;
      out += pad + "  ";
      for (std::size_t k = 0; k < n.outputs.size(); ++k)
        out += (k ? ", " : "") + Name({id, static_cast<std::int32_t>(k)});
      out += (n.outputs.empty() ? "" : " = ") + std::string(n.op->name) + "(";
      for (std::size_t k = 0; k < n.inputs.size(); ++k) out += (k ? ", " : "") + Name(n.inputs[k]);
      out += ")";
      if (!n.attrs.empty()) {
        out += " {";
        bool first = true;
        for (const auto& [name, value] : n.attrs) {
          out += (first ? "" : ", ") + name + " = " + AttrText(value, indent + 2);
          first = false;
        }
        out += "}";
      }
      out += " : ";
      for (std::size_t k = 0; k < n.outputs.size(); ++k)
        out += (k ? ", " : "") + n.outputs[k].type.to_string() + RecordText(n.outputs[k].record);
      out += "\n";
    }
    out += pad + "  return ";
    for (std::size_t i = 0; i < g.outputs().size(); ++i) out += (i ? ", " : "") + Name(g.outputs()[i]);
    return out + "\n" + pad + "}";
  }

  std::string LiteralText(const Literal& l) {
    std::string out = std::string(dtype_name(l.dtype())) + l.shape().to_string();
    if (l.size() > 64) return Blob(l);
    out += "{";
    if (l.dtype() == DType::kString) {
      for (std::size_t i = 0; i < l.strings().size(); ++i) out += (i ? ", " : "") + Quote(l.strings()[i]);
    } else if (is_integer(l.dtype()) || l.dtype() == DType::kBool) {
      const std::vector<std::int64_t> v = ToInts(l);
      for (std::size_t i = 0; i < v.size(); ++i)
        out += (i ? ", " : "") +
               (l.dtype() == DType::kU64 ? std::to_string(static_cast<std::uint64_t>(v[i])) : std::to_string(v[i]));
    } else if (is_complex(l.dtype())) {
      const std::vector<std::complex<double>> v = ToComplex(l);
      for (std::size_t i = 0; i < v.size(); ++i)
        out += (i ? ", (" : "(") + NumberText(v[i].real()) + ", " + NumberText(v[i].imag()) + ")";
    } else {
      const std::vector<double> v = ToDoubles(l);
      for (std::size_t i = 0; i < v.size(); ++i) {
        if (std::isnan(v[i])) return Blob(l);  // keeps the bits of a NaN
        out += (i ? ", " : "") + NumberText(v[i]);
      }
    }
    return out + "}";
  }

 private:
  static std::string Name(Value v) {
    if (!v.valid()) return "_";
    return "%" + std::to_string(v.node) + (v.index == 0 ? "" : ":" + std::to_string(v.index));
  }

  std::string Blob(const Literal& l) {
    std::string bytes;
    if (l.dtype() == DType::kString) {
      for (const std::string& s : l.strings()) bytes += std::to_string(s.size()) + ":" + s;
    } else {
      bytes.assign(reinterpret_cast<const char*>(l.raw().data()), l.nbytes());
    }
    char crc[16];
    std::snprintf(crc, sizeof crc, "0x%08x", base::Crc32c(bytes));
    const std::string name = "b" + std::to_string(count_++);
    if (blobs_ != nullptr) blobs_->insert_or_assign(name, l);
    return "@" + name + " : " + std::string(dtype_name(l.dtype())) + l.shape().to_string() + " crc32c=" + crc;
  }

  static std::string RecordText(const Record& r) {
    if (r.empty()) return "";
    std::string out;
    if (!r.name.empty()) out += " " + Quote(r.name);
    if (!r.axis_roles.empty()) out += " axes=" + Quote(r.axis_roles);
    for (const Provenance& p : r.provenance)
      out += " from=(" + Quote(p.format) + ", " + Quote(p.node) + ", " + Quote(p.name) + ")";
    if (r.quantization) {
      out += " quant=(" + List(r.quantization->scale, NumberText) + ", " +
             List(r.quantization->zero_point, [](std::int64_t v) { return std::to_string(v); }) + ", " +
             std::to_string(r.quantization->axis) + ", " + std::to_string(r.quantization->block) + ")";
    }
    return out;
  }

  template <class T, class F>
  static std::string List(const std::vector<T>& items, F text) {
    std::string out = "[";
    for (std::size_t i = 0; i < items.size(); ++i) out += (i ? ", " : "") + text(items[i]);
    return out + "]";
  }

  std::string AttrText(const Attr& a, int indent) {
    switch (KindOf(a)) {
      case AttrKind::kBool:
        return std::get<bool>(a) ? "true" : "false";
      case AttrKind::kInt:
        return std::to_string(std::get<std::int64_t>(a));
      case AttrKind::kFloat:
        return NumberText(std::get<double>(a));
      case AttrKind::kString:
        return Quote(std::get<std::string>(a));
      case AttrKind::kDType:
        return std::string(dtype_name(std::get<DType>(a)));
      case AttrKind::kDims:
        return "dims" + std::get<Shape>(a).to_string();
      case AttrKind::kLiteral:
        return LiteralText(std::get<Literal>(a));
      case AttrKind::kGraph:
        return "graph" + GraphBody(*std::get<GraphPtr>(a), indent);
      case AttrKind::kInts:
        return "ints" + List(std::get<std::vector<std::int64_t>>(a), [](std::int64_t v) { return std::to_string(v); });
      case AttrKind::kFloats:
        return "floats" + List(std::get<std::vector<double>>(a), NumberText);
      case AttrKind::kStrings:
        return "strings" + List(std::get<std::vector<std::string>>(a), Quote);
      case AttrKind::kDTypes:
        return "dtypes" + List(std::get<std::vector<DType>>(a), [](DType t) { return std::string(dtype_name(t)); });
      case AttrKind::kGraphs:
        return "graphs" + List(std::get<std::vector<GraphPtr>>(a),
                               [&](const GraphPtr& g) { return "graph" + GraphBody(*g, indent); });
    }
    return "?";
  }

 public:
  static std::string Names(const std::vector<std::string>& names) { return List(names, Quote); }
  static std::string Quoted(std::string_view s) { return Quote(s); }

 private:
  Blobs* blobs_;
  int count_ = 0;
};

}  // namespace

std::string PrintGraph(const Graph& graph, Blobs* blobs) { return "graph" + Printer(blobs).GraphBody(graph, 0) + "\n"; }

std::string PrintModule(const Module& module, Blobs* blobs) {
  Printer printer(blobs);
  std::string out = "module {\n";
  for (const auto& [key, value] : module.metadata)
    out += "  metadata " + Printer::Quoted(key) + " = " + Printer::Quoted(value) + "\n";
  for (const auto& [key, value] : module.assets)
    out += "  asset " + Printer::Quoted(key) + " = " + Printer::Quoted(value) + "\n";
  for (const VariablePtr& v : module.variables)
    out += "  variable " + Printer::Quoted(v->path()) + (v->trainable() ? " trainable" : "") +
           (v->initializer().empty() ? "" : " init=" + Printer::Quoted(v->initializer())) + " = " +
           printer.LiteralText(v->Read()) + "\n";
  for (const Function& f : module.functions) {
    out += "  function " + Printer::Quoted(f.name) + " inputs=" + Printer::Names(f.input_names) +
           " outputs=" + Printer::Names(f.output_names) + " reads=" + Printer::Names(f.reads) +
           " writes=" + Printer::Names(f.writes);
    for (const auto& [key, value] : f.metadata)
      out += " metadata(" + Printer::Quoted(key) + " = " + Printer::Quoted(value) + ")";
    out += " graph" + printer.GraphBody(f.graph, 2) + "\n";
  }
  return out + "}\n";
}

}  // namespace tenon::ir
