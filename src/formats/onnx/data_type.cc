#include "formats/onnx/data_type.h"

#include <fmt/format.h>

#include <array>

namespace tenon::onnx {
namespace {

struct Row {
  std::string_view name;
  std::optional<DType> dtype;
};

// Indexed by the number in the file.
constexpr std::array<Row, 27> kRows = {{
    {"undefined", {}},
    {"float", DType::kF32},
    {"uint8", DType::kU8},
    {"int8", DType::kI8},
    {"uint16", DType::kU16},
    {"int16", DType::kI16},
    {"int32", DType::kI32},
    {"int64", DType::kI64},
    {"string", DType::kString},
    {"bool", DType::kBool},
    {"float16", DType::kF16},
    {"double", DType::kF64},
    {"uint32", DType::kU32},
    {"uint64", DType::kU64},
    {"complex64", DType::kC64},
    {"complex128", DType::kC128},
    {"bfloat16", DType::kBF16},
    {"float8e4m3fn", DType::kF8E4M3FN},
    {"float8e4m3fnuz", DType::kF8E4M3FNUZ},
    {"float8e5m2", DType::kF8E5M2},
    {"float8e5m2fnuz", DType::kF8E5M2FNUZ},
    {"uint4", DType::kU4},
    {"int4", DType::kI4},
    {"float4e2m1", DType::kF4E2M1},
    {"float8e8m0", DType::kF8E8M0},
    {"uint2", DType::kU2},
    {"int2", DType::kI2},
}};

constexpr bool InTable(DataTypeNumber number) { return number >= 0 && number < static_cast<int>(kRows.size()); }

}  // namespace

std::string DataTypeName(DataTypeNumber number) {
  return InTable(number) ? std::string(kRows[static_cast<std::size_t>(number)].name)
                         : fmt::format("data type {}", number);
}

Result<DType> ToDType(DataTypeNumber number) {
  if (number == 0 || !InTable(number))
    return Status(Code::kInvalidArgument,
                  fmt::format("data type {} does not exist in ONNX, expected 1 to {}", number, kRows.size() - 1));
  const Row& row = kRows[static_cast<std::size_t>(number)];
  if (!row.dtype) return Status(Code::kUnimplemented, fmt::format("data type {} is not supported", row.name));
  return *row.dtype;
}

DataTypeNumber FromDType(DType dtype) {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].dtype == dtype) return static_cast<DataTypeNumber>(i);
  return 0;
}

std::string_view AttributeTypeName(AttributeType type) {
  constexpr std::string_view kNames[] = {"undefined",      "float", "int",     "string",  "tensor", "graph",
                                         "floats",         "ints",  "strings", "tensors", "graphs", "sparse tensor",
                                         "sparse tensors", "type",  "types"};
  return kNames[static_cast<int>(type)];
}

}  // namespace tenon::onnx
