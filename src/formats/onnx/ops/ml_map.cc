// ai.onnx.ml: maps. A map is held as two values, its keys [n] and the numbers or texts under them: [n] of a map, [N, n]
// of N maps with the same keys. As inputs and outputs of the model they are called NAME.keys and NAME.values. Of equal
// keys the first counts.
#include <fmt/format.h>

#include "formats/onnx/ops/ml_util.h"
#include "formats/onnx/translator.h"

namespace tenon::onnx {
namespace {

constexpr std::int64_t kMostColumns = 1 << 24;

Result<Value> Keys(NodeContext& n) {
  const Value keys = n.translator().KeysOf(n.scope(), n.in(0));
  if (keys.valid()) return keys;
  return n.Unsupported(fmt::format("got {}, expected a map that is an input of the model or made beside this node",
                                   n.b.type(n.in(0)).to_string()));
}

// The values of several maps with the same keys are [N, n]: an operator on one map refuses them.
Status ExpectOneMap(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if (rank == 1) return {};
  return n.Fail(fmt::format("got a sequence of maps with values {}, expected one map", n.b.type(n.in(0)).to_string()));
}

Literal Nothing(DType dtype, const char* text) {
  return dtype == DType::kString ? Literal::from_strings({}, {text}) : ir::FromInts(dtype, {}, {0});
}

// [1, columns]: what stands under the wanted keys, in their order.
Value Row(NodeContext& n, Value wanted, Value keys, Value values, const Literal& otherwise) {
  const Value found = n.Add("lookup_values", {wanted, keys, values, n.b.Constant(otherwise)});
  return n.Add("expand_dims", {found}, {{"axes", Ints{0}}});
}

Status DictVectorizer(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Value keys, Keys(n));
  TENON_RETURN_IF_ERROR(ExpectOneMap(n));
  TENON_ASSIGN_OR_RETURN(const Literal vocabulary, ClassLabels(n, "int64_vocabulary", "string_vocabulary"));
  if (n.dtype(keys) != vocabulary.dtype())
    return n.Fail(fmt::format("got a map of {} for a vocabulary of {}", dtype_name(n.dtype(keys)),
                              dtype_name(vocabulary.dtype())));
  n.Out(0, Row(n, n.b.Constant(vocabulary), keys, n.in(0), Nothing(n.dtype(0), "")));
  return {};
}

Status CastMap(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Value keys, Keys(n));
  TENON_RETURN_IF_ERROR(ExpectOneMap(n));
  if (n.dtype(keys) != DType::kI64)
    return n.Fail(fmt::format("got a map of {}, expected i64", dtype_name(n.dtype(keys))));
  const std::string to = n.String("cast_to", "TO_FLOAT"), form = n.String("map_form", "DENSE");
  DType dtype = DType::kF32;
  if (to == "TO_STRING") {
    dtype = DType::kString;
  } else if (to == "TO_INT64") {
    dtype = DType::kI64;
  } else if (to != "TO_FLOAT") {
    return n.Fail(fmt::format("cast_to is \"{}\", expected TO_FLOAT, TO_STRING or TO_INT64", to));
  }
  Value values = n.in(0);
  if (n.dtype(0) == DType::kString && dtype != DType::kString) {
    values = n.Add("parse_number", {values}, {{"dtype", dtype == DType::kI64 ? DType::kF64 : dtype}});  // "1.5" is 1
  } else if (n.dtype(0) != DType::kString && dtype == DType::kString) {
    values = n.Add("to_string", {values});
  }
  values = n.b.Cast(values, dtype);
  if (form == "DENSE") {  // in the order of the keys
    const Value first = n.b.AddAll("unique", {keys})[1];
    n.Out(0,
          n.Add("expand_dims", {n.Add("gather", {values, first}, {{"axis", std::int64_t{0}}})}, {{"axes", Ints{0}}}));
    return {};
  }
  if (form != "SPARSE") return n.Fail(fmt::format("map_form is \"{}\", expected DENSE or SPARSE", form));
  const std::int64_t columns = n.Int("max_map", 1);
  if (columns < 0 || columns > kMostColumns)
    return n.Fail(fmt::format("max_map is {}, expected 0 to {}", columns, kMostColumns));
  // ONNX Runtime fills up texts with "0.f".
  n.Out(0, Row(n, n.Iota(columns, DType::kI64), keys, values, Nothing(dtype, "0.f")));
  return {};
}

// A map from label to number for each row.
Status ZipMap(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Literal labels, ClassLabels(n, "classlabels_int64s", "classlabels_strings"));
  if (shape.rank() < 1 || shape.rank() > 2 || Dim::equal(shape[-1], labels.size()) == Truth::kNo)
    return n.Fail(fmt::format("{} labels for {}", labels.size(), shape.to_string()));
  // A number of columns that only the run knows is checked by the reshape.
  const bool as_is = shape.rank() == 2 && Dim::equal(shape[-1], labels.size()) == Truth::kYes;
  const Dim rows = shape.rank() == 1 ? Dim(1) : shape[0];
  n.OutMap(0, n.b.Constant(labels),
           as_is ? n.Add("identity", {n.in(0)}) : Value(n.Reshape(n.in(0), {rows, labels.size()})));
  return {};
}

const OpRow kRows[] = {
    {"DictVectorizer", 1, 1, 1, "int64_vocabulary:is string_vocabulary:ss", DictVectorizer, {}, kMlDomain, true},
    {"CastMap", 1, 1, 1, "cast_to:s map_form:s max_map:i", CastMap, {}, kMlDomain, true},
    {"ZipMap", 1, 1, 1, "classlabels_strings:ss classlabels_int64s:is", ZipMap, {}, kMlDomain},
};

}  // namespace
const std::span<const OpRow> kMlMapRows = kRows;
}  // namespace tenon::onnx
