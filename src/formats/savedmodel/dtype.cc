#include "formats/savedmodel/dtype.h"

namespace tenon::savedmodel {
namespace {

struct Row {
  TfType type;
  const char* name;
  std::optional<DType> dtype;
  bool quantized = false;
};

constexpr Row kRows[] = {
    {TfType::kFloat, "DT_FLOAT", DType::kF32},
    {TfType::kDouble, "DT_DOUBLE", DType::kF64},
    {TfType::kInt32, "DT_INT32", DType::kI32},
    {TfType::kUint8, "DT_UINT8", DType::kU8},
    {TfType::kInt16, "DT_INT16", DType::kI16},
    {TfType::kInt8, "DT_INT8", DType::kI8},
    {TfType::kString, "DT_STRING", DType::kString},
    {TfType::kComplex64, "DT_COMPLEX64", DType::kC64},
    {TfType::kInt64, "DT_INT64", DType::kI64},
    {TfType::kBool, "DT_BOOL", DType::kBool},
    {TfType::kQint8, "DT_QINT8", DType::kI8, true},
    {TfType::kQuint8, "DT_QUINT8", DType::kU8, true},
    {TfType::kQint32, "DT_QINT32", DType::kI32, true},
    {TfType::kBfloat16, "DT_BFLOAT16", DType::kBF16},
    {TfType::kQint16, "DT_QINT16", DType::kI16, true},
    {TfType::kQuint16, "DT_QUINT16", DType::kU16, true},
    {TfType::kUint16, "DT_UINT16", DType::kU16},
    {TfType::kComplex128, "DT_COMPLEX128", DType::kC128},
    {TfType::kHalf, "DT_HALF", DType::kF16},
    {TfType::kResource, "DT_RESOURCE", std::nullopt},
    {TfType::kVariant, "DT_VARIANT", std::nullopt},
    {TfType::kUint32, "DT_UINT32", DType::kU32},
    {TfType::kUint64, "DT_UINT64", DType::kU64},
    {TfType::kFloat8E5M2, "DT_FLOAT8_E5M2", DType::kF8E5M2},
    {TfType::kFloat8E4M3FN, "DT_FLOAT8_E4M3FN", DType::kF8E4M3FN},
    {TfType::kFloat8E4M3FNUZ, "DT_FLOAT8_E4M3FNUZ", DType::kF8E4M3FNUZ},
    {TfType::kFloat8E4M3B11FNUZ, "DT_FLOAT8_E4M3B11FNUZ", std::nullopt},
    {TfType::kFloat8E5M2FNUZ, "DT_FLOAT8_E5M2FNUZ", DType::kF8E5M2FNUZ},
    {TfType::kInt4, "DT_INT4", DType::kI4},
    {TfType::kUint4, "DT_UINT4", DType::kU4},
};

const Row* RowOf(TfType type) {
  for (const Row& row : kRows)
    if (row.type == type) return &row;
  return nullptr;
}

}  // namespace

TfType BaseType(TfType type) {
  const auto number = static_cast<std::int32_t>(type);
  return number > 100 ? static_cast<TfType>(number - 100) : type;
}

std::string TfTypeName(TfType type) {
  const TfType base = BaseType(type);
  const Row* row = RowOf(base);
  if (row == nullptr) return "type " + std::to_string(static_cast<std::int32_t>(type));
  return std::string(row->name) + (base == type ? "" : "_REF");
}

std::optional<DType> DTypeOfTf(TfType type) {
  const Row* row = RowOf(BaseType(type));
  return row == nullptr ? std::nullopt : row->dtype;
}

TfType TfOfDType(DType dtype) {
  for (const Row& row : kRows)
    if (row.dtype == dtype && !row.quantized) return row.type;
  return TfType::kInvalid;
}

int StoredBytes(TfType type) {
  const std::optional<DType> dtype = DTypeOfTf(type);
  return dtype ? (dtype_bits(*dtype) + 7) / 8 : 0;
}

}  // namespace tenon::savedmodel
