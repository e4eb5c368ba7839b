// The table of all ops. ir, autograd, compiler and formats see ops only through it.
#pragma once
#include <span>
#include <string_view>

#include "ir/op_def.h"

namespace tenon::ir {

struct OpFamily {
  std::string_view name;  // the file's stem: elementwise, reduce, …
  std::span<const OpDef> ops;
};
/// Every family, sorted by name. Defined in the generated op_table.cc.
std::span<const OpFamily> OpFamilies();
/// The record of that name, or null. Records live for the whole run: compare pointers.
const OpDef* FindOp(std::string_view name);
/// The record of a name that must exist; kInternal otherwise.
const OpDef& GetOp(std::string_view name);

}  // namespace tenon::ir
