// Dims as tensors: numbers are constants, symbols come from the shapes of values that were written before, and
// expressions are computed with i32 arithmetic.
#include <fmt/format.h>

#include <cctype>

#include "base/status_macros.h"
#include "formats/savedmodel/writer.h"

namespace tenon::savedmodel {

/// Walks the text form of a Dim (sum of products of factors; names; functions of two) and emits nodes.
class DimWriter {
 public:
  DimWriter(BodyWriter& writer, std::string text) : w_(writer), text_(std::move(text)) {}

  Result<std::string> Write() {
    TENON_ASSIGN_OR_RETURN(std::string value, Sum(0));
    return Peek() == '\0' ? Result<std::string>(value) : Result<std::string>(Malformed());
  }

 private:
  Status Malformed() const {
    return Status(Code::kInternal, fmt::format("SavedModel writer: cannot read the dim {:?}", text_));
  }
  char Peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool Take(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }
  std::string Binary(std::string_view op, std::string x, std::string y) {
    return w_.Emit(op, {std::move(x), std::move(y)}, {{"T", TypeAttr(DType::kI32)}});
  }
  Result<std::string> Sum(int depth) {
    if (depth > 100) return Malformed();
    TENON_ASSIGN_OR_RETURN(std::string value, Product(depth));
    for (;;) {
      if (Take('+')) {
        TENON_ASSIGN_OR_RETURN(std::string next, Product(depth));
        value = Binary("AddV2", value, next);
      } else if (Take('-')) {
        TENON_ASSIGN_OR_RETURN(std::string next, Product(depth));
        value = Binary("Sub", value, next);
      } else {
        return value;
      }
    }
  }
  Result<std::string> Product(int depth) {
    TENON_ASSIGN_OR_RETURN(std::string value, Factor(depth));
    while (Take('*')) {
      TENON_ASSIGN_OR_RETURN(std::string next, Factor(depth));
      value = Binary("Mul", value, next);
    }
    return value;
  }
  Result<std::string> Factor(int depth) {
    if (depth > 100) return Malformed();
    if (Take('-')) {
      TENON_ASSIGN_OR_RETURN(const std::string value, Factor(depth + 1));
      return w_.Emit("Neg", {value}, {{"T", TypeAttr(DType::kI32)}});
    }
    if (Take('(')) {
      TENON_ASSIGN_OR_RETURN(std::string value, Sum(depth + 1));
      return Take(')') ? Result<std::string>(value) : Result<std::string>(Malformed());
    }
    const char next = Peek();
    const std::size_t start = at_;
    if (std::isdigit(static_cast<unsigned char>(next)) != 0) {
      std::int64_t number = 0;
      while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0)
        if (number < (std::int64_t{1} << 40))
          number = number * 10 + (text_[at_++] - '0');
        else
          return Malformed();
      if (number > 0x7fffffff) return Malformed();
      return w_.Int(number);
    }
    if (next == '\'') {
      for (++at_; at_ < text_.size() && text_[at_] != '\''; ++at_)
        if (text_[at_] == '\\') ++at_;
      if (!Take('\'')) return Malformed();
      return w_.FromShape(text_.substr(start, at_ - start));
    }
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_' || text_[at_] == '.'))
      ++at_;
    const std::string name = text_.substr(start, at_ - start);
    if (name.empty()) return Malformed();
    if (!Take('(')) return w_.FromShape(name);
    TENON_ASSIGN_OR_RETURN(const std::string x, Sum(depth + 1));
    if (!Take(',')) return Malformed();
    TENON_ASSIGN_OR_RETURN(const std::string y, Sum(depth + 1));
    if (!Take(')')) return Malformed();
    if (name == "floor_div") return Binary("FloorDiv", x, y);
    if (name == "mod") return Binary("FloorMod", x, y);
    if (name == "min") return Binary("Minimum", x, y);
    if (name == "max") return Binary("Maximum", x, y);
    const Attrs attrs{{"T", TypeAttr(DType::kI32)}};
    if (name == "ceil_div") return w_.Emit("Neg", {Binary("FloorDiv", w_.Emit("Neg", {x}, attrs), y)}, attrs);
    if (name == "broadcast") {
      const std::string one = w_.Emit("Equal", {x, w_.Int(1)}, attrs);
      return w_.Emit("SelectV2", {one, y, x}, attrs);
    }
    return Malformed();
  }
  BodyWriter& w_;
  std::string text_;
  std::size_t at_ = 0;
};

void BodyWriter::Known(const ir::Type& type, const std::string& value) {
  if (!type.is_tensor() || !type.has_rank()) return;
  for (int axis = 0; axis < type.rank(); ++axis) {
    const Dim& dim = type.shape()[axis];
    if (!dim.is_symbolic()) continue;
    sources_.emplace(dim.to_string(), std::pair(value, axis));
    types_.emplace(value, TfOfDType(type.dtype()));
  }
}

Result<std::string> BodyWriter::FromShape(const std::string& text) {
  const auto source = sources_.find(text);
  if (source == sources_.end())
    return Status(Code::kUnimplemented, fmt::format("the dim {:?} is the size of no value before it", text));
  const auto& [value, axis] = source->second;
  std::string& shape = shapes_[value];
  if (shape.empty())
    shape = Emit("Shape", {value}, {{"T", TypeAttr(types_[value])}, {"out_type", TypeAttr(DType::kI32)}});
  return Emit("StridedSlice", {shape, Ints({axis}), Ints({axis + 1}), Ints({1})},
              {{"T", TypeAttr(DType::kI32)}, {"Index", TypeAttr(DType::kI32)}, {"shrink_axis_mask", IntAttr(1)}});
}

Result<std::string> BodyWriter::DimScalar(const Dim& dim) {
  if (!dim.is_symbolic()) {
    if (dim.value() != static_cast<std::int32_t>(dim.value()))
      return Status(Code::kUnimplemented, fmt::format("a dim of {} exceeds 32 bits", dim.value()));
    return Int(dim.value());
  }
  const std::string text = dim.to_string();
  if (const auto known = dims_.find(text); known != dims_.end()) return known->second;
  // The whole expression may be the size of a value; else it is computed from its symbols.
  TENON_ASSIGN_OR_RETURN(std::string value, sources_.contains(text) ? FromShape(text) : DimWriter(*this, text).Write());
  dims_[text] = value;
  return value;
}

Result<std::string> BodyWriter::ShapeVector(const Shape& dims) {
  if (dims.is_static()) return Ints(dims.values());
  std::vector<std::string> parts;
  for (const Dim& dim : dims.dims()) {
    TENON_ASSIGN_OR_RETURN(std::string part, DimScalar(dim));
    parts.push_back(std::move(part));
  }
  const auto count = static_cast<std::int64_t>(parts.size());
  return Emit("Pack", std::move(parts), {{"N", IntAttr(count)}, {"T", TypeAttr(DType::kI32)}, {"axis", IntAttr(0)}});
}

}  // namespace tenon::savedmodel
