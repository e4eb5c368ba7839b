// Dims that only the run knows, written as arithmetic on the shapes of inputs.
#include <fmt/format.h>

#include <cctype>

#include "formats/onnx/export/exporter.h"
#include "ir/numeric.h"

namespace tenon::onnx {

// Emits nodes for the text form of a Dim: sums and products of numbers, symbols and calls of two operands.
class DimEmitter {
 public:
  DimEmitter(Exporter& exporter, std::string_view text) : x_(exporter), text_(text) {}
  Result<std::string> Run() {
    TENON_ASSIGN_OR_RETURN(std::string name, Sum(0));
    if (at_ != text_.size()) return Status(Code::kInternal, fmt::format("onnx: the dim \"{}\" does not parse", text_));
    return name;
  }

 private:
  bool Eat(std::string_view token) {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return true;
  }
  std::string Number(std::int64_t n) { return x_.Constant(ir::FromInts(DType::kI64, {1}, {n})); }

  Result<std::string> Sum(int depth) {
    if (depth > 50) return Status(Code::kUnimplemented, "a dim nested deeper than 50 levels");
    const bool negative = Eat("-");
    TENON_ASSIGN_OR_RETURN(std::string left, Product(depth));
    if (negative) left = x_.Emit("Neg", {left});
    for (;;) {
      const bool plus = Eat("+");
      if (!plus && !Eat("-")) return left;
      TENON_ASSIGN_OR_RETURN(const std::string right, Product(depth));
      left = x_.Emit(plus ? "Add" : "Sub", {left, right});
    }
  }
  Result<std::string> Product(int depth) {
    TENON_ASSIGN_OR_RETURN(std::string left, Atom(depth));
    while (Eat("*")) {
      TENON_ASSIGN_OR_RETURN(const std::string right, Atom(depth));
      left = x_.Emit("Mul", {left, right});
    }
    return left;
  }
  Result<std::string> Atom(int depth) {
    if (Eat("(")) {
      TENON_ASSIGN_OR_RETURN(std::string inner, Sum(depth + 1));
      if (!Eat(")")) return Status(Code::kInternal, "onnx: a dim without its closing parenthesis");
      return inner;
    }
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_' || text_[at_] == '.'))
      ++at_;
    const std::string word(text_.substr(begin, at_ - begin));
    if (!word.empty() && std::isdigit(static_cast<unsigned char>(word[0])) != 0) return Number(std::stoll(word));
    if (Eat("(")) return Call(word, depth);
    return Symbol(word);
  }
  Result<std::string> Call(const std::string& function, int depth) {
    TENON_ASSIGN_OR_RETURN(const std::string a, Sum(depth + 1));
    if (!Eat(",")) return Status(Code::kInternal, "onnx: a dim's call without a comma");
    TENON_ASSIGN_OR_RETURN(const std::string b, Sum(depth + 1));
    if (!Eat(")")) return Status(Code::kInternal, "onnx: a dim's call without its closing parenthesis");
    if (function == "min") return x_.Emit("Min", {a, b});
    if (function == "max") return x_.Emit("Max", {a, b});
    // ONNX divides toward zero; Mod has the divisor's sign.
    const auto floor_div = [&](const std::string& p) {
      return x_.Emit("Div", {x_.Emit("Sub", {p, x_.Emit("Mod", {p, b})}), b});
    };
    if (function == "floor_div") return floor_div(a);
    if (function == "ceil_div") return x_.Emit("Neg", {floor_div(x_.Emit("Neg", {a}))});
    if (function == "mod") return x_.Emit("Mod", {a, b});
    if (function == "broadcast")  // the one that is not 1
      return x_.Emit("Where", {x_.Emit("Equal", {a, Number(1)}), b, a});
    return Status(Code::kInternal, fmt::format("onnx: the dim's function \"{}\" is not known", function));
  }
  Result<std::string> Symbol(const std::string& name) {
    const auto* found = x_.FindSymbol(name);
    if (found == nullptr)
      return Status(Code::kUnimplemented, fmt::format("no value has \"{}\" as one of its dims", name));
    const auto& [value, index, element] = *found;
    const std::string from = element ? value : x_.Emit("Shape", {value});
    return x_.Emit("Gather", {from, Number(index)}, {IntAttribute("axis", 0)});
  }

  Exporter& x_;
  std::string_view text_;
  std::size_t at_ = 0;
};

Result<std::string> Exporter::DimScalar(const Dim& dim) {
  if (const std::optional<std::int64_t> value = dim.try_value())
    return Constant(ir::FromInts(DType::kI64, {1}, {*value}));
  const std::string text = dim.to_string();
  std::map<std::string, std::string>& known = symbols_.back().dims;
  if (const auto found = known.find(text); found != known.end()) return found->second;
  TENON_ASSIGN_OR_RETURN(const std::string name, DimEmitter(*this, text).Run());
  known[text] = name;
  return name;
}

Result<std::string> Exporter::DimVector(const Shape& dims) {
  if (dims.is_static()) return Constant(ir::FromInts(DType::kI64, {dims.rank()}, dims.values()));
  Names parts;
  for (const Dim& dim : dims.dims()) {
    TENON_ASSIGN_OR_RETURN(parts.emplace_back(), DimScalar(dim));
  }
  return parts.size() == 1 ? parts[0] : Emit("Concat", parts, {IntAttribute("axis", 0)});
}

}  // namespace tenon::onnx
