// The public functions: headers and their definitions.
#include <fmt/format.h>

#include <algorithm>

#include "tools/opgen/opgen.h"

namespace tenon::opgen {
namespace {

using Mode = ir::AttrSpec::Default;

std::string ValueType(ir::AttrKind kind) {
  switch (kind) {
    case ir::AttrKind::kBool:
      return "bool";
    case ir::AttrKind::kInt:
      return "std::int64_t";
    case ir::AttrKind::kFloat:
      return "double";
    case ir::AttrKind::kString:
      return "std::string";
    case ir::AttrKind::kDType:
      return "DType";
    case ir::AttrKind::kDims:
      return "Shape";
    case ir::AttrKind::kLiteral:
      return "Literal";
    case ir::AttrKind::kInts:
      return "std::vector<std::int64_t>";
    case ir::AttrKind::kFloats:
      return "std::vector<double>";
    case ir::AttrKind::kStrings:
      return "std::vector<std::string>";
    case ir::AttrKind::kDTypes:
      return "std::vector<DType>";
    case ir::AttrKind::kGraph:
    case ir::AttrKind::kGraphs:
      break;
  }
  return "";  // never public
}
std::string ParameterType(ir::AttrKind kind) {
  const bool small = kind <= ir::AttrKind::kFloat || kind == ir::AttrKind::kDType;
  return small ? ValueType(kind) : "const " + ValueType(kind) + "&";
}

bool Variadic(const ir::Port& p) { return (p.flags & ir::kVariadic) != 0; }
bool Optional(const ir::Port& p) { return (p.flags & ir::kOptional) != 0 && !Variadic(p); }

bool HasOptions(const ir::OpDef& op) {
  return std::any_of(op.inputs.begin(), op.inputs.end(), Optional) ||
         std::any_of(op.attrs.begin(), op.attrs.end(), [](const ir::AttrSpec& a) { return a.mode != Mode::kRequired; });
}
bool HasVariadic(const ir::OpDef& op) { return !op.inputs.empty() && Variadic(op.inputs[op.inputs.size() - 1]); }

std::string ResultType(const ir::OpDef& op) {
  if (op.outputs.size() == 1) return Variadic(op.outputs[0]) ? "std::vector<Tensor>" : "Tensor";
  return Camel(op.name) + "Result";
}

// "Tensor f(const Tensor& x, …" without the end.
std::string Signature(const ir::OpDef& op, std::string_view variadic_type, bool defaults) {
  std::vector<std::string> parameters;
  for (const ir::Port& p : op.inputs) {
    if (Variadic(p))
      parameters.push_back(fmt::format("{} {}", variadic_type, p.name));
    else if (!Optional(p))
      parameters.push_back(fmt::format("const Tensor& {}", p.name));
  }
  for (const ir::AttrSpec& a : op.attrs)
    if (a.mode == Mode::kRequired) parameters.push_back(fmt::format("{} {}", ParameterType(a.kind), a.name));
  if (HasOptions(op))
    parameters.push_back(fmt::format("const {}Options& options{}", Camel(op.name), defaults ? " = {}" : ""));
  std::string out = fmt::format("{} {}(", ResultType(op), op.name);
  const std::string indent(out.size() + 10, ' ');  // behind TENON_API
  std::size_t line = out.size() + 10;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::string piece = parameters[i] + (i + 1 < parameters.size() ? "," : ")");
    if (i > 0 && line + 1 + piece.size() > 118) {
      out += "\n" + indent;
      line = indent.size();
    } else if (i > 0) {
      out += " ";
      ++line;
    }
    out += piece;
    line += piece.size();
  }
  return parameters.empty() ? out + ")" : out;
}

// "x, y: floats. labels: integers; classes": the ports that the signature shows.
std::string PortTexts(const ir::OpDef& op) {
  std::vector<std::pair<std::string, std::string>> texts;  // names, meaning
  for (const ir::Port& p : op.inputs) {
    if (Optional(p)) continue;
    std::string meaning = DTypes(p.dtypes);
    if (!p.doc.empty()) meaning += fmt::format("; {}", p.doc);
    if (!texts.empty() && texts.back().second == meaning)
      texts.back().first += fmt::format(", {}", p.name);
    else
      texts.emplace_back(p.name, meaning);
  }
  std::string out;
  for (const auto& [names, meaning] : texts) out += fmt::format("{}{}: {}.", out.empty() ? "" : " ", names, meaning);
  return out;
}

std::string Options(const ir::OpDef& op) {
  std::string out = fmt::format("struct {}Options {{\n", Camel(op.name));
  for (const ir::AttrSpec& a : op.attrs) {
    if (a.mode == Mode::kRequired) continue;
    if (!a.doc.empty()) out += Comment("  ///", a.doc);
    const std::string type =
        a.mode == Mode::kAbsent ? fmt::format("std::optional<{}>", ValueType(a.kind)) : ValueType(a.kind);
    out += fmt::format("  {} {} = {};\n", type, a.name, opgen::Default(a));
  }
  for (const ir::Port& p : op.inputs) {
    if (!Optional(p)) continue;
    out += Comment("  ///", DTypes(p.dtypes) + (p.doc.empty() ? "" : fmt::format("; {}", p.doc)));
    out += fmt::format("  Tensor {} = {{}};\n", p.name);
  }
  return out + "};\n";
}

std::string ReturnType(const ir::OpDef& op) {
  if (op.outputs.size() == 1) return "";
  std::string out = fmt::format("struct {}Result {{\n", Camel(op.name));
  for (const ir::Port& p : op.outputs) {
    if (!p.doc.empty()) out += Comment("  ///", p.doc);
    out += fmt::format("  {} {} = {{}};\n", Variadic(p) ? "std::vector<Tensor>" : "Tensor", p.name);
  }
  return out + "};\n";
}

// What stands above the function: the summary, then what the signature does not say.
std::string Doc(const ir::OpDef& op) {
  std::string out = Comment("///", op.summary);
  if (const std::string ports = PortTexts(op); !ports.empty()) out += Comment("///", ports);
  for (const ir::AttrSpec& a : op.attrs)
    if (a.mode == Mode::kRequired && !a.doc.empty()) out += Comment("///", fmt::format("{}: {}.", a.name, a.doc));
  if (op.outputs.size() == 1 && !op.outputs[0].doc.empty())
    out += Comment("///", fmt::format("Gives {}.", op.outputs[0].doc));
  return out;
}

std::string Declaration(const ir::OpDef& op) {
  std::string out = "\n";
  if (HasOptions(op)) out += Options(op);
  out += ReturnType(op);
  out += Doc(op);
  out += "TENON_API " + Signature(op, "std::span<const Tensor>", true) + ";\n";
  if (HasVariadic(op)) out += "TENON_API " + Signature(op, "std::initializer_list<Tensor>", true) + ";\n";
  return out;
}

std::string Attributes(const ir::OpDef& op) {
  std::string always, sometimes;
  for (const ir::AttrSpec& a : op.attrs) {
    if (a.mode == Mode::kAbsent) {
      sometimes += fmt::format("  if (options.{0}) attrs.Set(\"{0}\", *options.{0});\n", a.name);
    } else {
      always += fmt::format("{}{{\"{}\", {}{}}}", always.empty() ? "" : ",\n                           ", a.name,
                            a.mode == Mode::kRequired ? "" : "options.", a.name);
    }
  }
  if (always.empty() && sometimes.empty()) return "";
  return fmt::format("  {}ir::Attrs attrs{};\n{}", sometimes.empty() ? "const " : "",
                     always.empty() ? "" : " = {" + always + "}", sometimes);
}

std::string Definition(const ir::OpDef& op) {
  std::string out = "\n" + Signature(op, "std::span<const Tensor>", false) + " {\n";
  out += fmt::format("  static const ir::OpDef& def = ir::GetOp(\"{}\");\n", op.name);
  const std::string attributes = Attributes(op);
  out += attributes;
  std::string inputs;
  for (const ir::Port& p : op.inputs)
    if (!Variadic(p))
      inputs += fmt::format("{}{}{}", inputs.empty() ? "" : ", ", Optional(p) ? "options." : "", p.name);
  std::string argument;
  if (HasVariadic(op) && inputs.empty()) {
    argument = std::string(op.inputs[0].name);
  } else if (HasVariadic(op)) {
    const std::string_view last = op.inputs[op.inputs.size() - 1].name;
    out += fmt::format("  std::vector<Tensor> inputs{{{0}}};\n  inputs.insert(inputs.end(), {1}.begin(), {1}.end());\n",
                       inputs, last);
    argument = "inputs";
  } else if (inputs.empty()) {
    argument = "{}";
  } else {
    out += fmt::format("  const Tensor inputs[] = {{{}}};\n", inputs);
    argument = "inputs";
  }
  const std::string call = fmt::format("eager::CallOp(def, {}, {})", argument, attributes.empty() ? "{}" : "attrs");
  if (op.outputs.size() == 1) {
    out += fmt::format("  return {}{};\n", call, Variadic(op.outputs[0]) ? "" : "[0]");
  } else {
    out += fmt::format("  std::vector<Tensor> out = {};\n  {}Result result;\n", call, Camel(op.name));
    for (std::size_t i = 0; i < op.outputs.size(); ++i)
      out += Variadic(op.outputs[i])
                 ? fmt::format("  result.{}.assign(out.begin() + {}, out.end());\n", op.outputs[i].name, i)
                 : fmt::format("  if (out.size() > {0}) result.{1} = std::move(out[{0}]);\n", i, op.outputs[i].name);
    out += "  return result;\n";
  }
  out += "}\n";
  if (!HasVariadic(op)) return out;
  out += Signature(op, "std::initializer_list<Tensor>", false) + " {\n  return " + std::string(op.name) + "(";
  std::string arguments;
  for (const ir::Port& p : op.inputs) {
    if (Optional(p)) continue;
    arguments += arguments.empty() ? "" : ", ";
    arguments +=
        Variadic(p) ? fmt::format("std::span<const Tensor>({0}.begin(), {0}.size())", p.name) : std::string(p.name);
  }
  for (const ir::AttrSpec& a : op.attrs)
    if (a.mode == Mode::kRequired) arguments += fmt::format(", {}", a.name);
  if (HasOptions(op)) arguments += ", options";
  return out + arguments + ");\n}\n";
}

bool AnyPublic(const ir::OpFamily& family) {
  return std::any_of(family.ops.begin(), family.ops.end(), [&](const ir::OpDef& op) { return IsPublic(family, op); });
}

std::string Title(const ir::OpFamily& family) {
  return fmt::format("// Generated by opgen from src/ops/{}.cc. Do not edit.\n", family.name);
}

}  // namespace

std::string Header(const ir::OpFamily& family) {
  if (!AnyPublic(family)) return "";
  std::string out = Title(family) + "#pragma once\n#include \"tenon/tensor.h\"\n\nnamespace tenon {\n";
  for (const ir::OpDef& op : family.ops)
    if (IsPublic(family, op)) out += Declaration(op);
  return out + "\n}  // namespace tenon\n";
}

std::string Source(const ir::OpFamily& family) {
  if (!AnyPublic(family)) return "";
  std::string out =
      Title(family) +
      fmt::format("#include \"tenon/ops/{}.h\"\n\n#include \"eager/promote.h\"\n\nnamespace tenon {{\n", family.name);
  for (const ir::OpDef& op : family.ops)
    if (IsPublic(family, op)) out += Definition(op);
  return out + "\n}  // namespace tenon\n";
}

std::string AllHeader() {
  std::string out =
      "// Generated by opgen from src/ops. Do not edit.\n"
      "//\n"
      "// Every function takes eager and symbolic Tensors alike; a call on symbolic ones adds to what they are traced "
      "into.\n"
      "// Inputs of one kind are promoted to one dtype by Keras 3's rules (f32 with i64 gives f32, bf16 with f16 gives "
      "f32),\n"
      "// and integers become f32 where only floats make sense. Elementwise functions broadcast as NumPy does. Axes "
      "count from\n"
      "// the end when negative. Shapes, dtypes and values that an op does not take throw tenon::Error "
      "(kInvalidArgument); the\n"
      "// message starts with the op and the constraint that is broken, \"concat_c2: …\". Eager Tensors may be used "
      "from any\n"
      "// thread.\n"
      "#pragma once\n";
  for (const ir::OpFamily& family : ir::OpFamilies())
    if (AnyPublic(family)) out += fmt::format("#include \"tenon/ops/{}.h\"  // IWYU pragma: export\n", family.name);
  return out + "#include \"tenon/shortcuts.h\"  // IWYU pragma: export\n";
}

std::string NamesHeader() {
  std::vector<std::string_view> names;
  for (const ir::OpFamily& family : ir::OpFamilies())
    for (const ir::OpDef& op : family.ops) names.push_back(op.name);
  std::sort(names.begin(), names.end());
  std::string out =
      "// Generated by opgen from src/ops. Do not edit. The name of every op: renaming an op breaks whoever names it.\n"
      "#pragma once\n#include <string_view>\n\nnamespace tenon::ir::op {\n\n";
  for (const std::string_view name : names)
    out += fmt::format("inline constexpr std::string_view k{} = \"{}\";\n", Camel(name), name);
  return out + "\n}  // namespace tenon::ir::op\n";
}

}  // namespace tenon::opgen
