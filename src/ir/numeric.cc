#include "ir/numeric.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ir/narrow.h"

namespace tenon::ir {
namespace {

template <class T>
T SaturateFromDouble(double v) {
  if (std::isnan(v)) return 0;
  if (v <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  if (v >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  return static_cast<T>(v);
}

// A double to f16: through the exact spacing, so that there is no double rounding by way of float.
Half HalfFromDouble(double v) {
  const float f = static_cast<float>(v);
  if (std::isnan(v) || std::isinf(f) || static_cast<double>(f) == v) return to_half(f);
  // Round to odd in float: keeps enough for the second rounding to be right.
  float odd = f;
  std::uint32_t bits = 0;
  std::memcpy(&bits, &odd, 4);
  if ((bits & 1U) == 0) odd = std::nextafterf(f, static_cast<double>(f) < v ? INFINITY : -INFINITY);
  return to_half(odd);
}
BFloat16 BFloat16FromDouble(double v) {
  const float f = static_cast<float>(v);
  if (std::isnan(v) || std::isinf(f) || static_cast<double>(f) == v) return to_bfloat16(f);
  float odd = f;
  std::uint32_t bits = 0;
  std::memcpy(&bits, &odd, 4);
  if ((bits & 1U) == 0) odd = std::nextafterf(f, static_cast<double>(f) < v ? INFINITY : -INFINITY);
  return to_bfloat16(odd);
}

void SetBits(std::span<std::byte> raw, std::size_t i, unsigned bits, unsigned value) {
  const unsigned each = 8 / bits, shift = static_cast<unsigned>(i % each) * bits, mask = (1U << bits) - 1;
  raw[i / each] =
      (raw[i / each] & ~(static_cast<std::byte>(mask) << shift)) | (static_cast<std::byte>(value & mask) << shift);
}

void CheckCount(const Literal& literal, std::size_t n) {
  if (static_cast<std::size_t>(literal.size()) != n)
    fail(Code::kInternal, "numeric: got " + std::to_string(n) + " values for " + literal.shape().to_string());
}

template <class T, class V, class F>
void Fill(Literal& out, const V& values, F convert) {
  const std::span<T> data = out.mutable_data<T>();
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = convert(values[i]);
}

template <class W, class T>
std::vector<W> Widen(const Literal& literal) {
  const std::span<const T> data = literal.data<T>();
  std::vector<W> out(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) out[i] = static_cast<W>(data[i]);
  return out;
}

}  // namespace

Literal ScalarLiteral(double value, DType dtype) { return FromDoubles(dtype, {}, {value}); }

std::vector<double> ToDoubles(const Literal& literal) {
  switch (literal.dtype()) {
    case DType::kF32:
      return Widen<double, float>(literal);
    case DType::kF64:
      return Widen<double, double>(literal);
    case DType::kI32:
      return Widen<double, std::int32_t>(literal);
    case DType::kI64:
      return Widen<double, std::int64_t>(literal);
    default:
      break;
  }
  std::vector<double> out(static_cast<std::size_t>(literal.size()));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = literal.at(static_cast<std::int64_t>(i));
  return out;
}

std::vector<std::int64_t> ToInts(const Literal& literal) {
  switch (literal.dtype()) {
    case DType::kBool:
      return Widen<std::int64_t, bool>(literal);
    case DType::kI8:
      return Widen<std::int64_t, std::int8_t>(literal);
    case DType::kI16:
      return Widen<std::int64_t, std::int16_t>(literal);
    case DType::kI32:
      return Widen<std::int64_t, std::int32_t>(literal);
    case DType::kI64:
      return Widen<std::int64_t, std::int64_t>(literal);
    case DType::kU8:
      return Widen<std::int64_t, std::uint8_t>(literal);
    case DType::kU16:
      return Widen<std::int64_t, std::uint16_t>(literal);
    case DType::kU32:
      return Widen<std::int64_t, std::uint32_t>(literal);
    case DType::kU64:
      return Widen<std::int64_t, std::uint64_t>(literal);
    default:
      break;
  }
  const std::vector<double> wide = ToDoubles(literal);
  std::vector<std::int64_t> out(wide.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = SaturateFromDouble<std::int64_t>(wide[i]);
  return out;
}

std::vector<std::complex<double>> ToComplex(const Literal& literal) {
  if (literal.dtype() == DType::kC64) return Widen<std::complex<double>, std::complex<float>>(literal);
  if (literal.dtype() == DType::kC128) return Widen<std::complex<double>, std::complex<double>>(literal);
  const std::vector<double> wide = ToDoubles(literal);
  return {wide.begin(), wide.end()};
}

Literal FromDoubles(DType dtype, std::vector<std::int64_t> dims, const std::vector<double>& values) {
  Literal out(dtype, std::move(dims));
  CheckCount(out, values.size());
  switch (dtype) {
    case DType::kBool:
      Fill<bool>(out, values, [](double v) { return v != 0; });
      break;
    case DType::kI8:
      Fill<std::int8_t>(out, values, SaturateFromDouble<std::int8_t>);
      break;
    case DType::kI16:
      Fill<std::int16_t>(out, values, SaturateFromDouble<std::int16_t>);
      break;
    case DType::kI32:
      Fill<std::int32_t>(out, values, SaturateFromDouble<std::int32_t>);
      break;
    case DType::kI64:
      Fill<std::int64_t>(out, values, SaturateFromDouble<std::int64_t>);
      break;
    case DType::kU8:
      Fill<std::uint8_t>(out, values, SaturateFromDouble<std::uint8_t>);
      break;
    case DType::kU16:
      Fill<std::uint16_t>(out, values, SaturateFromDouble<std::uint16_t>);
      break;
    case DType::kU32:
      Fill<std::uint32_t>(out, values, SaturateFromDouble<std::uint32_t>);
      break;
    case DType::kU64:
      Fill<std::uint64_t>(out, values, SaturateFromDouble<std::uint64_t>);
      break;
    case DType::kF16:
      Fill<Half>(out, values, HalfFromDouble);
      break;
    case DType::kBF16:
      Fill<BFloat16>(out, values, BFloat16FromDouble);
      break;
    case DType::kF32:
      Fill<float>(out, values, [](double v) { return static_cast<float>(v); });
      break;
    case DType::kF64:
      Fill<double>(out, values, [](double v) { return v; });
      break;
    case DType::kC64:
      Fill<std::complex<float>>(out, values, [](double v) { return std::complex<float>(static_cast<float>(v)); });
      break;
    case DType::kC128:
      Fill<std::complex<double>>(out, values, [](double v) { return std::complex<double>(v); });
      break;
    case DType::kI4:
    case DType::kI2: {
      const unsigned bits = dtype == DType::kI4 ? 4 : 2;
      const double half = bits == 4 ? 8 : 2;
      for (std::size_t i = 0; i < values.size(); ++i)
        SetBits(out.mutable_raw(), i, bits,
                static_cast<unsigned>(
                    static_cast<int>(std::isnan(values[i]) ? 0 : std::clamp(values[i], -half, half - 1))));
      break;
    }
    case DType::kU4:
    case DType::kU2: {
      const unsigned bits = dtype == DType::kU4 ? 4 : 2;
      for (std::size_t i = 0; i < values.size(); ++i)
        SetBits(out.mutable_raw(), i, bits,
                static_cast<unsigned>(std::isnan(values[i]) ? 0 : std::clamp(values[i], 0.0, bits == 4 ? 15.0 : 3.0)));
      break;
    }
    case DType::kF4E2M1:
      for (std::size_t i = 0; i < values.size(); ++i)
        SetBits(out.mutable_raw(), i, 4, NarrowCode(values[i], dtype, NarrowRules()));
      break;
    case DType::kString:
      fail(Code::kInternal, "numeric: strings have no numeric value");
    default:
      for (std::size_t i = 0; i < values.size(); ++i)
        out.mutable_raw()[i] = static_cast<std::byte>(NarrowCode(values[i], dtype, NarrowRules()));
  }
  return out;
}

Literal FromInts(DType dtype, std::vector<std::int64_t> dims, const std::vector<std::int64_t>& values) {
  if (!is_integer(dtype) && dtype != DType::kBool) {
    if (dtype == DType::kF64 || dtype == DType::kC128 || dtype == DType::kF32) {
      std::vector<double> wide(values.begin(), values.end());
      if (dtype == DType::kF32) {  // one rounding, not two
        Literal out(dtype, std::move(dims));
        CheckCount(out, values.size());
        Fill<float>(out, values, [](std::int64_t v) { return static_cast<float>(v); });
        return out;
      }
      return FromDoubles(dtype, std::move(dims), wide);
    }
    return FromDoubles(dtype, std::move(dims), std::vector<double>(values.begin(), values.end()));
  }
  Literal out(dtype, std::move(dims));
  CheckCount(out, values.size());
  switch (dtype) {
    case DType::kBool:
      Fill<bool>(out, values, [](std::int64_t v) { return v != 0; });
      break;
    case DType::kI8:
      Fill<std::int8_t>(out, values, [](std::int64_t v) { return static_cast<std::int8_t>(v); });
      break;
    case DType::kI16:
      Fill<std::int16_t>(out, values, [](std::int64_t v) { return static_cast<std::int16_t>(v); });
      break;
    case DType::kI32:
      Fill<std::int32_t>(out, values, [](std::int64_t v) { return static_cast<std::int32_t>(v); });
      break;
    case DType::kI64:
      Fill<std::int64_t>(out, values, [](std::int64_t v) { return v; });
      break;
    case DType::kU8:
      Fill<std::uint8_t>(out, values, [](std::int64_t v) { return static_cast<std::uint8_t>(v); });
      break;
    case DType::kU16:
      Fill<std::uint16_t>(out, values, [](std::int64_t v) { return static_cast<std::uint16_t>(v); });
      break;
    case DType::kU32:
      Fill<std::uint32_t>(out, values, [](std::int64_t v) { return static_cast<std::uint32_t>(v); });
      break;
    case DType::kU64:
      Fill<std::uint64_t>(out, values, [](std::int64_t v) { return static_cast<std::uint64_t>(v); });
      break;
    default:
      for (std::size_t i = 0; i < values.size(); ++i)
        SetBits(out.mutable_raw(), i, static_cast<unsigned>(dtype_bits(dtype)), static_cast<unsigned>(values[i] & 15));
  }
  return out;
}

Literal FromComplex(DType dtype, std::vector<std::int64_t> dims, const std::vector<std::complex<double>>& values) {
  if (!is_complex(dtype)) {
    std::vector<double> real(values.size());
    for (std::size_t i = 0; i < real.size(); ++i) real[i] = values[i].real();
    return FromDoubles(dtype, std::move(dims), real);
  }
  Literal out(dtype, std::move(dims));
  CheckCount(out, values.size());
  if (dtype == DType::kC64)
    Fill<std::complex<float>>(out, values, [](std::complex<double> v) { return std::complex<float>(v); });
  else
    Fill<std::complex<double>>(out, values, [](std::complex<double> v) { return v; });
  return out;
}

Result<Literal> Convert(const Literal& literal, DType dtype) {
  if (literal.dtype() == dtype) return literal;
  if (literal.dtype() == DType::kString || dtype == DType::kString)
    return Status(Code::kInvalidArgument, "cast: got " + std::string(dtype_name(literal.dtype())) + " to " +
                                              std::string(dtype_name(dtype)) + ", strings do not convert");
  if (is_complex(literal.dtype())) return FromComplex(dtype, literal.dims(), ToComplex(literal));
  if (is_integer(literal.dtype()) || literal.dtype() == DType::kBool) {
    // u64 beyond the signed range: through doubles when the target is not an integer.
    if (literal.dtype() == DType::kU64 && !is_integer(dtype))
      return FromDoubles(dtype, literal.dims(), ToDoubles(literal));
    return FromInts(dtype, literal.dims(), ToInts(literal));
  }
  return FromDoubles(dtype, literal.dims(), ToDoubles(literal));
}

}  // namespace tenon::ir
