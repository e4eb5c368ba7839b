// ai.onnx.ml: encoders, scalers and linear models.
#include <fmt/format.h>

#include <cmath>

#include "formats/onnx/ops/ml_util.h"
#include "formats/onnx/translator.h"

namespace tenon::onnx {
namespace {

// Columns picked from the last axis.
Status ArrayFeatureExtractor(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape places, n.ShapeOf(n.in(1)));
  if (shape.rank() == 0) return n.Fail("got a scalar, expected an axis to pick from");
  const Ex x = shape.rank() == 1 ? n.Reshape(n.in(0), {1, shape[0]}) : n.x(0);
  const Ex index = n.Reshape(n.b.Cast(n.in(1), DType::kI64), {places.size()});
  n.Out(0, n.Add("gather", {x, index}, {{"axis", std::int64_t{shape.rank() == 1 ? 1 : shape.rank() - 1}}}));
  return {};
}

Status Binarizer(NodeContext& n) {
  const Ex above = Op("greater", n.x(0), n.Scalar(n.Float("threshold", 0), n.dtype(0)));
  n.Out(0, n.b.Cast(above, n.dtype(0)));
  return {};
}

Status Lookup(NodeContext& n, Literal keys, const Literal& values, const Literal& otherwise) {
  if (keys.dtype() != n.dtype(0)) {
    // Numbers of another type: keys in the type of the input.
    if (keys.dtype() == DType::kString || n.dtype(0) == DType::kString)
      return n.Fail(fmt::format("got {} and keys {}", n.b.type(n.in(0)).to_string(), keys.to_string()));
    TENON_ASSIGN_OR_RETURN(keys, ir::Convert(keys, n.dtype(0)));
  }
  if (keys.rank() != 1 || values.rank() != 1 || keys.size() != values.size())
    return n.Fail(fmt::format("{} keys for {} values", keys.size(), values.size()));
  if (otherwise.size() != 1)
    return n.Fail(fmt::format("the default is {}, expected one element", otherwise.to_string()));
  n.Out(0, n.Add("lookup_values",
                 {n.in(0), n.b.Constant(keys), n.b.Constant(values), n.b.Constant(otherwise.reshaped({}))}));
  return {};
}

// One of the attributes <side>_tensor, <side>_strings, <side>_int64s, <side>_floats.
Result<Literal> Side(NodeContext& n, const std::string& side) {
  if (n.HasAttr(side + "_tensor")) return n.TensorAttr(side + "_tensor");
  if (n.HasAttr(side + "_strings")) return Vector(n.StringList(side + "_strings"));
  if (n.HasAttr(side + "_int64s")) return Vector(n.IntList(side + "_int64s"));
  if (n.HasAttr(side + "_floats")) return Vector(DType::kF32, n.FloatList(side + "_floats"));
  return n.Fail(fmt::format("the attribute \"{}_…\" is missing", side));
}
Result<Literal> DefaultFor(NodeContext& n, DType dtype) {
  if (n.HasAttr("default_tensor")) return n.TensorAttr("default_tensor");
  if (dtype == DType::kString) return Vector(std::vector<std::string>{n.String("default_string", "_Unused")});
  if (is_float(dtype)) return Vector(dtype, {n.Float("default_float", -0.0)});
  return ir::FromInts(dtype, {1}, {n.Int("default_int64", -1)});
}

Status LabelEncoder(NodeContext& n) {
  if (n.opset < 2) {  // strings to their numbers, or back
    const std::vector<std::string> classes = n.StringList("classes_strings");
    Ints numbers;
    for (std::size_t i = 0; i < classes.size(); ++i) numbers.push_back(static_cast<std::int64_t>(i));
    const bool to_number = n.dtype(0) == DType::kString;
    TENON_ASSIGN_OR_RETURN(const Literal otherwise, DefaultFor(n, to_number ? DType::kI64 : DType::kString));
    return to_number ? Lookup(n, Vector(classes), Vector(numbers), otherwise)
                     : Lookup(n, Vector(numbers), Vector(classes), otherwise);
  }
  TENON_ASSIGN_OR_RETURN(Literal keys, Side(n, "keys"));
  TENON_ASSIGN_OR_RETURN(const Literal values, Side(n, "values"));
  TENON_ASSIGN_OR_RETURN(const Literal otherwise, DefaultFor(n, values.dtype()));
  return Lookup(n, std::move(keys), values, otherwise);
}

Status CategoryMapper(NodeContext& n) {
  const Literal strings = Vector(n.StringList("cats_strings")), numbers = Vector(n.IntList("cats_int64s"));
  const bool to_number = n.dtype(0) == DType::kString;
  TENON_ASSIGN_OR_RETURN(const Literal otherwise, DefaultFor(n, to_number ? DType::kI64 : DType::kString));
  return to_number ? Lookup(n, strings, numbers, otherwise) : Lookup(n, numbers, strings, otherwise);
}

// A constant for every feature, or one for all.
Result<Ex> PerFeature(NodeContext& n, std::string_view attr, double otherwise) {
  const std::vector<double> list = n.FloatList(attr);
  if (list.empty()) return n.Scalar(otherwise, DType::kF32);
  return n.ex(n.b.Constant(Vector(DType::kF32, list)));
}
Status Scaler(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Ex offset, PerFeature(n, "offset", 0));
  TENON_ASSIGN_OR_RETURN(const Ex scale, PerFeature(n, "scale", 1));
  n.Out(0, (n.ex(n.b.Cast(n.in(0), DType::kF32)) - offset) * scale);
  return {};
}

Status Normalizer(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if (rank < 1) return n.Fail("got a scalar, expected rows");
  const Ints axis = {rank - 1};
  const Ex x = n.ex(n.b.Cast(n.in(0), DType::kF32));
  const std::string norm = n.String("norm", "MAX");
  Ex size;
  if (norm == "MAX") {
    size = n.Reduce("reduce_max", Op("abs", x), axis, true);
  } else if (norm == "L1") {
    size = n.Reduce("reduce_sum", Op("abs", x), axis, true);
  } else if (norm == "L2") {
    size = Op("sqrt", n.Reduce("reduce_sum", x * x, axis, true));
  } else {
    return n.Fail(fmt::format("norm is \"{}\", expected MAX, L1 or L2", norm));
  }
  n.Out(0, x / Op("maximum", size, n.Scalar(1e-30, DType::kF32)));
  return {};
}

// x [n, features] · coefficients^T + intercepts: [n, targets].
Result<Ex> Linear(NodeContext& n, std::int64_t targets) {
  TENON_ASSIGN_OR_RETURN(const Ex x, Rows(n));
  const std::vector<double> weights = n.FloatList("coefficients"), offsets = n.FloatList("intercepts");
  const auto count = static_cast<std::int64_t>(weights.size());
  if (targets < 1 || count == 0 || count % targets != 0)
    return n.Fail(fmt::format("{} coefficients for {} targets", count, targets));
  const Literal w = ir::FromDoubles(DType::kF32, {targets, count / targets}, weights);
  Ex y = n.Apply("matmul", {x, n.b.Constant(w)}, {{"transpose_y", true}});
  if (!offsets.empty()) {
    if (static_cast<std::int64_t>(offsets.size()) != targets)
      return n.Fail(fmt::format("{} intercepts for {} targets", offsets.size(), targets));
    y = y + n.ex(n.b.Constant(Vector(DType::kF32, offsets)));
  }
  return y;
}
Status LinearRegressor(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Ex scores, Linear(n, n.Int("targets", 1)));
  TENON_ASSIGN_OR_RETURN(const Ex y, PostTransform(n, scores));
  n.Out(0, y);
  return {};
}
Status LinearClassifier(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Literal labels, ClassLabels(n, "classlabels_ints", "classlabels_strings"));
  const auto offsets = static_cast<std::int64_t>(n.FloatList("intercepts").size());
  const bool two_of_one = labels.size() == 2 && (offsets == 1 || offsets == 0);
  TENON_ASSIGN_OR_RETURN(Ex scores, Linear(n, two_of_one && offsets == 1 ? 1 : labels.size()));
  // Two classes may share one score: the first class gets its negative.
  if (two_of_one && offsets == 1) scores = n.Apply("concat", {-scores, scores}, {{"axis", std::int64_t{1}}});
  TENON_ASSIGN_OR_RETURN(const Ex y, PostTransform(n, scores));
  const Value best = n.Add("argmax", {y}, {{"axis", std::int64_t{1}}});
  n.Out(0, LabelAt(n, labels, best));
  n.Out(1, y);
  return {};
}

Status OneHotEncoder(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Literal categories, ClassLabels(n, "cats_int64s", "cats_strings"));
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if ((categories.dtype() == DType::kString) != (n.dtype(0) == DType::kString))
    return n.Fail(fmt::format("got {} for categories {}", n.b.type(n.in(0)).to_string(), categories.to_string()));
  Value x = n.in(0);
  if (n.dtype(0) != DType::kString) x = n.b.Cast(x, DType::kI64);
  const Value column = n.Add("expand_dims", {x}, {{"axes", Ints{rank}}});
  // `zeros` = 0 asks for an error at a category that is not listed; its row is zeros here all the same.
  n.Out(0, n.b.Cast(n.Add("equal", {column, n.b.Constant(categories)}), DType::kF32));
  return {};
}

Status Imputer(NodeContext& n) {
  const DType dtype = n.dtype(0);
  const bool ints = is_integer(dtype);
  const std::size_t count =
      ints ? n.IntList("imputed_value_int64s").size() : n.FloatList("imputed_value_floats").size();
  if (count == 0) return n.Fail(fmt::format("the values for {} are missing", dtype_name(dtype)));
  const Literal filled =
      ints ? ir::FromInts(dtype, {static_cast<std::int64_t>(count)}, n.IntList("imputed_value_int64s"))
           : Vector(dtype, n.FloatList("imputed_value_floats"));
  const Ex x = n.x(0);
  Ex missing;
  if (ints) {
    missing = Op("equal", x, n.ex(n.b.Constant(ir::FromInts(dtype, {}, {n.Int("replaced_value_int64", 0)}))));
  } else {
    const double mark = n.Float("replaced_value_float", 0);
    missing = std::isnan(mark) ? Op("is_nan", x) : Op("equal", x, n.Scalar(mark, dtype));
  }
  n.Out(0, Select(missing, n.ex(n.b.Constant(count == 1 ? filled.reshaped({}) : filled)), x));
  return {};
}

// Inputs side by side, each cut or filled up with zeros to its number of columns.
Status FeatureVectorizer(NodeContext& n) {
  const Ints widths = n.IntList("inputdimensions");
  std::vector<Value> parts;
  for (int i = 0; i < n.num_inputs(); ++i) {
    TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(i)));
    if (shape.rank() != 1 && shape.rank() != 2)
      return n.Fail(fmt::format("input {} is {}, expected rank 1 or 2", i, n.b.type(n.in(i)).to_string()));
    Ex x = n.ex(n.b.Cast(n.in(i), DType::kF32));
    if (shape.rank() == 1) x = n.Reshape(x, {shape[0], 1});
    if (static_cast<std::size_t>(i) < widths.size()) {
      const std::int64_t want = widths[static_cast<std::size_t>(i)];
      const std::optional<std::int64_t> have = shape.rank() == 1 ? 1 : shape[1].try_value();
      if (want < 0 || want > 1 << 24) return n.Fail(fmt::format("inputdimensions holds {}", want));
      if (!have) return n.Unsupported("an input of an unknown number of columns");
      if (*have > want) x = n.SliceAxis(x, 1, 0, want);
      if (*have < want) x = n.Apply("pad", {x}, {{"low", Shape{0, 0}}, {"high", Shape{0, want - *have}}});
    }
    parts.push_back(x);
  }
  n.Out(0, n.Add("concat", std::move(parts), {{"axis", std::int64_t{1}}}));
  return {};
}

const OpRow kRows[] = {
    {"ArrayFeatureExtractor", 2, 2, 1, "", ArrayFeatureExtractor, {}, kMlDomain},
    {"Binarizer", 1, 1, 1, "threshold:f", Binarizer, {}, kMlDomain},
    {"LabelEncoder",
     1,
     1,
     1,
     "keys_strings:ss keys_int64s:is keys_floats:fs keys_tensor:t values_strings:ss values_int64s:is values_floats:fs "
     "values_tensor:t default_string:s default_int64:i default_float:f default_tensor:t classes_strings:ss",
     LabelEncoder,
     {},
     kMlDomain},
    {"CategoryMapper",
     1,
     1,
     1,
     "cats_int64s:is cats_strings:ss default_int64:i default_string:s",
     CategoryMapper,
     {},
     kMlDomain},
    {"Scaler", 1, 1, 1, "offset:fs scale:fs", Scaler, {}, kMlDomain},
    {"Normalizer", 1, 1, 1, "norm:s", Normalizer, {}, kMlDomain},
    {"LinearRegressor",
     1,
     1,
     1,
     "coefficients:fs intercepts:fs post_transform:s targets:i",
     LinearRegressor,
     {},
     kMlDomain},
    {"LinearClassifier",
     1,
     1,
     2,
     "classlabels_ints:is classlabels_strings:ss coefficients:fs intercepts:fs multi_class:i post_transform:s",
     LinearClassifier,
     {},
     kMlDomain},
    {"OneHotEncoder", 1, 1, 1, "cats_int64s:is cats_strings:ss zeros:i", OneHotEncoder, {}, kMlDomain},
    {"Imputer",
     1,
     1,
     1,
     "imputed_value_floats:fs imputed_value_int64s:is replaced_value_float:f replaced_value_int64:i",
     Imputer,
     {},
     kMlDomain},
    {"FeatureVectorizer", 1, -1, 1, "inputdimensions:is", FeatureVectorizer, {}, kMlDomain},
};

}  // namespace
const std::span<const OpRow> kMlRows = kRows;
}  // namespace tenon::onnx
