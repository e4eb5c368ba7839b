// Dims and types of ONNX files and ours.
#pragma once
#include <string>
#include <unordered_map>

#include "formats/onnx/model.h"
#include "ir/type.h"

namespace tenon::onnx {

/// Turns the dims of one file into ours. dim_param texts are names or expressions over names: + - * // %, parentheses,
/// and floor_div, ceil_div, mod, min, max, broadcast (with capitals too, as PyTorch writes Max and Min). A text that is
/// neither becomes a symbol of a similar name, unique in the file. A dim that is neither number nor text, and the
/// number -1, which old writers use for it, is a fresh symbol each time.
class DimReader {
 public:
  Dim Read(const Dimension& dim);
  Dim Read(const std::string& text);

 private:
  std::unordered_map<std::string, Dim> known_;    // by text
  std::unordered_map<std::string, int> symbols_;  // names made for texts that are no expressions
};

/// The type of a value; kUnimplemented for opaque and sparse types and for element types that Tenon does not hold.
Result<ir::Type> ReadType(const TypeProto& type, DimReader& dims);
/// The reverse; dims that nobody named are left without a name.
TypeProto WriteType(const ir::Type& type);

}  // namespace tenon::onnx
