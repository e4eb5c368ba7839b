// Features out of serialized tf.train.Example messages.
#include "ops/example_util.h"

namespace tenon::ir::ops {
namespace {

// c1: no dim of the shape is below 0. c2: the default value has no elements, one, or as many as the shape.
Status InferParseExample(InferContext& ctx) {
  std::int64_t size = 1;
  std::vector<Dim> dims;
  if (ctx.ranked(0)) dims = ctx.shape(0).dims();
  for (const std::int64_t dim : ctx.attrs().Ints("shape")) {
    if (dim < 0) return ctx.Fail(1, "got a dim of " + std::to_string(dim) + " in the shape, expected 0 or more");
    if (dim > (1 << 28) || size * dim > (1 << 28)) return ctx.Fail(1, "got a shape of more than 2^28 elements");
    size *= dim;
    dims.emplace_back(dim);
  }
  if (ctx.ranked(1)) {
    const Dim have = ctx.shape(1).size();
    if (const std::optional<std::int64_t> n = have.try_value(); n && *n != 0 && *n != 1 && *n != size)
      return ctx.Fail(2, "got a default value of " + std::to_string(*n) + " elements, expected none, one or " +
                             std::to_string(size));
  }
  if (ctx.ranked(0))
    ctx.Set(0, ctx.dtype(1), Shape(std::move(dims)));
  else
    ctx.SetUnknownRank(0, ctx.dtype(1));
  return {};
}

template <class T>
Status Fill(EvalContext& ctx, std::uint64_t kind, std::span<T> out, std::span<const T> otherwise,
            std::vector<T> FeatureValues::* list) {
  const std::vector<std::string>& examples = ctx.in(0).strings();
  const std::string& key = ctx.attrs().String("key");
  const std::size_t size = examples.empty() ? 0 : out.size() / examples.size();
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const std::string where = "example " + std::to_string(i) + ": ";
    const std::optional<std::string_view> feature = FindFeature(examples[i], key);
    FeatureValues values;
    if (!feature || !ReadFeature(*feature, values)) return ctx.Fail(where + "Could not parse example input");
    T* const to = out.data() + i * size;
    if (values.size() == 0) {
      if (otherwise.empty() && size > 0)
        return ctx.Fail(where + "Feature: " + key + " (data type: " + std::string(kFeatureKinds[kind]) +
                        ") is required but could not be found.");
      for (std::size_t k = 0; k < size; ++k) to[k] = otherwise.size() == 1 ? otherwise[0] : otherwise[k];
      continue;
    }
    if (values.kind != kind)
      return ctx.Fail(where + "Key: " + key + ".  Data types don't match. Expected type: " +
                      std::string(kFeatureKinds[kind]) + ", got: " + std::string(kFeatureKinds[values.kind]));
    if (values.size() != size)
      return ctx.Fail(where + "Key: " + key + ".  Number of " + std::string(kFeatureKinds[kind]) +
                      " values != expected.  values size: " + std::to_string(values.size()) + " but expected " +
                      std::to_string(size));
    std::copy((values.*list).begin(), (values.*list).end(), to);
  }
  return {};
}

Status EvalParseExample(EvalContext& ctx) {
  const Literal& otherwise = ctx.in(1);
  Literal out(ctx.out_dtype(), ctx.out_dims());
  if (otherwise.size() > 1 && ctx.in(0).size() > 0 && out.size() / ctx.in(0).size() != otherwise.size())
    return ctx.Fail("the default value has another size than the shape");
  Status status;
  if (out.dtype() == DType::kString)
    status = Fill<std::string>(ctx, 1, out.mutable_strings(), otherwise.strings(), &FeatureValues::texts);
  else if (out.dtype() == DType::kF32)
    status = Fill<float>(ctx, 2, out.mutable_data<float>(), otherwise.data<float>(), &FeatureValues::floats);
  else
    status = Fill<std::int64_t>(ctx, 3, out.mutable_data<std::int64_t>(), otherwise.data<std::int64_t>(),
                                &FeatureValues::integers);
  if (!status.ok()) return status;
  ctx.Set(0, std::move(out));
  return {};
}

std::vector<Sample> ParseExampleSamples() {
  const std::string ints = ExampleOf("n", 3, PackedField(1, "\x07\x2a\x01")),
                    unpacked = ExampleOf("n", 3, "\x08\x05\x08\x06\x08\x7f");
  const std::string words = ExampleOf("w", 1, PackedField(1, "ab") + PackedField(1, "c"));
  const auto text = [](std::vector<std::int64_t> dims, std::vector<std::string> s) {
    return Literal::from_strings(std::move(dims), std::move(s));
  };
  const Literal none = Literal::from<std::int64_t>({0}, {}), three = Literal::from<std::int64_t>({3}, {1, 2, 3});
  const Attrs n = {{"key", "n"}, {"shape", std::vector<std::int64_t>{3}}};
  const std::string floats = ExampleOf("f", 2, PackedField(1, "\x01\x02\x03\x40\x7f\x7f\x01\x3f"));
  std::vector<Sample> samples = {{.name = "integers", .inputs = {text({2}, {ints, unpacked}), none}, .attrs = n},
                                 {.name = "default", .inputs = {text({3}, {ints, "", words}), three}, .attrs = n},
                                 {.name = "last_wins", .inputs = {text({1}, {ints + unpacked}), three}, .attrs = n},
                                 {.name = "scalar_example", .inputs = {text({}, {ints}), none}, .attrs = n},
                                 {.name = "words",
                                  .inputs = {text({1}, {words}), text({0}, {})},
                                  .attrs = {{"key", "w"}, {"shape", std::vector<std::int64_t>{1, 2}}}},
                                 {.name = "floats",
                                  .inputs = {text({2}, {floats, words}), Literal::from<float>({1}, {-1.5F})},
                                  .attrs = {{"key", "f"}, {"shape", std::vector<std::int64_t>{2}}}},
                                 {.name = "no_examples", .inputs = {text({0}, {}), none}, .attrs = n},
                                 {.name = "negative_dim",
                                  .inputs = {text({1}, {ints}), none},
                                  .attrs = {{"key", "n"}, {"shape", std::vector<std::int64_t>{-1}}},
                                  .error = "c1"},
                                 {.name = "default_of_another_size",
                                  .inputs = {text({1}, {ints}), Literal::from<std::int64_t>({2}, {1, 2})},
                                  .attrs = n,
                                  .error = "c2"}};
  for (Sample& sample : samples) sample.only_f32 = true;  // the messages hold one type
  return samples;
}

constinit const OpDef kOps[] = {
    {.name = "parse_example",
     .summary = "The feature `key` of serialized tf.train.Example messages, a tensor of `shape` for each; the default "
                "value where an example lacks it, an error where that has no elements.",
     .inputs = {{.name = "serialized", .type = "S", .dtypes = Only(DType::kString), .flags = kNotDifferentiable},
                {.name = "default_value",
                 .dtypes = kFeatureSet,
                 .flags = kNotDifferentiable,
                 .doc = "no elements: the feature is required; one: for each element; or of the shape"}},
     .outputs = {{.name = "values", .dtypes = kFeatureSet}},
     .attrs = {Required("key", AttrKind::kString, "the name of the feature"),
               IntsAttr("shape", "of the feature in one example")},
     .traits = kExact,
     .infer = InferParseExample,
     .eval = EvalParseExample,
     .samples = ParseExampleSamples},
};

}  // namespace
extern const std::span<const OpDef> parse_example_ops;
constinit const std::span<const OpDef> parse_example_ops{kOps};
}  // namespace tenon::ir::ops
