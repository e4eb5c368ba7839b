// Type: what is known about a value before it exists.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tenon/types.h"

namespace tenon::ir {

/// Tensor{dtype, dims or unknown rank} | Sequence<Type> | Optional<Type> | Map<dtype, Type> | Table<dtype, Type> |
/// Token (orders host effects). A value type.
class Type {
 public:
  enum class Kind : std::uint8_t { kTensor, kSequence, kOptional, kMap, kTable, kToken };

  Type() = default;  // f32 tensor of unknown rank
  static Type Tensor(DType dtype, Shape shape);
  static Type TensorOfUnknownRank(DType dtype);
  static Type Sequence(Type element) { return Nested(Kind::kSequence, DType::kI64, std::move(element)); }
  static Type Optional(Type element) { return Nested(Kind::kOptional, DType::kI64, std::move(element)); }
  static Type Map(DType key, Type value) { return Nested(Kind::kMap, key, std::move(value)); }
  static Type Table(DType key, Type value) { return Nested(Kind::kTable, key, std::move(value)); }
  static Type Token();
  static Type Of(const Literal& literal) { return Tensor(literal.dtype(), literal.shape()); }

  Kind kind() const { return kind_; }
  bool is_tensor() const { return kind_ == Kind::kTensor; }
  /// Element dtype of a tensor, key dtype of a map or table.
  DType dtype() const { return dtype_; }
  bool has_rank() const { return shape_.has_value(); }
  /// The dims of a tensor of known rank; an internal error otherwise.
  const Shape& shape() const;
  int rank() const { return shape().rank(); }
  bool is_static() const { return is_tensor() && has_rank() && shape().is_static(); }
  const Type& element() const;  // of a sequence or optional; the value type of a map or table

  /// "f32[batch, 3]", "f32[*]" (unknown rank), "seq<…>", "opt<…>", "map<i64, …>", "table<string, …>", "token".
  std::string to_string() const;
  static Result<Type> Parse(std::string_view text);
  /// Known to be the same type (dims known to be equal).
  friend bool operator==(const Type& a, const Type& b);
  /// A value of type `value` may stand where `*this` is declared: same kinds and dtypes, no dim known to differ.
  bool Accepts(const Type& value) const;
  /// Every dim with the symbols replaced.
  Type Substitute(const std::function<std::optional<Dim>(std::string_view)>& lookup) const;

 private:
  static Type Nested(Kind kind, DType key, Type element);
  Kind kind_ = Kind::kTensor;
  DType dtype_ = DType::kF32;
  std::optional<Shape> shape_;
  std::shared_ptr<const Type> element_;
};

}  // namespace tenon::ir
