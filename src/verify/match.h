// Which value of one function is which of the other.
#pragma once
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "verify/record.h"

namespace tenon::verify {

/// How a value was found: at the border (inputs, variables, outputs), by its name, by its provenance, by type and
/// elements, as the result of the same kind of node behind the same operands, as the k-th one of its op and type.
enum class How : std::uint8_t { kBorder, kName, kProvenance, kValue, kStructure, kPosition };
std::string_view HowName(How how);

struct Found {
  ir::Value value;  // of the other function
  How how;
};
using Matches = std::unordered_map<ir::Value, Found, ir::ValueHash>;

/// One side: its function and its run in float64.
struct Known {
  const ir::Function& function;
  const Recorded& wide;
};

/// The values of `expected` for which one of `got` was found; no value of `got` is given twice, unless it is two
/// outputs. Names first, then provenance; what is left is matched by elements (equal within `64` epsilons of its
/// dtype), then by structure, then by position.
Matches MatchValues(const Known& expected, const Known& got, const std::vector<std::size_t>& input_map,
                    const std::vector<std::size_t>& output_map);

/// The name by which people know a value: its own, else that of its provenance, else empty.
std::string NameOf(const ir::Record& record);

/// Same dims, and all elements within 64 epsilons of `dtype` of the largest one. Strings must be equal.
bool SameElements(const Literal& a, const Literal& b, DType dtype);

/// By node: whether it is constant, computed from constants only, or a variable.
std::vector<bool> ConstantNodes(const ir::Function& function);

}  // namespace tenon::verify
