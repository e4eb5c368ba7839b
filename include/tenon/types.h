// DType, Dim, Shape, Literal: the dense values that everything else passes around.
#pragma once
#include <complex>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/status.h"

namespace tenon {

/// Element types. kF8*, kF4E2M1 and the integers of 4 and 2 bits are storage: they can be held, cast, loaded and saved,
/// not computed with. kF8E8M0 holds powers of two only, 2^-127 to 2^127, and NaN.
enum class DType : std::uint8_t {
  kBool,
  kI8,
  kI16,
  kI32,
  kI64,
  kU8,
  kU16,
  kU32,
  kU64,
  kF16,
  kBF16,
  kF32,
  kF64,
  kC64,
  kC128,
  kString,
  kF8E4M3FN,
  kF8E4M3FNUZ,
  kF8E5M2,
  kF8E5M2FNUZ,
  kI4,
  kU4,
  kF4E2M1,
  kF8E8M0,
  kI2,
  kU2,
};
inline constexpr int kNumDTypes = 26;

/// "f32", "bf16", "i4", …: the name used in text forms, messages and options.
TENON_API std::string_view dtype_name(DType dtype);
/// The reverse of dtype_name; also takes NumPy's names ("float32", "int64", "bool").
TENON_API std::optional<DType> dtype_from_name(std::string_view name);
/// Bits per element; 4 for kI4, kU4, kF4E2M1, 2 for kI2, kU2, 0 for kString.
TENON_API int dtype_bits(DType dtype);
TENON_API bool is_packed(DType dtype);   // several elements a byte, the first in the low bits
TENON_API bool is_float(DType dtype);    // f16, bf16, f32, f64 and the f8 and f4 kinds
TENON_API bool is_integer(DType dtype);  // signed and unsigned, of 4 and 2 bits too; not bool
TENON_API bool is_signed_integer(DType dtype);
TENON_API bool is_complex(DType dtype);

/// IEEE binary16 and bfloat16 by their bits; conversion rounds to nearest even.
struct Half {
  std::uint16_t bits = 0;
};
struct BFloat16 {
  std::uint16_t bits = 0;
};
TENON_API float to_float(Half value);
TENON_API float to_float(BFloat16 value);
TENON_API Half to_half(float value);
TENON_API BFloat16 to_bfloat16(float value);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::kBool;
};
template <>
struct DTypeOf<std::int8_t> {
  static constexpr DType value = DType::kI8;
};
template <>
struct DTypeOf<std::int16_t> {
  static constexpr DType value = DType::kI16;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::kI64;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::kU8;
};
template <>
struct DTypeOf<std::uint16_t> {
  static constexpr DType value = DType::kU16;
};
template <>
struct DTypeOf<std::uint32_t> {
  static constexpr DType value = DType::kU32;
};
template <>
struct DTypeOf<std::uint64_t> {
  static constexpr DType value = DType::kU64;
};
template <>
struct DTypeOf<Half> {
  static constexpr DType value = DType::kF16;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<std::complex<float>> {
  static constexpr DType value = DType::kC64;
};
template <>
struct DTypeOf<std::complex<double>> {
  static constexpr DType value = DType::kC128;
};

/// The C++ types whose spans a Literal gives out.
template <class T>
concept Element = requires { DTypeOf<T>::value; };

/// Yes, no, or not known before run time.
enum class Truth { kNo, kYes, kUnknown };

struct DimExpr;  // a polynomial over symbols and the functions below; immutable and shared

/// A dimension: a number, or an expression over symbols known only at run time. Every symbol is an integer >= 0
/// (0 and 1 included). Expressions are kept in a polynomial normal form, so equal polynomials compare equal.
/// Converts from integers, never silently to one. A value type; any thread.
/// Arithmetic throws kInvalidArgument on a division by 0 or a result beyond 64 bits, kResourceExhausted on an
/// expression of more than 4096 terms or 16384 characters in one call.
class TENON_API Dim {
 public:
  Dim() = default;
  template <std::integral T>
  Dim(T n) : n_(static_cast<std::int64_t>(n)) {}
  /// The symbol of that name (not empty); the same name is the same symbol within one graph.
  static Dim symbol(std::string name);
  /// A fresh symbol, different from every other one made so far in this process.
  static Dim any();
  static Dim floor_div(const Dim& a, const Dim& b);
  static Dim ceil_div(const Dim& a, const Dim& b);
  static Dim mod(const Dim& a, const Dim& b);  // sign of the divisor, as in Python
  static Dim min(const Dim& a, const Dim& b);
  static Dim max(const Dim& a, const Dim& b);
  /// NumPy's rule for one axis: the other one where one is 1, else both must be equal. Throws kInvalidArgument for two
  /// different numbers.
  static Dim broadcast(const Dim& a, const Dim& b);

  bool is_symbolic() const { return expr_ != nullptr; }
  /// The number; throws kFailedPrecondition when symbolic.
  std::int64_t value() const;
  std::optional<std::int64_t> try_value() const;
  /// The value under `lookup` (symbol name -> number); kFailedPrecondition names the first symbol that it lacks.
  Result<std::int64_t> evaluate(const std::function<std::optional<std::int64_t>(std::string_view)>& lookup) const;
  /// The expression with some symbols replaced; `lookup` gives nullopt for those to keep.
  Dim substitute(const std::function<std::optional<Dim>(std::string_view)>& lookup) const;
  /// The names of its symbols, sorted, each once.
  std::vector<std::string> symbols() const;
  /// The symbol's name when the expression is one bare symbol, else empty.
  std::string_view symbol_name() const;
  /// "4", "batch", "2*time + 1", "floor_div(n, 2)": parses back with parse().
  std::string to_string() const;
  static Result<Dim> parse(std::string_view text);

  friend TENON_API Dim operator+(const Dim& a, const Dim& b);
  friend TENON_API Dim operator-(const Dim& a, const Dim& b);
  friend TENON_API Dim operator*(const Dim& a, const Dim& b);
  /// Known to be equal. For "known to differ" ask equal().
  friend TENON_API bool operator==(const Dim& a, const Dim& b);
  static Truth equal(const Dim& a, const Dim& b);

 private:
  friend struct DimExpr;
  std::int64_t n_ = 0;
  std::shared_ptr<const DimExpr> expr_;
};

/// The dims of a tensor of known rank.
class TENON_API Shape {
 public:
  Shape(std::initializer_list<Dim> dims = {}) : dims_(dims) {}
  explicit Shape(std::vector<Dim> dims) : dims_(std::move(dims)) {}
  explicit Shape(std::span<const std::int64_t> dims) : dims_(dims.begin(), dims.end()) {}
  int rank() const { return static_cast<int>(dims_.size()); }
  /// Negative axes count from the end; throws kOutOfRange outside [-rank, rank).
  const Dim& operator[](int axis) const;
  const Dim& back() const { return (*this)[-1]; }
  const std::vector<Dim>& dims() const { return dims_; }
  bool is_static() const;
  /// The numbers; throws kFailedPrecondition when a dim is symbolic.
  std::vector<std::int64_t> values() const;
  /// The product of the dims (1 for rank 0).
  Dim size() const;
  std::string to_string() const;  // "[batch, 3]"
  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::vector<Dim> dims_;
};
TENON_API std::ostream& operator<<(std::ostream& out, const Dim& dim);
TENON_API std::ostream& operator<<(std::ostream& out, const Shape& shape);

enum class Device : std::uint8_t { kCpu };

/// Bytes, 64-byte aligned when allocated here, shared by reference count, or a view of something that `owner` keeps
/// alive (a mapped file). Immutable while shared.
class TENON_API Buffer {
 public:
  Buffer() = default;
  /// Zeroed when `zero`. Throws kResourceExhausted when the memory is not there.
  static Buffer allocate(std::size_t bytes, bool zero);
  static Buffer view(const std::byte* data, std::size_t bytes, std::shared_ptr<const void> owner);
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  /// May be written: allocated here and held by nobody else.
  bool unique() const { return owned_ && data_.use_count() == 1; }
  std::byte* mutable_data() { return data_.get(); }

 private:
  std::shared_ptr<std::byte> data_;
  std::size_t size_ = 0;
  bool owned_ = false;
};

/// A dense value: dtype, concrete dims, row-major contiguous elements. Value semantics: copies share the storage until
/// one of them writes. Elements of 4 and 2 bits are packed, the first in the low bits of its byte. Reading from several
/// threads is safe.
class TENON_API Literal {
 public:
  /// Zeros (empty strings) of that shape. Throws kInvalidArgument on a symbolic or negative dim or a size that
  /// overflows, kResourceExhausted when the memory is not there.
  explicit Literal(const Shape& shape = {}, DType dtype = DType::kF32);
  Literal(DType dtype, std::vector<std::int64_t> dims);
  /// The same without zeroing: every element must be written before it is read.
  static Literal uninitialized(DType dtype, std::vector<std::int64_t> dims);
  /// Elements in `buffer`; kInvalidArgument when its size is not that of the dims.
  static Result<Literal> from_buffer(DType dtype, std::vector<std::int64_t> dims, Buffer buffer);
  static Literal from_strings(std::vector<std::int64_t> dims, std::vector<std::string> strings);
  template <Element T>
  static Literal from(std::vector<std::int64_t> dims, std::span<const T> values);
  template <Element T>
  static Literal from(std::vector<std::int64_t> dims, std::initializer_list<T> values) {
    return from<T>(std::move(dims), std::span<const T>(values.begin(), values.size()));
  }
  template <Element T>
  static Literal scalar(T value) {
    return from<T>({}, std::span<const T>(&value, 1));
  }
  static Literal scalar(std::string value) { return from_strings({}, {std::move(value)}); }

  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  const std::vector<std::int64_t>& dims() const { return dims_; }
  Shape shape() const { return Shape(std::span<const std::int64_t>(dims_)); }
  int rank() const { return static_cast<int>(dims_.size()); }
  std::int64_t size() const { return size_; }            // elements
  std::size_t nbytes() const { return buffer_.size(); }  // 0 for strings

  /// The elements. Throws kInvalidArgument unless T is the element type.
  template <Element T>
  std::span<const T> data() const& {
    check_dtype(DTypeOf<T>::value);
    return {reinterpret_cast<const T*>(buffer_.data()), static_cast<std::size_t>(size_)};
  }
  template <Element T>
  std::span<const T> data() const&& = delete;  // would dangle
  /// The same for writing; copies the storage first when it is shared.
  template <Element T>
  std::span<T> mutable_data() & {
    check_dtype(DTypeOf<T>::value);
    return {reinterpret_cast<T*>(mutable_raw().data()), static_cast<std::size_t>(size_)};
  }
  std::span<const std::byte> raw() const& { return {buffer_.data(), buffer_.size()}; }
  std::span<std::byte> mutable_raw() &;
  const Buffer& buffer() const& { return buffer_; }
  const std::vector<std::string>& strings() const&;
  std::vector<std::string>& mutable_strings() &;

  /// The same elements under other dims of the same size; shares the storage. Throws kInvalidArgument otherwise.
  Literal reshaped(std::vector<std::int64_t> dims) const;
  /// Element i widened: any real dtype (bool is 0 or 1; complex gives the real part). Slow; for tests and messages.
  double at(std::int64_t i) const;
  /// A short text: "f32[2, 3] {1, 2, …}".
  std::string to_string(int max_elements = 8) const;
  /// Same dtype, dims and bits (NaN equals NaN of the same bits).
  friend TENON_API bool identical(const Literal& a, const Literal& b);

 private:
  void check_dtype(DType wanted) const;
  DType dtype_ = DType::kF32;
  Device device_ = Device::kCpu;
  std::vector<std::int64_t> dims_;
  std::int64_t size_ = 1;
  Buffer buffer_;
  std::shared_ptr<std::vector<std::string>> strings_;
};

template <Element T>
Literal Literal::from(std::vector<std::int64_t> dims, std::span<const T> values) {
  Literal literal = uninitialized(DTypeOf<T>::value, std::move(dims));
  std::span<T> out = literal.mutable_data<T>();
  if (out.size() != values.size())
    fail(Code::kInvalidArgument, "Literal: got " + std::to_string(values.size()) + " values for " +
                                     literal.shape().to_string() + ", expected " + std::to_string(out.size()));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[i];
  return literal;
}

/// Element count and byte size of dims; kInvalidArgument for a negative dim or when the product overflows.
TENON_API Result<std::int64_t> checked_size(std::span<const std::int64_t> dims);
TENON_API Result<std::size_t> checked_bytes(DType dtype, std::span<const std::int64_t> dims);

}  // namespace tenon
