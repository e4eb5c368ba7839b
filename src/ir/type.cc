#include "ir/type.h"

#include <cassert>

#include "base/status_macros.h"

namespace tenon::ir {

Type Type::Tensor(DType dtype, Shape shape) {
  Type t;
  t.dtype_ = dtype;
  t.shape_ = std::move(shape);
  return t;
}

Type Type::TensorOfUnknownRank(DType dtype) {
  Type t;
  t.dtype_ = dtype;
  return t;
}

Type Type::Token() {
  Type t;
  t.kind_ = Kind::kToken;
  return t;
}

Type Type::Nested(Kind kind, DType key, Type element) {
  Type t;
  t.kind_ = kind;
  t.dtype_ = key;
  t.element_ = std::make_shared<const Type>(std::move(element));
  return t;
}

const Shape& Type::shape() const {
  if (!shape_) fail(Code::kInternal, "Type " + to_string() + ": has no known rank");
  return *shape_;
}

const Type& Type::element() const {
  if (!element_) fail(Code::kInternal, "Type " + to_string() + ": has no element type");
  return *element_;
}

std::string Type::to_string() const {
  const std::string name(dtype_name(dtype_));
  switch (kind_) {
    case Kind::kTensor:
      return name + (shape_ ? shape_->to_string() : "[*]");
    case Kind::kSequence:
      return "seq<" + element_->to_string() + ">";
    case Kind::kOptional:
      return "opt<" + element_->to_string() + ">";
    case Kind::kMap:
      return "map<" + name + ", " + element_->to_string() + ">";
    case Kind::kTable:
      return "table<" + name + ", " + element_->to_string() + ">";
    case Kind::kToken:
      return "token";
  }
  return "?";
}

namespace {
Result<DType> ParseDType(std::string_view text) {
  if (const std::optional<DType> t = dtype_from_name(text)) return *t;
  return Status(Code::kInvalidArgument, "Type: got dtype \"" + std::string(text) + "\", expected one such as f32");
}

// The dims between brackets, split at the commas that stand outside parentheses and quotes.
Result<Shape> ParseDims(std::string_view text) {
  std::vector<Dim> dims;
  int depth = 0;
  bool quoted = false;
  std::size_t start = 0;
  if (text.find_first_not_of(' ') == std::string_view::npos) return Shape();
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ',';
    if (c == '\'') quoted = !quoted;
    if (quoted && i < text.size()) continue;
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c != ',' || (depth != 0 && i < text.size())) continue;
    TENON_ASSIGN_OR_RETURN(Dim d, Dim::parse(text.substr(start, i - start)));
    dims.push_back(std::move(d));
    start = i + 1;
  }
  return Shape(std::move(dims));
}

Result<Type> ParseType(std::string_view text, int depth) {
  const Status bad(Code::kInvalidArgument,
                   "Type: cannot read \"" + std::string(text) +
                       "\", expected f32[2, n], f32[*], seq<…>, opt<…>, map<…>, table<…> or token");
  if (depth > 32) return bad;
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text == "token") return Type::Token();
  if (!text.empty() && text.back() == ']') {
    const std::size_t open = text.find('[');
    if (open == std::string_view::npos) return bad;
    TENON_ASSIGN_OR_RETURN(const DType dtype, ParseDType(text.substr(0, open)));
    const std::string_view dims = text.substr(open + 1, text.size() - open - 2);
    if (dims == "*") return Type::TensorOfUnknownRank(dtype);
    TENON_ASSIGN_OR_RETURN(Shape shape, ParseDims(dims));
    return Type::Tensor(dtype, std::move(shape));
  }
  const std::size_t open = text.find('<');
  if (open == std::string_view::npos || text.back() != '>') return bad;
  const std::string_view head = text.substr(0, open);
  std::string_view inner = text.substr(open + 1, text.size() - open - 2);
  DType key = DType::kI64;
  if (head == "map" || head == "table") {
    const std::size_t comma = inner.find(',');
    if (comma == std::string_view::npos) return bad;
    TENON_ASSIGN_OR_RETURN(key, ParseDType(inner.substr(0, comma)));
    inner.remove_prefix(comma + 1);
  }
  TENON_ASSIGN_OR_RETURN(Type element, ParseType(inner, depth + 1));
  if (head == "seq") return Type::Sequence(std::move(element));
  if (head == "opt") return Type::Optional(std::move(element));
  if (head == "map") return Type::Map(key, std::move(element));
  if (head == "table") return Type::Table(key, std::move(element));
  return bad;
}
}  // namespace

Result<Type> Type::Parse(std::string_view text) { return ParseType(text, 0); }

bool operator==(const Type& a, const Type& b) {
  if (a.kind_ != b.kind_) return false;
  switch (a.kind_) {
    case Type::Kind::kTensor:
      return a.dtype_ == b.dtype_ && a.shape_ == b.shape_;
    case Type::Kind::kToken:
      return true;
    case Type::Kind::kSequence:
    case Type::Kind::kOptional:
      return *a.element_ == *b.element_;
    default:
      return a.dtype_ == b.dtype_ && *a.element_ == *b.element_;
  }
}

bool Type::Accepts(const Type& value) const {
  if (kind_ != value.kind_) return false;
  if (kind_ == Kind::kToken) return true;
  if (kind_ != Kind::kTensor) return dtype_ == value.dtype_ && element_->Accepts(*value.element_);
  if (dtype_ != value.dtype_) return false;
  if (!shape_ || !value.shape_) return true;
  if (shape_->rank() != value.shape_->rank()) return false;
  for (int i = 0; i < shape_->rank(); ++i)
    if (Dim::equal((*shape_)[i], (*value.shape_)[i]) == Truth::kNo) return false;
  return true;
}

Type Type::Substitute(const std::function<std::optional<Dim>(std::string_view)>& lookup) const {
  Type t = *this;
  if (element_) t.element_ = std::make_shared<const Type>(element_->Substitute(lookup));
  if (!shape_) return t;
  std::vector<Dim> dims = shape_->dims();
  for (Dim& d : dims) d = d.substitute(lookup);
  t.shape_ = Shape(std::move(dims));
  return t;
}

}  // namespace tenon::ir
