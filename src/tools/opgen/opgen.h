// opgen: what is written from the op records. Pure functions from a family to the text of a file.
#pragma once
#include <map>
#include <string>

#include "ir/op_table.h"
#include "tenon/status.h"

namespace tenon::opgen {

/// include/tenon/ops/<family>.h, src/eager/generated/<family>.cc and docs/ops/<family>.md. The first two are empty when
/// the family has no public op.
std::string Header(const ir::OpFamily& family);
std::string Source(const ir::OpFamily& family);
std::string Page(const ir::OpFamily& family);
/// include/tenon/ops.h, src/ir/op_names.h, docs/ops/README.md: of all families.
std::string AllHeader();
std::string NamesHeader();
std::string Index();

/// Every generated file by its path below the root of the source tree.
std::map<std::string, std::string> Files();
/// Writes what differs and removes generated files that no family gives any more.
Status Write(const std::string& root);
/// kFailedPrecondition that lists the files that differ, lack or are too many.
Status Check(const std::string& root);

// Shared by the writers.

/// Ops whose public function is written by hand or that have none: with sub-graphs, with values that are no tensors,
/// and those of core.
bool IsPublic(const ir::OpFamily& family, const ir::OpDef& op);
/// "leaky_relu" -> "LeakyRelu".
std::string Camel(std::string_view name);
/// "floats", "real numbers", "i32, i64", …
std::string DTypes(ir::DTypeSet set);
/// A number that reads back as the same double: "0.2", "1e-05", "1".
std::string Number(double value);
/// The text broken into lines of at most 120 characters, each behind `prefix`.
std::string Comment(std::string_view prefix, std::string_view text);
/// The C++ default of an attribute: "0.2", "\"same\"", "DType::kF32", "{}".
std::string Default(const ir::AttrSpec& spec);
std::string CppDType(DType dtype);

}  // namespace tenon::opgen
