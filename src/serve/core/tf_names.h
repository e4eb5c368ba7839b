// TensorFlow's names of element types, as replies and messages show them.
#pragma once
#include <string_view>

#include "tenon/types.h"

namespace tenon::serve {
std::string_view TfTypeName(DType dtype);  // "float", "int32", "string", …
std::string_view TfEnumName(DType dtype);  // "DT_FLOAT", …; "DT_INVALID" for a type that TensorFlow has not
}  // namespace tenon::serve
