// ParseExample, ParseExampleV2, ParseSingleExample: a parse_example for each dense feature of fixed shape, a
// parse_example_lists for each other one. A sparse tensor is three values (indices, values, shape), a ragged one two.
#include <fmt/format.h>

#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Names = std::vector<std::string>;

/// What the three ops say in three ways: the keys, and where the default values of the dense features begin.
struct Features {
  Names sparse, dense, ragged;
  int defaults = 0;
};

const AttrList* ListOf(const OpContext& c, std::string_view name) {
  const AttrValue* attr = c.Attr(name);
  const auto* list = attr == nullptr ? nullptr : attr->get<std::shared_ptr<const AttrList>>();
  return list == nullptr ? nullptr : list->get();
}

std::optional<DType> TypeAt(const OpContext& c, std::string_view attr, std::size_t i) {
  const AttrList* list = ListOf(c, attr);
  return list == nullptr || i >= list->type.size() ? std::nullopt : DTypeOfTf(list->type[i]);
}

bool IsFeature(std::optional<DType> dtype) {
  return dtype == DType::kF32 || dtype == DType::kI64 || dtype == DType::kString;
}

/// parse_example_lists: values, indices, row_splits.
std::vector<Value> Lists(OpContext& c, Value examples, const std::string& key, DType dtype, std::int64_t multiple = 1) {
  return c.b.AddAll("parse_example_lists", {examples}, {{"key", key}, {"dtype", dtype}, {"multiple", multiple}});
}

/// The most values that an example has, divided by `unit`, as an i64[1] that is a dim of what follows.
Value Width(OpContext& c, Value splits, std::int64_t unit) {
  const Dim count = c.shape(splits)[0];
  const Value next = c.b.Add("slice", {splits}, {{"starts", Shape{1}}, {"limits", Shape{count}}});
  const Value first = c.b.Add("slice", {splits}, {{"starts", Shape{0}}, {"limits", Shape{count - Dim(1)}}});
  const Value none = c.b.Constant(Literal::from<std::int64_t>({1}, {0}));
  const Value lengths = c.b.Add("concat", {none, c.b.Add("subtract", {next, first})}, {{"axis", std::int64_t{0}}});
  Value longest = c.b.Add("reduce_max", {lengths}, {{"axes", std::vector<std::int64_t>{0}}, {"keep_dims", true}});
  if (unit > 1) longest = c.b.Add("floor_divide", {longest, c.b.Constant(Literal::from<std::int64_t>({1}, {unit}))});
  return c.b.Add("as_dims", {longest}, {{"symbols", Names{std::string(Dim::any().symbol_name())}}});
}

/// Indices, values and shape of a sparse feature; of one example without its dim.
Status Sparse(OpContext& c, Value examples, bool single, std::size_t i, const std::string& key) {
  const std::size_t count = static_cast<std::size_t>(c.Int(c.node.op == "ParseExample" ? "Nsparse" : "num_sparse", 0));
  const std::optional<DType> dtype = TypeAt(c, "sparse_types", i);
  if (!IsFeature(dtype)) return c.Fail(fmt::format("sparse feature {:?} is no float, int64 or string", key));
  const std::vector<Value> made = Lists(c, examples, key, *dtype);
  if (made.size() != 3) return {};
  const Value width = Width(c, made[2], 1);
  Value indices = made[1], shape = width;
  if (single) {
    indices = c.b.Add("slice", {indices}, {{"starts", Shape{0, 1}}, {"limits", Shape({c.shape(indices)[0], Dim(2)})}});
  } else {
    const Value rows = c.b.Add("shape_of", {examples}, {{"dtype", DType::kI64}});
    shape = c.b.Add("concat", {rows, width}, {{"axis", std::int64_t{0}}});
  }
  c.Set(static_cast<int>(i), indices);
  c.Set(static_cast<int>(count + i), made[0]);
  c.Set(static_cast<int>(2 * count + i), shape);
  return {};
}

/// A dense feature whose first dim is open: as long as the longest example, filled up with the default value.
Status Padded(OpContext& c, Value examples, bool single, int output, const std::string& key,
              const std::vector<std::int64_t>& dims, Value fill) {
  std::int64_t unit = 1;
  for (std::size_t d = 1; d < dims.size(); ++d) {
    if (dims[d] < 0 || dims[d] > (1 << 28) || unit * dims[d] > (1 << 28))
      return c.Unsupported(fmt::format("feature {:?} has a shape that is not fixed", key));
    unit *= dims[d];
  }
  if (unit == 0) return c.Unsupported(fmt::format("feature {:?} has no elements", key));
  const std::vector<Value> made = Lists(c, examples, key, c.b.dtype(fill), unit);
  if (made.size() != 3) return {};
  const Value width = Width(c, made[2], unit);
  if (!c.b.ok()) return {};
  const ir::SymbolicValue& symbolic = c.b.graph().output(width).symbolic;
  if (!symbolic) return c.Fail("its width has no dim");
  const Dim rows = c.shape(examples)[0], long_as = (*symbolic)[0];
  const Value all =
      c.b.Add("broadcast_to", {c.b.Reshape(fill, Shape{})}, {{"dims", Shape({rows, long_as * Dim(unit)})}});
  std::vector<Dim> shape;
  if (!single) shape.push_back(rows);
  shape.push_back(long_as);
  for (std::size_t d = 1; d < dims.size(); ++d) shape.emplace_back(dims[d]);
  c.Set(output, c.b.Reshape(c.b.Add("scatter_nd", {all, made[1], made[0]}), Shape(std::move(shape))));
  return {};
}

Status Parse(OpContext& c, const Features& features, bool may_be_single) {
  const AttrList* list = ListOf(c, "dense_shapes");
  const std::vector<TfShape> none;
  const std::vector<TfShape>& shapes = list == nullptr ? none : list->shape;
  const std::size_t dense = features.dense.size();
  if (shapes.size() != dense || c.size() - features.defaults != static_cast<int>(dense))
    return c.Fail(fmt::format("got {} dense keys, {} shapes and {} default values, expected equally many", dense,
                              shapes.size(), c.size() - features.defaults));
  Value serialized = c.in(0);
  bool lists = !features.sparse.empty() || !features.ragged.empty();
  for (const TfShape& shape : shapes) lists = lists || (!shape.dims.empty() && shape.dims[0] < 0);
  // Features of fixed shape take examples of any rank; lists want a vector.
  if (!c.b.type(serialized).has_rank() && (lists || !may_be_single))
    serialized = c.b.Add("reshape", {serialized, c.b.Constant(Literal::from<std::int64_t>({1}, {-1}))});
  const bool single = may_be_single && c.b.type(serialized).has_rank() && c.shape(serialized).rank() == 0;
  Value examples = serialized;  // as a vector
  if (single) examples = c.b.Reshape(serialized, Shape{1});

  for (std::size_t i = 0; i < features.sparse.size(); ++i)
    if (const Status s = Sparse(c, examples, single, i, features.sparse[i]); !s.ok()) return s;
  int output = static_cast<int>(3 * features.sparse.size());
  for (std::size_t i = 0; i < dense; ++i, ++output) {
    const std::string& key = features.dense[i];
    const Value fill = c.in(features.defaults + static_cast<int>(i));
    if (shapes[i].unknown_rank) return c.Unsupported(fmt::format("feature {:?} has a shape that is not fixed", key));
    if (!shapes[i].dims.empty() && shapes[i].dims[0] < 0) {
      if (const Status s = Padded(c, examples, single, output, key, shapes[i].dims, fill); !s.ok()) return s;
      continue;
    }
    for (const std::int64_t dim : shapes[i].dims)
      if (dim < 0) return c.Unsupported(fmt::format("feature {:?} has a shape that is not fixed", key));
    c.Set(output, c.b.Add("parse_example", {serialized, fill}, {{"key", key}, {"shape", shapes[i].dims}}));
  }
  if (single && !features.ragged.empty()) return c.Unsupported("ragged features of a single example");
  const int splits = output + static_cast<int>(features.ragged.size());
  for (std::size_t i = 0; i < features.ragged.size(); ++i) {
    const std::optional<DType> dtype = TypeAt(c, "ragged_value_types", i);
    if (!IsFeature(dtype))
      return c.Fail(fmt::format("ragged feature {:?} is no float, int64 or string", features.ragged[i]));
    const std::vector<Value> made = Lists(c, examples, features.ragged[i], *dtype);
    if (made.size() != 3) return {};
    c.Set(output + static_cast<int>(i), made[0]);
    const DType index = TypeAt(c, "ragged_split_types", i).value_or(DType::kI64);
    c.Set(splits + static_cast<int>(i), c.b.Cast(made[2], index));
  }
  return {};
}

/// The strings of a constant input, appended.
bool Keys(OpContext& c, int input, Names& keys) {
  const Literal* literal = c.has(input) ? c.constant(input) : nullptr;
  if (literal == nullptr || literal->dtype() != DType::kString) return false;
  keys.insert(keys.end(), literal->strings().begin(), literal->strings().end());
  return true;
}

/// Whether the keys are as many as the attribute says, which the positions of the outputs follow.
Status Counted(const OpContext& c, const Features& features, std::string_view attr) {
  if (c.Int(attr, 0) != static_cast<std::int64_t>(features.sparse.size()))
    return c.Fail(fmt::format("got {} sparse keys, expected {}", features.sparse.size(), c.Int(attr, 0)));
  return {};
}

Status ParseExample(OpContext& c) {  // serialized, names, sparse keys…, dense keys…, defaults…
  const std::int64_t sparse = c.Int("Nsparse", 0), dense = c.Int("Ndense", 0);
  Features features;
  if (sparse < 0 || dense < 0 || 2 + sparse + 2 * dense != c.size()) return c.Fail("its inputs do not fit its numbers");
  for (int i = 0; i < static_cast<int>(sparse + dense); ++i)
    if (!Keys(c, 2 + i, i < static_cast<int>(sparse) ? features.sparse : features.dense))
      return c.Fail("its keys are no constants");
  features.defaults = 2 + static_cast<int>(sparse + dense);
  if (const Status s = Counted(c, features, "Nsparse"); !s.ok()) return s;
  return Parse(c, features, false);
}

Status ParseExampleV2(OpContext& c) {
  Features features{.sparse = {}, .dense = {}, .ragged = {}, .defaults = 5};
  if (!Keys(c, 2, features.sparse) || !Keys(c, 3, features.dense) || !Keys(c, 4, features.ragged))
    return c.Fail("its keys are no constants");
  if (const Status s = Counted(c, features, "num_sparse"); !s.ok()) return s;
  return Parse(c, features, true);
}

Status ParseSingleExample(OpContext& c) {
  const auto keys = [&c](std::string_view attr) {
    const AttrList* list = ListOf(c, attr);
    return list == nullptr ? Names() : list->s;
  };
  const Features features{.sparse = keys("sparse_keys"), .dense = keys("dense_keys"), .ragged = {}, .defaults = 1};
  if (const Status s = Counted(c, features, "num_sparse"); !s.ok()) return s;
  return Parse(c, features, true);
}

constexpr Rule kRules[] = {
    {"ParseExample", ParseExample},
    {"ParseExampleV2", ParseExampleV2},
    {"ParseSingleExample", ParseSingleExample},
};

}  // namespace

std::span<const Rule> ExampleRules() { return kRules; }

}  // namespace tenon::savedmodel
