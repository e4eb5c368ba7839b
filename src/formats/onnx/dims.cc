#include "formats/onnx/dims.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

#include "base/status_macros.h"
#include "formats/onnx/data_type.h"

namespace tenon::onnx {
namespace {

bool IsNameStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool IsNameChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.'; }

// sum := product (('+' | '-') product)*; product := unary (('*' | '//' | '%') unary)*;
// unary := '-' unary | number | name | name '(' sum ',' sum ')' | '(' sum ')'. nullopt for anything else.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::string_view text) : text_(text) {}
  std::optional<Dim> Parse() {
    std::optional<Dim> dim = Sum(0);
    Skip();
    return dim && at_ == text_.size() ? dim : std::nullopt;
  }

 private:
  static constexpr int kMaxDepth = 60;
  void Skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool Eat(std::string_view token) {
    Skip();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  std::optional<Dim> Sum(int depth) {
    std::optional<Dim> left = Product(depth);
    while (left) {
      const bool plus = Eat("+");
      if (!plus && !Eat("-")) return left;
      const std::optional<Dim> right = Product(depth);
      if (!right) return std::nullopt;
      left = plus ? *left + *right : *left - *right;
    }
    return left;
  }
  std::optional<Dim> Product(int depth) {
    std::optional<Dim> left = Unary(depth);
    while (left) {
      if (Eat("**")) return std::nullopt;
      const int op = Eat("//") ? 1 : Eat("*") ? 2 : Eat("%") ? 3 : 0;
      if (op == 0) return left;
      const std::optional<Dim> right = Unary(depth);
      if (!right || (op != 2 && right->try_value() == 0)) return std::nullopt;
      left = op == 1 ? Dim::floor_div(*left, *right) : op == 2 ? *left * *right : Dim::mod(*left, *right);
    }
    return left;
  }
  std::optional<Dim> Unary(int depth) {
    if (depth > kMaxDepth) return std::nullopt;
    if (Eat("-")) {
      const std::optional<Dim> dim = Unary(depth + 1);
      return dim ? std::optional<Dim>(0 - *dim) : std::nullopt;
    }
    if (Eat("(")) {
      std::optional<Dim> dim = Sum(depth + 1);
      return dim && Eat(")") ? dim : std::nullopt;
    }
    Skip();
    if (at_ == text_.size()) return std::nullopt;
    if (std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) {
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), number);
      at_ = static_cast<std::size_t>(end - text_.data());
      if (error != std::errc() || (at_ < text_.size() && IsNameChar(text_[at_]))) return std::nullopt;
      return Dim(number);
    }
    if (!IsNameStart(text_[at_])) return std::nullopt;
    const std::size_t begin = at_;
    while (at_ < text_.size() && IsNameChar(text_[at_])) ++at_;
    std::string name(text_.substr(begin, at_ - begin));
    if (!Eat("(")) return Dim::symbol(std::move(name));
    return Call(name, depth);
  }
  std::optional<Dim> Call(std::string name, int depth) {
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const std::optional<Dim> a = Sum(depth + 1);
    if (!a || !Eat(",")) return std::nullopt;
    const std::optional<Dim> b = Sum(depth + 1);
    if (!b || !Eat(")")) return std::nullopt;
    if (name == "max") return Dim::max(*a, *b);
    if (name == "min") return Dim::min(*a, *b);
    if (name == "broadcast") return Dim::broadcast(*a, *b);
    if (b->try_value() == 0) return std::nullopt;
    if (name == "mod") return Dim::mod(*a, *b);
    if (name == "floor_div" || name == "floordiv") return Dim::floor_div(*a, *b);
    if (name == "ceil_div" || name == "ceildiv") return Dim::ceil_div(*a, *b);
    return std::nullopt;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

// Symbols made by Dim::any() are called "d", a number, "_"; no file should see them.
bool IsAnonymous(const Dim& dim) {
  for (const std::string& symbol : dim.symbols())
    if (symbol.size() > 2 && symbol[0] == 'd' && symbol.back() == '_' &&
        symbol.find_first_not_of("0123456789", 1) == symbol.size() - 1)
      return true;
  return false;
}

}  // namespace

Dim DimReader::Read(const std::string& text) {
  if (const auto found = known_.find(text); found != known_.end()) return found->second;
  std::optional<Dim> dim;
  try {
    if (text.size() <= 1000) dim = ExpressionParser(text).Parse();
  } catch (const Error&) {  // beyond 64 bits, or division by zero
    dim.reset();
  }
  if (dim && IsAnonymous(*dim)) dim.reset();
  if (!dim) {
    std::string name = "dim_";
    for (const char c : text.substr(0, 60)) name += IsNameChar(c) ? c : '_';
    const int count = symbols_[name]++;
    dim = Dim::symbol(count == 0 ? name : fmt::format("{}__{}", name, count));
  }
  return known_.insert({text, *dim}).first->second;
}

Dim DimReader::Read(const Dimension& dim) {
  if (dim.value && *dim.value != -1) return Dim(*dim.value);
  return dim.param.empty() || dim.value ? Dim::any() : Read(dim.param);
}

Result<ir::Type> ReadType(const TypeProto& type, DimReader& dims) {
  switch (type.kind) {
    case TypeKind::kTensor: {
      TENON_ASSIGN_OR_RETURN(const DType dtype, ToDType(type.elem_type));
      if (!type.shape) return ir::Type::TensorOfUnknownRank(dtype);
      std::vector<Dim> shape;
      for (const Dimension& dim : *type.shape) shape.push_back(dims.Read(dim));
      return ir::Type::Tensor(dtype, Shape(std::move(shape)));
    }
    case TypeKind::kSequence:
    case TypeKind::kOptional: {
      if (type.element.empty()) return Status(Code::kInvalidArgument, "a type without its element type");
      TENON_ASSIGN_OR_RETURN(ir::Type element, ReadType(type.element[0], dims));
      return type.kind == TypeKind::kSequence ? ir::Type::Sequence(std::move(element))
                                              : ir::Type::Optional(std::move(element));
    }
    case TypeKind::kMap: {
      if (type.element.empty()) return Status(Code::kInvalidArgument, "a map type without its value type");
      TENON_ASSIGN_OR_RETURN(const DType key, ToDType(type.elem_type));
      TENON_ASSIGN_OR_RETURN(ir::Type element, ReadType(type.element[0], dims));
      return ir::Type::Map(key, std::move(element));
    }
    case TypeKind::kNone:
      return Status(Code::kInvalidArgument, "a value without a type");
    case TypeKind::kSparseTensor:
      return Status(Code::kUnimplemented, "values of a sparse tensor type are not supported");
    case TypeKind::kOpaque:
      return Status(Code::kUnimplemented, "values of an opaque type are not supported");
  }
  return Status(Code::kInternal, "onnx: unknown kind of type");
}

TypeProto WriteType(const ir::Type& type) {
  TypeProto out;
  if (type.is_tensor()) {
    out.kind = TypeKind::kTensor;
    out.elem_type = FromDType(type.dtype());
    if (!type.has_rank()) return out;
    out.shape.emplace();
    for (const Dim& dim : type.shape().dims()) {
      Dimension& to = out.shape->emplace_back();
      if (const std::optional<std::int64_t> value = dim.try_value()) {
        to.value = *value;
      } else if (!IsAnonymous(dim)) {
        to.param = dim.to_string();
      }
    }
    return out;
  }
  out.kind = type.kind() == ir::Type::Kind::kSequence   ? TypeKind::kSequence
             : type.kind() == ir::Type::Kind::kOptional ? TypeKind::kOptional
                                                        : TypeKind::kMap;
  if (out.kind == TypeKind::kMap) out.elem_type = FromDType(type.dtype());
  out.element.push_back(WriteType(type.element()));
  return out;
}

}  // namespace tenon::onnx
