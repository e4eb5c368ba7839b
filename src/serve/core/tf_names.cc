#include "serve/core/tf_names.h"

#include <array>

namespace tenon::serve {
namespace {
struct Names {
  std::string_view type, enumerator;
};
constexpr std::array<Names, kNumDTypes> kNames = {{
    {"bool", "DT_BOOL"},
    {"int8", "DT_INT8"},
    {"int16", "DT_INT16"},
    {"int32", "DT_INT32"},
    {"int64", "DT_INT64"},
    {"uint8", "DT_UINT8"},
    {"uint16", "DT_UINT16"},
    {"uint32", "DT_UINT32"},
    {"uint64", "DT_UINT64"},
    {"half", "DT_HALF"},
    {"bfloat16", "DT_BFLOAT16"},
    {"float", "DT_FLOAT"},
    {"double", "DT_DOUBLE"},
    {"complex64", "DT_COMPLEX64"},
    {"complex128", "DT_COMPLEX128"},
    {"string", "DT_STRING"},
    {"float8_e4m3fn", "DT_FLOAT8_E4M3FN"},
    {"float8_e4m3fnuz", "DT_FLOAT8_E4M3FNUZ"},
    {"float8_e5m2", "DT_FLOAT8_E5M2"},
    {"float8_e5m2fnuz", "DT_FLOAT8_E5M2FNUZ"},
    {"int4", "DT_INT4"},
    {"uint4", "DT_UINT4"},
    {"float4_e2m1fn", "DT_FLOAT4_E2M1FN"},
    {"float8_e8m0fnu", "DT_INVALID"},
    {"int2", "DT_INT2"},
    {"uint2", "DT_UINT2"},
}};
}  // namespace

std::string_view TfTypeName(DType dtype) { return kNames[static_cast<std::size_t>(dtype)].type; }
std::string_view TfEnumName(DType dtype) { return kNames[static_cast<std::size_t>(dtype)].enumerator; }

}  // namespace tenon::serve
