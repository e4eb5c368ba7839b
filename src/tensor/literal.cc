#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/poison.h"
#include "tenon/types.h"
#include "tensor/block_cache.h"
#include "tensor/sole_owner.h"

namespace tenon {

// Beyond what a process can address.
constexpr std::size_t kMostBytes = std::size_t{1} << 47;
// Large buffers ask for huge pages: fewer faults when they are filled, fewer misses when rows are gathered from them.
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kHugeFrom = 4 * kHugePage;

Buffer Buffer::allocate(std::size_t bytes, bool zero) {
  Buffer b;
  const std::size_t rounded = (std::max<std::size_t>(bytes, 1) + 63) / 64 * 64;
  const bool huge = bytes >= kHugeFrom;
  void* memory = nullptr;
  if (bytes <= kMostBytes && huge && ::posix_memalign(&memory, kHugePage, rounded) != 0) memory = nullptr;
  if (bytes <= kMostBytes && !huge) memory = AllocateBlock(rounded);
  if (memory == nullptr) fail(Code::kResourceExhausted, "Buffer: no memory for " + std::to_string(bytes) + " bytes");
  auto* const p = static_cast<std::byte*>(memory);
  if (huge) ::madvise(p, rounded / kHugePage * kHugePage, MADV_HUGEPAGE);  // a wish: may be refused
  if (zero) std::memset(p, 0, rounded);
  base::Poison(p + bytes, rounded - bytes);
  b.data_ = std::shared_ptr<std::byte>(p, [rounded](std::byte* q) { FreeBlock(q, rounded); });
  b.size_ = bytes;
  b.owned_ = true;
  return b;
}

Buffer Buffer::view(const std::byte* data, std::size_t bytes, std::shared_ptr<const void> owner) {
  Buffer b;
  // Never written through: unique() is false for a view.
  b.data_ = std::shared_ptr<std::byte>(std::const_pointer_cast<void>(std::move(owner)), const_cast<std::byte*>(data));
  b.size_ = bytes;
  return b;
}

Result<std::int64_t> checked_size(std::span<const std::int64_t> dims) {
  std::int64_t n = 1;
  bool zero = false;
  for (const std::int64_t d : dims) {
    if (d < 0) return Status(Code::kInvalidArgument, "shape " + Shape(dims).to_string() + ": got a negative dim");
    zero = zero || d == 0;
    if (d != 0 && __builtin_mul_overflow(n, d, &n))
      return Status(Code::kInvalidArgument, "shape " + Shape(dims).to_string() + ": more than 2^63 elements");
  }
  return zero ? std::int64_t{0} : n;
}

Result<std::size_t> checked_bytes(DType dtype, std::span<const std::int64_t> dims) {
  const Result<std::int64_t> size = checked_size(dims);
  if (!size.ok()) return size.status();
  std::int64_t bits = 0;
  if (__builtin_mul_overflow(*size, std::int64_t{dtype_bits(dtype)}, &bits))
    return Status(Code::kInvalidArgument, "shape " + Shape(dims).to_string() + ": more than 2^60 bytes");
  return static_cast<std::size_t>((bits + 7) / 8);
}

namespace {
constexpr std::int64_t kMostStrings = std::int64_t{1} << 38;  // 8 TiB of empty ones

std::shared_ptr<std::vector<std::string>> allocate_strings(std::int64_t n) {
  try {
    if (n > kMostStrings) throw std::bad_alloc();
    return std::make_shared<std::vector<std::string>>(static_cast<std::size_t>(n));
  } catch (const std::exception&) {  // bad_alloc, length_error
    fail(Code::kResourceExhausted, "Literal: no memory for " + std::to_string(n) + " strings");
  }
}
}  // namespace

Literal::Literal(const Shape& shape, DType dtype) : Literal(dtype, shape.values()) {}

Literal::Literal(DType dtype, std::vector<std::int64_t> dims) : dtype_(dtype), dims_(std::move(dims)) {
  size_ = checked_size(dims_).value();
  if (dtype == DType::kString)
    strings_ = allocate_strings(size_);
  else
    buffer_ = Buffer::allocate(checked_bytes(dtype, dims_).value(), true);
}

Literal Literal::uninitialized(DType dtype, std::vector<std::int64_t> dims) {
  if (dtype == DType::kString) return Literal(dtype, std::move(dims));
  Buffer buffer = Buffer::allocate(checked_bytes(dtype, dims).value(), false);
  return from_buffer(dtype, std::move(dims), std::move(buffer)).value();
}

Result<Literal> Literal::from_buffer(DType dtype, std::vector<std::int64_t> dims, Buffer buffer) {
  if (dtype == DType::kString) return Status(Code::kInvalidArgument, "Literal: strings have no buffer");
  const Result<std::size_t> bytes = checked_bytes(dtype, dims);
  if (!bytes.ok()) return bytes.status();
  if (*bytes != buffer.size())
    return Status(Code::kInvalidArgument, "Literal: got " + std::to_string(buffer.size()) + " bytes for " +
                                              std::string(dtype_name(dtype)) + Shape(dims).to_string() + ", expected " +
                                              std::to_string(*bytes));
  Literal out = [] {
    static const Literal empty;
    return empty;
  }();
  out.dtype_ = dtype;
  out.size_ = *checked_size(dims);
  out.dims_ = std::move(dims);
  out.buffer_ = std::move(buffer);
  return out;
}

Literal Literal::from_strings(std::vector<std::int64_t> dims, std::vector<std::string> strings) {
  Literal out(DType::kString, std::move(dims));
  if (static_cast<std::int64_t>(strings.size()) != out.size_)
    fail(Code::kInvalidArgument, "Literal: got " + std::to_string(strings.size()) + " strings for " +
                                     out.shape().to_string() + ", expected " + std::to_string(out.size_));
  *out.strings_ = std::move(strings);
  return out;
}

void Literal::check_dtype(DType wanted) const {
  if (dtype_ != wanted)
    fail(Code::kInvalidArgument, "Literal: asked for " + std::string(dtype_name(wanted)) + " elements, holds " +
                                     std::string(dtype_name(dtype_)));
}

std::span<std::byte> Literal::mutable_raw() & {
  if (!IsSoleOwner(buffer_) && buffer_.size() > 0) {
    Buffer copy = Buffer::allocate(buffer_.size(), false);
    std::memcpy(copy.mutable_data(), buffer_.data(), buffer_.size());
    buffer_ = std::move(copy);
  }
  return {buffer_.mutable_data(), buffer_.size()};
}

const std::vector<std::string>& Literal::strings() const& {
  check_dtype(DType::kString);
  return *strings_;
}

std::vector<std::string>& Literal::mutable_strings() & {
  check_dtype(DType::kString);
  if (strings_.use_count() > 1)
    strings_ = std::make_shared<std::vector<std::string>>(*strings_);
  else
    AfterLastRelease(strings_);
  return *strings_;
}

Literal Literal::reshaped(std::vector<std::int64_t> dims) const {
  const std::int64_t n = checked_size(dims).value();
  if (n != size_)
    fail(Code::kInvalidArgument, "Literal: " + shape().to_string() + " has " + std::to_string(size_) +
                                     " elements, cannot become " + Shape(dims).to_string());
  Literal out = *this;
  out.dims_ = std::move(dims);
  return out;
}

namespace {
template <class T>
double load(const std::byte* p, std::int64_t i) {
  T v;
  std::memcpy(&v, p + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return static_cast<double>(v);
}
double float8(std::uint8_t bits, int mantissa_bits, int bias, bool finite_only, bool unsigned_zero) {
  const int exponent_bits = 7 - mantissa_bits;
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = (bits & 0x80) != 0 ? -1 : 1;
  if (unsigned_zero && bits == 0x80) return NAN;
  if (!unsigned_zero && exponent == (1 << exponent_bits) - 1) {
    if (finite_only ? mantissa == (1 << mantissa_bits) - 1 : mantissa != 0) return NAN;
    if (!finite_only) return sign * INFINITY;
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}
}  // namespace

double Literal::at(std::int64_t i) const {
  if (i < 0 || i >= size_)
    fail(Code::kOutOfRange, "Literal: got element " + std::to_string(i) + " of " + std::to_string(size_));
  const std::byte* p = buffer_.data();
  switch (dtype_) {
    case DType::kBool:
      return std::to_integer<int>(p[i]) != 0 ? 1 : 0;
    case DType::kI8:
      return load<std::int8_t>(p, i);
    case DType::kI16:
      return load<std::int16_t>(p, i);
    case DType::kI32:
      return load<std::int32_t>(p, i);
    case DType::kI64:
      return load<std::int64_t>(p, i);
    case DType::kU8:
      return load<std::uint8_t>(p, i);
    case DType::kU16:
      return load<std::uint16_t>(p, i);
    case DType::kU32:
      return load<std::uint32_t>(p, i);
    case DType::kU64:
      return load<std::uint64_t>(p, i);
    case DType::kF16:
      return to_float(data<Half>()[static_cast<std::size_t>(i)]);
    case DType::kBF16:
      return to_float(data<BFloat16>()[static_cast<std::size_t>(i)]);
    case DType::kF32:
      return load<float>(p, i);
    case DType::kF64:
      return load<double>(p, i);
    case DType::kC64:
      return load<float>(p, 2 * i);
    case DType::kC128:
      return load<double>(p, 2 * i);
    case DType::kF8E4M3FN:
      return float8(std::to_integer<std::uint8_t>(p[i]), 3, 7, true, false);
    case DType::kF8E4M3FNUZ:
      return float8(std::to_integer<std::uint8_t>(p[i]), 3, 8, true, true);
    case DType::kF8E5M2:
      return float8(std::to_integer<std::uint8_t>(p[i]), 2, 15, false, false);
    case DType::kF8E5M2FNUZ:
      return float8(std::to_integer<std::uint8_t>(p[i]), 2, 16, true, true);
    case DType::kI4:
    case DType::kU4: {
      const int nibble = (std::to_integer<int>(p[i / 2]) >> (i % 2 * 4)) & 15;
      return dtype_ == DType::kI4 && nibble > 7 ? nibble - 16 : nibble;
    }
    case DType::kI2:
    case DType::kU2: {
      const int bits = (std::to_integer<int>(p[i / 4]) >> (i % 4 * 2)) & 3;
      return dtype_ == DType::kI2 && bits > 1 ? bits - 4 : bits;
    }
    case DType::kF4E2M1: {
      constexpr double kMagnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
      const unsigned nibble = (std::to_integer<unsigned>(p[i / 2]) >> (i % 2 * 4)) & 15;
      return nibble > 7 ? -kMagnitudes[nibble & 7] : kMagnitudes[nibble];
    }
    case DType::kF8E8M0: {
      const int exponent = std::to_integer<int>(p[i]);
      return exponent == 255 ? NAN : std::ldexp(1.0, exponent - 127);
    }
    case DType::kString:
      break;
  }
  fail(Code::kInvalidArgument, "Literal: strings have no numeric value");
}

namespace {
std::string real_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}
}  // namespace

std::string Literal::to_string(int max_elements) const {
  std::string out = std::string(dtype_name(dtype_)) + shape().to_string() + " {";
  for (std::int64_t i = 0; i < size_; ++i) {
    if (i > 0) out += ", ";
    if (i >= max_elements) {
      out += "…";
      break;
    }
    const auto n = static_cast<std::size_t>(i);
    switch (dtype_) {
      case DType::kString:
        out += '"' + (*strings_)[n] + '"';
        break;
      case DType::kI64:
        out += std::to_string(data<std::int64_t>()[n]);
        break;
      case DType::kU64:
        out += std::to_string(data<std::uint64_t>()[n]);
        break;
      case DType::kI32:
      case DType::kU32:
        out += std::to_string(static_cast<std::int64_t>(at(i)));
        break;
      case DType::kC64:
        out += real_text(at(i)) + "+" + real_text(data<std::complex<float>>()[n].imag()) + "i";
        break;
      case DType::kC128:
        out += real_text(at(i)) + "+" + real_text(data<std::complex<double>>()[n].imag()) + "i";
        break;
      default:
        out += real_text(at(i));
    }
  }
  return out + "}";
}

bool identical(const Literal& a, const Literal& b) {
  if (a.dtype_ != b.dtype_ || a.dims_ != b.dims_) return false;
  if (a.dtype_ == DType::kString) return *a.strings_ == *b.strings_;
  std::size_t whole = a.nbytes();
  const std::int64_t over = is_packed(a.dtype_) ? a.size_ % (8 / dtype_bits(a.dtype_)) : 0;
  if (over != 0) {  // the last high bits are no element
    --whole;
    const unsigned mask = (1U << (over * dtype_bits(a.dtype_))) - 1;
    if (((a.buffer_.data()[whole] ^ b.buffer_.data()[whole]) & static_cast<std::byte>(mask)) != std::byte{0})
      return false;
  }
  return whole == 0 || std::memcmp(a.buffer_.data(), b.buffer_.data(), whole) == 0;
}

}  // namespace tenon
