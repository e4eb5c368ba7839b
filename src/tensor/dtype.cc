#include <array>
#include <bit>
#include <cstring>

#include "tenon/types.h"

namespace tenon {
namespace {

enum Class : std::uint8_t { kOther, kSigned, kUnsigned, kFloat, kComplex };
struct Info {
  std::string_view name;
  std::string_view numpy;
  int bits;
  Class kind;
};
constexpr std::array<Info, kNumDTypes> kInfo = {{
    {"bool", "bool", 8, kOther},
    {"i8", "int8", 8, kSigned},
    {"i16", "int16", 16, kSigned},
    {"i32", "int32", 32, kSigned},
    {"i64", "int64", 64, kSigned},
    {"u8", "uint8", 8, kUnsigned},
    {"u16", "uint16", 16, kUnsigned},
    {"u32", "uint32", 32, kUnsigned},
    {"u64", "uint64", 64, kUnsigned},
    {"f16", "float16", 16, kFloat},
    {"bf16", "bfloat16", 16, kFloat},
    {"f32", "float32", 32, kFloat},
    {"f64", "float64", 64, kFloat},
    {"c64", "complex64", 64, kComplex},
    {"c128", "complex128", 128, kComplex},
    {"string", "str", 0, kOther},
    {"f8e4m3fn", "float8_e4m3fn", 8, kFloat},
    {"f8e4m3fnuz", "float8_e4m3fnuz", 8, kFloat},
    {"f8e5m2", "float8_e5m2", 8, kFloat},
    {"f8e5m2fnuz", "float8_e5m2fnuz", 8, kFloat},
    {"i4", "int4", 4, kSigned},
    {"u4", "uint4", 4, kUnsigned},
    {"f4e2m1", "float4_e2m1fn", 4, kFloat},
    {"f8e8m0", "float8_e8m0fnu", 8, kFloat},
    {"i2", "int2", 2, kSigned},
    {"u2", "uint2", 2, kUnsigned},
}};
const Info& info(DType dtype) { return kInfo[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::string_view dtype_name(DType dtype) { return info(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kInfo.size(); ++i)
    if (kInfo[i].name == name || kInfo[i].numpy == name) return static_cast<DType>(i);
  return std::nullopt;
}

int dtype_bits(DType dtype) { return info(dtype).bits; }
bool is_packed(DType dtype) { return info(dtype).bits == 4 || info(dtype).bits == 2; }
bool is_float(DType dtype) { return info(dtype).kind == kFloat; }
bool is_integer(DType dtype) { return info(dtype).kind == kSigned || info(dtype).kind == kUnsigned; }
bool is_signed_integer(DType dtype) { return info(dtype).kind == kSigned; }
bool is_complex(DType dtype) { return info(dtype).kind == kComplex; }

float to_float(BFloat16 value) { return std::bit_cast<float>(std::uint32_t{value.bits} << 16); }

BFloat16 to_bfloat16(float value) {
  std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};  // quiet NaN
  bits += 0x7fffU + ((bits >> 16) & 1U);
  return {static_cast<std::uint16_t>(bits >> 16)};
}

float to_float(Half value) {
  const std::uint32_t sign = (value.bits & 0x8000U) << 16;
  const std::uint32_t exponent = (value.bits >> 10) & 0x1fU;
  const std::uint32_t mantissa = value.bits & 0x3ffU;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;  // subnormal or zero
  return sign != 0 ? -magnitude : magnitude;
}

Half to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return {static_cast<std::uint16_t>(sign | 0x7e00U | ((magnitude >> 13) & 0x3ffU))};
  if (magnitude >= 0x477ff000U) return {static_cast<std::uint16_t>(sign | 0x7c00U)};  // rounds to infinity
  if (magnitude < 0x38800000U) {  // subnormal: let the float adder round to a multiple of 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return {static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000U))};
  }
  const std::uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
  return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13))};
}

}  // namespace tenon
