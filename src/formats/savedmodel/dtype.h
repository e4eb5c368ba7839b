// TensorFlow's numbers for element types.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "tenon/types.h"

namespace tenon::savedmodel {

/// tensorflow.DataType. Numbers beyond these occur in files too; 100 is added for reference types.
enum class TfType : std::int32_t {
  kInvalid = 0,
  kFloat = 1,
  kDouble = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt16 = 5,
  kInt8 = 6,
  kString = 7,
  kComplex64 = 8,
  kInt64 = 9,
  kBool = 10,
  kQint8 = 11,
  kQuint8 = 12,
  kQint32 = 13,
  kBfloat16 = 14,
  kQint16 = 15,
  kQuint16 = 16,
  kUint16 = 17,
  kComplex128 = 18,
  kHalf = 19,
  kResource = 20,
  kVariant = 21,
  kUint32 = 22,
  kUint64 = 23,
  kFloat8E5M2 = 24,
  kFloat8E4M3FN = 25,
  kFloat8E4M3FNUZ = 26,
  kFloat8E4M3B11FNUZ = 27,
  kFloat8E5M2FNUZ = 28,
  kInt4 = 29,
  kUint4 = 30,
};

/// "DT_FLOAT"; "DT_FLOAT_REF"; "type 77" for a number without a name.
std::string TfTypeName(TfType type);
/// The type without its reference mark.
TfType BaseType(TfType type);
/// The type that holds its elements, for a reference type too. The quantized integers are held as plain ones. None for
/// resources, variants and types that Tenon has not.
std::optional<DType> DTypeOfTf(TfType type);
/// Every DType has a number.
TfType TfOfDType(DType dtype);
/// Bytes per element in TensorBundle files, where int4 and uint4 take a byte each; 0 for strings and unknown types.
int StoredBytes(TfType type);

}  // namespace tenon::savedmodel
