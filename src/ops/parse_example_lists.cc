// Features of any length out of serialized tf.train.Example messages: what TensorFlow calls sparse and ragged features.
#include <algorithm>
#include <iterator>

#include "ops/example_util.h"

namespace tenon::ir::ops {
namespace {

// c1: a vector of examples. c2: the type is one that features have. c3: a multiple of 1 or more.
Status InferParseExampleLists(InferContext& ctx) {
  if (ctx.ranked(0) && ctx.rank(0) != 1)
    return ctx.Fail(1, "got " + ctx.type(0).to_string() + ", expected a vector of serialized examples");
  const DType dtype = ctx.attrs().Dtype("dtype");
  if (dtype != DType::kF32 && dtype != DType::kI64 && dtype != DType::kString)
    return ctx.Fail(2, "got " + std::string(dtype_name(dtype)) + ", expected f32, i64 or string");
  if (ctx.attrs().Int("multiple") < 1)
    return ctx.Fail(3, "got a multiple of " + std::to_string(ctx.attrs().Int("multiple")) + ", expected 1 or more");
  const Dim n = ctx.FreshDim();
  const Dim examples = ctx.ranked(0) ? ctx.shape(0)[0] : ctx.FreshDim();
  ctx.Set(0, dtype, {n});
  ctx.Set(1, DType::kI64, {n, Dim(2)});
  ctx.Set(2, DType::kI64, {examples + Dim(1)});
  return {};
}

Status EvalParseExampleLists(EvalContext& ctx) {
  const std::vector<std::string>& examples = ctx.in(0).strings();
  const std::string& key = ctx.attrs().String("key");
  const std::int64_t multiple = ctx.attrs().Int("multiple");
  const DType dtype = ctx.attrs().Dtype("dtype");
  const std::uint64_t kind = FeatureKind(dtype);
  FeatureValues all;
  std::vector<std::int64_t> indices, splits = {0};
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const std::string where = "example " + std::to_string(i) + ": ";
    const std::optional<std::string_view> feature = FindFeature(examples[i], key);
    FeatureValues values;
    if (!feature || !ReadFeature(*feature, values)) return ctx.Fail(where + "Could not parse example input");
    if (values.size() != 0 && values.kind != kind)
      return ctx.Fail(where + "Key: " + key + ".  Data types don't match. Expected type: " +
                      std::string(kFeatureKinds[kind]) + ", got: " + std::string(kFeatureKinds[values.kind]));
    const auto count = static_cast<std::int64_t>(values.size());
    if (count % multiple != 0)
      return ctx.Fail(where + "Key: " + key + ".  Number of " + std::string(kFeatureKinds[kind]) +
                      " values is not a multiple of stride length. Saw " + std::to_string(count) +
                      " values but output shape has a stride of " + std::to_string(multiple));
    for (std::int64_t k = 0; k < count; ++k) indices.insert(indices.end(), {static_cast<std::int64_t>(i), k});
    splits.push_back(splits.back() + count);
    std::ranges::move(values.texts, std::back_inserter(all.texts));
    all.floats.insert(all.floats.end(), values.floats.begin(), values.floats.end());
    all.integers.insert(all.integers.end(), values.integers.begin(), values.integers.end());
  }
  const std::int64_t n = splits.back();
  if (dtype == DType::kString)
    ctx.Set(0, Literal::from_strings({n}, std::move(all.texts)));
  else if (dtype == DType::kF32)
    ctx.Set(0, Literal::from<float>({n}, all.floats));
  else
    ctx.Set(0, Literal::from<std::int64_t>({n}, all.integers));
  ctx.Set(1, Literal::from<std::int64_t>({n, 2}, indices));
  ctx.Set(2, Literal::from<std::int64_t>({static_cast<std::int64_t>(splits.size())}, splits));
  return {};
}

std::vector<Sample> ParseExampleListsSamples() {
  const std::string three = ExampleOf("n", 3, PackedField(1, "\x07\x2a\x01")),
                    two = ExampleOf("n", 3, "\x08\x05\x08\x06"),
                    words = ExampleOf("w", 1, PackedField(1, "ab") + PackedField(1, "c"));
  const std::string floats = ExampleOf("f", 2, PackedField(1, "\x01\x02\x03\x40\x7f\x7f\x01\x3f"));
  const auto text = [](std::vector<std::string> s) {
    const auto n = static_cast<std::int64_t>(s.size());
    return Literal::from_strings({n}, std::move(s));
  };
  const auto of = [](std::string key, DType dtype, std::int64_t multiple = 1) {
    return Attrs{{"key", std::move(key)}, {"dtype", dtype}, {"multiple", multiple}};
  };
  std::vector<Sample> samples = {
      {.name = "integers", .inputs = {text({three, "", two})}, .attrs = of("n", DType::kI64)},
      {.name = "words", .inputs = {text({words, three})}, .attrs = of("w", DType::kString)},
      {.name = "pairs", .inputs = {text({floats, ""})}, .attrs = of("f", DType::kF32, 2)},
      {.name = "nothing", .inputs = {text({words})}, .attrs = of("f", DType::kF32)},
      {.name = "no_examples", .inputs = {text({})}, .attrs = of("n", DType::kI64)},
      {.name = "one_example",
       .inputs = {Literal::from_strings({}, {three})},
       .attrs = of("n", DType::kI64),
       .error = "c1"},
      {.name = "another_type", .inputs = {text({three})}, .attrs = of("n", DType::kI32), .error = "c2"},
      {.name = "no_multiple", .inputs = {text({three})}, .attrs = of("n", DType::kI64, 0), .error = "c3"},
  };
  for (Sample& sample : samples) sample.only_f32 = true;  // the messages hold one type
  return samples;
}

constinit const OpDef kOps[] = {
    {.name = "parse_example_lists",
     .summary =
         "All values of the feature `key` of serialized tf.train.Example messages in a row, with where they stood.",
     .inputs = {{.name = "serialized",
                 .type = "S",
                 .dtypes = Only(DType::kString),
                 .flags = kNotDifferentiable,
                 .doc = "[examples]"}},
     .outputs =
         {{.name = "values", .dtypes = kFeatureSet, .doc = "[n]"},
          {.name = "indices", .type = "I", .dtypes = Only(DType::kI64), .doc = "[n, 2]: example, position in it"},
          {.name = "row_splits",
           .type = "I",
           .dtypes = Only(DType::kI64),
           .doc = "[examples + 1]: the values of example i are those from row_splits[i] to row_splits[i + 1]"}},
     .attrs = {Required("key", AttrKind::kString, "the name of the feature"),
               Required("dtype", AttrKind::kDType, "f32, i64 or string; an example that has another one is an error"),
               IntAttr("multiple", 1, "the number of values in an example must be a multiple of it")},
     .traits = kExact,
     .infer = InferParseExampleLists,
     .eval = EvalParseExampleLists,
     .samples = ParseExampleListsSamples},
};

}  // namespace
extern const std::span<const OpDef> parse_example_lists_ops;
constinit const std::span<const OpDef> parse_example_lists_ops{kOps};
}  // namespace tenon::ir::ops
