// Constants, casts, fills.
#include <fmt/format.h>

#include "formats/onnx/data_type.h"
#include "formats/onnx/ops/families.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

Status Constant(NodeContext& n) {
  int given = 0;
  Literal value;
  for (const Attribute& attribute : n.node.attributes) {
    const std::string& name = attribute.name;
    ++given;
    if (name == "value" || name == "sparse_value") {
      TENON_ASSIGN_OR_RETURN(value, n.TensorAttr(name));
    } else if (name == "value_float") {
      value = Literal::scalar(static_cast<float>(n.Float(name, 0)));
    } else if (name == "value_int") {
      value = Literal::scalar(n.Int(name, 0));
    } else if (name == "value_string") {
      value = Literal::scalar(n.String(name, ""));
    } else if (name == "value_floats") {
      const std::vector<double> list = n.FloatList(name);
      value = ir::FromDoubles(DType::kF32, {static_cast<std::int64_t>(list.size())}, list);
    } else if (name == "value_ints") {
      const Ints list = n.IntList(name);
      value = ir::FromInts(DType::kI64, {static_cast<std::int64_t>(list.size())}, list);
    } else {
      const std::vector<std::string> list = n.StringList(name);
      value = Literal::from_strings({static_cast<std::int64_t>(list.size())}, list);
    }
  }
  if (given != 1) return n.Fail(fmt::format("got {} values, expected exactly one", given));
  n.Out(0, n.b.Constant(std::move(value)));
  return {};
}

Result<DType> CastTarget(NodeContext& n) {
  if (!n.HasAttr("to")) return n.Fail("the attribute \"to\" is missing");
  const Attribute* to = n.Find("to");
  if (to->type == AttributeType::kString) {  // opset 1: the type's name
    const std::string name = n.String("to", "");
    for (DataTypeNumber number = 1; number <= kInt2; ++number) {
      std::string upper = DataTypeName(number);
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      if (upper == name) return ToDType(number);
    }
    return n.Fail(fmt::format("to is \"{}\", which is no type", name));
  }
  const std::int64_t number = n.Int("to", 0);
  if (number < 0 || number > 1000) return n.Fail(fmt::format("to is {}, which is no type", number));
  return ToDType(static_cast<DataTypeNumber>(number));
}

Status CastTo(NodeContext& n, DType to) {
  const DType from = n.dtype(0);
  if (from == to) {
    n.Out(0, n.Add("identity", {n.in(0)}));
    return {};
  }
  if (is_complex(from) != is_complex(to) && (from == DType::kString || to == DType::kString))
    return n.Unsupported("a cast between complex numbers and strings");
  if (to == DType::kString) {
    n.Out(0, n.Add("to_string", {n.in(0)}));
    return {};
  }
  if (from == DType::kString) {
    n.Out(0, n.Add("parse_number", {n.in(0)}, {{"dtype", to}}));
    return {};
  }
  const std::string rounding = n.String("round_mode", "up");
  if (rounding != "up" && rounding != "down" && rounding != "nearest")
    return n.Fail(fmt::format("round_mode is \"{}\"", rounding));
  Value x = n.in(0);
  if (is_float(to) && dtype_bits(to) == 8) {
    const bool saturate = n.Int("saturate", 1) != 0;
    if (!saturate || to == DType::kF8E8M0) {
      if (!is_float(from) || dtype_bits(from) <= 8) x = n.b.Cast(x, DType::kF32);
      n.Out(0, n.Add("cast_narrow", {x},
                     {{"dtype", to},
                      {"saturate", saturate},
                      {"rounding", to == DType::kF8E8M0 ? rounding : std::string("nearest")}}));
      return {};
    }
  }
  // Integers of 4 and 2 bits wrap: through a wide one.
  if (is_packed(to) && is_integer(to) && is_float(from)) x = n.b.Cast(x, DType::kI32);
  n.Out(0, n.b.Cast(x, to));
  return {};
}

Status CastOp(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const DType to, CastTarget(n));
  return CastTo(n, to);
}
Status BitCast(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const DType to, CastTarget(n));
  n.Out(0, n.Add("bitcast", {n.in(0)}, {{"dtype", to}}));
  return {};
}
Status CastLike(NodeContext& n) { return CastTo(n, n.dtype(1)); }

// A value of one element, broadcast to dims that an input gives.
Status Fill(NodeContext& n, const Literal& value, int input) {
  const Value scalar = n.b.Constant(value.reshaped({}));
  if (const std::optional<std::vector<Dim>> dims = n.Symbolic(n.in(input))) {
    for (const Dim& dim : *dims)
      if (dim.try_value().value_or(0) < 0) return n.Fail(fmt::format("a dim is {}", dim.to_string()));
    n.Out(0, n.Broadcast(scalar, *dims));
  } else {
    n.Out(0, n.Add("broadcast_to", {scalar, n.b.Cast(n.in(input), DType::kI64)}));
  }
  return {};
}

Status ConstantOfShape(NodeContext& n) {
  Literal value = Literal::scalar(0.0f);
  if (n.HasAttr("value")) {
    TENON_ASSIGN_OR_RETURN(value, n.TensorAttr("value"));
    if (value.size() != 1) return n.Fail(fmt::format("value has {} elements, expected 1", value.size()));
  }
  return Fill(n, value, 0);
}

Status EyeLike(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  if (shape.rank() != 2) return n.Fail(fmt::format("got rank {}, expected 2", shape.rank()));
  DType to = n.dtype(0);
  if (n.HasAttr("dtype")) {
    TENON_ASSIGN_OR_RETURN(to, ToDType(static_cast<DataTypeNumber>(n.Int("dtype", 0))));
  }
  const Ex row = n.Reshape(n.Iota(shape[0], DType::kI64), {shape[0], 1});
  const Ex column = n.Iota(shape[1], DType::kI64) - static_cast<double>(n.Int("k", 0));
  n.Out(0, n.b.Cast(Op("equal", row, column), to));
  return {};
}

const OpRow kRows[] = {
    {"Constant", 0, 0, 1,
     "value:t sparse_value:st value_float:f value_floats:fs value_int:i value_ints:is value_string:s value_strings:ss",
     Constant},
    {"Cast", 1, 1, 1, "to:i/s saturate:i round_mode:s", CastOp},
    {"BitCast", 1, 1, 1, "to:i", BitCast},
    {"CastLike", 2, 2, 1, "saturate:i round_mode:s", CastLike},
    {"ConstantOfShape", 1, 1, 1, "value:t", ConstantOfShape},
    {"EyeLike", 1, 1, 1, "dtype:i k:i", EyeLike},
};

}  // namespace
const std::span<const OpRow> kTypeRows = kRows;
}  // namespace tenon::onnx
