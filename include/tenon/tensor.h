// Tensor, Scalar, Variable and their operators.
#pragma once
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "tenon/types.h"

namespace tenon {

namespace eager {
struct Node;
}
namespace ir {
class VariableCell;
}

/// A C++ number with a weak dtype: it takes the dtype of the Tensor it meets (a floating one makes an integer or bool
/// Tensor f32, as in Keras).
struct Scalar {
  template <class T>
    requires std::is_arithmetic_v<T>
  constexpr Scalar(T v) : value(static_cast<double>(v)), floating(std::is_floating_point_v<T>) {}
  double value;
  bool floating;
};

/// An eager value, or a symbolic one (keras::Input, tracing) that knows its producer. Immutable, shared by its copies;
/// an eager one may be used by any thread, a symbolic one by the thread that traces. Every function of ops.h takes
/// both.
class TENON_API Tensor {
 public:
  Tensor() = default;  // undefined: an absent optional input; any use of it throws kInvalidArgument
  explicit Tensor(Literal value);
  explicit Tensor(Scalar value);  // f32, or i64 for an integer, bool for a bool
  bool defined() const { return node_ != nullptr; }
  bool symbolic() const;
  DType dtype() const;
  Shape shape() const;  // throws kFailedPrecondition when the rank is unknown
  int rank() const { return shape().rank(); }
  Dim dim(int axis) const { return shape()[axis]; }
  /// The value. Throws kFailedPrecondition when symbolic.
  const Literal& literal() const&;
  Literal literal() const&& { return literal_copy(); }
  template <Element T>
  std::span<const T> data() const& {
    return literal().data<T>();
  }
  template <Element T>
  std::span<const T> data() const&& = delete;  // would dangle
  /// The only element, converted. Throws unless there is exactly one.
  double item() const;
  /// Throws when symbolic (`if (tensor)` under tracing: use cond) and unless it has exactly one element.
  explicit operator bool() const;
  std::string to_string() const;

  const std::shared_ptr<const eager::Node>& node() const { return node_; }
  explicit Tensor(std::shared_ptr<const eager::Node> node) : node_(std::move(node)) {}

 private:
  Literal literal_copy() const;
  std::shared_ptr<const eager::Node> node_;
};
TENON_API std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

struct VariableOptions {
  std::string name = {};
  bool trainable = true;
};

/// A named cell of state, as a handle: copies are the same cell. Reading (conversion to Tensor) takes a snapshot; under
/// tracing it reads and assigns the traced function's state. Any thread.
class TENON_API Variable {
 public:
  Variable() = default;  // no cell yet: reading throws kFailedPrecondition
  explicit Variable(const Tensor& initial, VariableOptions options = {});
  explicit Variable(std::shared_ptr<ir::VariableCell> cell) : cell_(std::move(cell)) {}
  operator Tensor() const { return value(); }
  Tensor value() const;
  /// Throws kInvalidArgument unless dtype and shape are those of the cell.
  void assign(const Tensor& value) const;
  bool same_as(const Variable& other) const { return cell_ == other.cell_; }  // == compares elements
  bool defined() const { return cell_ != nullptr; }
  const std::string& path() const;
  DType dtype() const;
  const Shape& shape() const;
  bool trainable() const;
  void set_trainable(bool trainable) const;  // functions that read it trace again
  const std::shared_ptr<ir::VariableCell>& cell() const { return cell_; }

 private:
  std::shared_ptr<ir::VariableCell> cell_;
};

// Elementwise, with NumPy broadcasting and Keras 3's dtype promotion; / is true division (integers give f32). At
// namespace scope and in three forms, so that two Variables, 2 * x and 1 == x all work. Comparisons give bool Tensors.
#define TENON_OPERATOR(op)                                        \
  TENON_API Tensor operator op(const Tensor& a, const Tensor& b); \
  TENON_API Tensor operator op(const Tensor& a, Scalar b);        \
  TENON_API Tensor operator op(Scalar a, const Tensor& b);
TENON_OPERATOR(+)
TENON_OPERATOR(-)
TENON_OPERATOR(*)
TENON_OPERATOR(/)
TENON_OPERATOR(%)
TENON_OPERATOR(==)
TENON_OPERATOR(!=)
TENON_OPERATOR(<)
TENON_OPERATOR(<=)
TENON_OPERATOR(>)
TENON_OPERATOR(>=)
TENON_OPERATOR(&)
TENON_OPERATOR(|)
TENON_OPERATOR(^)
#undef TENON_OPERATOR
TENON_API Tensor operator-(const Tensor& x);
TENON_API Tensor operator~(const Tensor& x);

/// Tensors from nothing.
TENON_API Tensor zeros(const Shape& shape, DType dtype = DType::kF32);
TENON_API Tensor ones(const Shape& shape, DType dtype = DType::kF32);
TENON_API Tensor full(const Shape& shape, Scalar value, DType dtype = DType::kF32);
/// A Tensor of those elements: array<float>({2, 2}, {1, 2, 3, 4}).
template <Element T>
Tensor array(std::vector<std::int64_t> dims, std::initializer_list<T> values) {
  return Tensor(Literal::from<T>(std::move(dims), values));
}

/// Random draws. With a seed the draw is a function of the seed alone; without, of the global generator, which
/// set_random_seed restarts. Counter-based (Philox 4x32-10), so the same on every machine.
namespace random {
TENON_API void set_random_seed(std::uint64_t seed);
struct NormalOptions {
  double mean = 0;
  double stddev = 1;
  DType dtype = DType::kF32;
  std::optional<std::uint64_t> seed = {};
};
TENON_API Tensor normal(const Shape& shape, NormalOptions options = {});
struct UniformOptions {
  double low = 0;
  double high = 1;
  DType dtype = DType::kF32;
  std::optional<std::uint64_t> seed = {};
};
TENON_API Tensor uniform(const Shape& shape, UniformOptions options = {});
}  // namespace random

}  // namespace tenon
