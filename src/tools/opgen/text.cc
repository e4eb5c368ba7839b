#include <fmt/format.h>

#include <bit>
#include <cctype>

#include "tools/opgen/opgen.h"

namespace tenon::opgen {

bool IsPublic(const ir::OpFamily& family, const ir::OpDef& op) {
  if (family.name == "core" || op.Is(ir::kControl)) return false;
  for (const ir::Port& p : op.inputs)
    if ((p.flags & ir::kNonTensor) != 0) return false;
  for (const ir::Port& p : op.outputs)
    if ((p.flags & ir::kNonTensor) != 0) return false;
  for (const ir::AttrSpec& a : op.attrs)
    if (a.kind == ir::AttrKind::kGraph || a.kind == ir::AttrKind::kGraphs) return false;
  return true;
}

std::string Camel(std::string_view name) {
  std::string out;
  bool upper = true;
  for (const char c : name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return out;
}

std::string DTypes(ir::DTypeSet set) {
  const std::pair<ir::DTypeSet, std::string_view> names[] = {
      {ir::kStorageSet, "any dtype"},
      {ir::kStorageSet & ~ir::Only(DType::kString), "any dtype but strings"},
      {ir::kAnySet, "numbers, bools or strings"},
      {ir::kFixedSet, "numbers or bools"},
      {ir::kNumericSet, "numbers"},
      {ir::kRealSet | ir::kBoolSet, "real numbers or bools"},
      {ir::kRealSet, "real numbers"},
      {ir::kFloatSet | ir::kComplexSet, "floats or complex"},
      {ir::kFloatSet, "floats"},
      {ir::kIntegerSet, "integers"},
      {ir::kIntegerSet | ir::kBoolSet, "integers or bools"},
      {ir::kComplexSet, "complex"},
      {ir::kBoolSet, "bools"},
  };
  const ir::DTypeSet known = (ir::DTypeSet{1} << kNumDTypes) - 1;
  for (const auto& [s, text] : names)
    if ((s & known) == (set & known)) return std::string(text);
  std::string out;
  for (int i = 0; i < kNumDTypes; ++i)
    if ((set >> i & 1U) != 0) out += (out.empty() ? "" : ", ") + std::string(dtype_name(static_cast<DType>(i)));
  return out;
}

std::string Number(double value) { return fmt::format("{}", value); }

std::string Comment(std::string_view prefix, std::string_view text) {
  std::string out, line(prefix);
  bool fresh = true;
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    if (!fresh && line.size() + 1 + word.size() > 120) {
      out += line + "\n";
      line = prefix;
      fresh = true;
    }
    line += " " + std::string(word);
    fresh = false;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out + line + "\n";
}

std::string CppDType(DType dtype) {
  if (dtype == DType::kBool) return "DType::kBool";
  if (dtype == DType::kString) return "DType::kString";
  std::string name(dtype_name(dtype));
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return "DType::k" + name;
}

std::string Default(const ir::AttrSpec& spec) {
  if (spec.mode == ir::AttrSpec::Default::kAbsent) return "{}";
  switch (spec.kind) {
    case ir::AttrKind::kBool:
      return spec.b ? "true" : "false";
    case ir::AttrKind::kInt:
      return fmt::format("{}", spec.i);
    case ir::AttrKind::kFloat:
      return Number(spec.f);
    case ir::AttrKind::kString:
      return fmt::format("\"{}\"", spec.s);
    case ir::AttrKind::kDType:
      return CppDType(spec.t);
    default:
      return "{}";
  }
}

}  // namespace tenon::opgen
