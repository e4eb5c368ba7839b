// ParseExample, ParseExampleV2, ParseSingleExample: one parse_example for each dense feature of fixed shape.
#include <fmt/format.h>

#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

/// The dense features: output i is keys[i] of shapes[i]; their default values begin at input `first`.
Status Dense(OpContext& c, const std::vector<std::string>& keys, int first, bool single) {
  const AttrValue* attr = c.Attr("dense_shapes");
  const auto* list = attr == nullptr ? nullptr : attr->get<std::shared_ptr<const AttrList>>();
  const std::vector<TfShape> none;
  const std::vector<TfShape>& shapes = list == nullptr ? none : (*list)->shape;
  if (shapes.size() != keys.size() || c.size() - first != static_cast<int>(keys.size()))
    return c.Fail(fmt::format("got {} dense keys, {} shapes and {} default values, expected equally many", keys.size(),
                              shapes.size(), c.size() - first));
  Value serialized = c.in(0);
  if (!single && !c.b.type(serialized).has_rank())  // the op takes vectors only
    serialized = c.b.Add("reshape", {serialized, c.b.Constant(Literal::from<std::int64_t>({1}, {-1}))});
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (const std::int64_t dim : shapes[i].dims)
      if (dim < 0 || shapes[i].unknown_rank)
        return c.Unsupported(fmt::format("feature {:?} has a shape that is not fixed", keys[i]));
    c.Set(static_cast<int>(i), c.b.Add("parse_example", {serialized, c.in(first + static_cast<int>(i))},
                                       {{"key", keys[i]}, {"shape", shapes[i].dims}}));
  }
  return {};
}

/// The strings of a constant input, appended.
bool Keys(OpContext& c, int input, std::vector<std::string>& keys) {
  const Literal* literal = c.has(input) ? c.constant(input) : nullptr;
  if (literal == nullptr || literal->dtype() != DType::kString) return false;
  keys.insert(keys.end(), literal->strings().begin(), literal->strings().end());
  return true;
}

Status ParseExample(OpContext& c) {
  const auto sparse = static_cast<int>(c.Int("Nsparse", 0)), dense = static_cast<int>(c.Int("Ndense", 0));
  if (sparse != 0) return c.Unsupported("features of variable length are not supported");
  std::vector<std::string> keys;
  for (int i = 0; i < dense; ++i)
    if (!Keys(c, 2 + i, keys)) return c.Fail("its dense keys are no constants");
  return Dense(c, keys, 2 + dense, false);
}

Status ParseExampleV2(OpContext& c) {
  std::vector<std::string> sparse, dense, ragged;
  if (!Keys(c, 2, sparse) || !Keys(c, 3, dense) || !Keys(c, 4, ragged)) return c.Fail("its keys are no constants");
  if (!sparse.empty() || !ragged.empty()) return c.Unsupported("features of variable length are not supported");
  return Dense(c, dense, 5, true);
}

Status ParseSingleExample(OpContext& c) {
  if (c.Int("num_sparse", 0) != 0) return c.Unsupported("features of variable length are not supported");
  const AttrValue* attr = c.Attr("dense_keys");
  const auto* list = attr == nullptr ? nullptr : attr->get<std::shared_ptr<const AttrList>>();
  return Dense(c, list == nullptr ? std::vector<std::string>() : (*list)->s, 1, true);
}

constexpr Rule kRules[] = {
    {"ParseExample", ParseExample},
    {"ParseExampleV2", ParseExampleV2},
    {"ParseSingleExample", ParseSingleExample},
};

}  // namespace

std::span<const Rule> ExampleRules() { return kRules; }

}  // namespace tenon::savedmodel
