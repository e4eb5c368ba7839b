// Features out of serialized tf.train.Example messages.
//
// The bytes (protobuf): Example {features 1}; Features {feature 1: map entries {key 1, value 2}}; Feature {one of
// bytes_list 1, float_list 2, int64_list 3}, each a list {value 1} of bytes, floats or varints, the last two packed or
// not. A message that occurs twice is merged with the first; of equal keys the last one counts.
#include <cstring>
#include <optional>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

struct Field {
  std::uint64_t number = 0;
  int type = 0;
  std::string_view bytes;  // type 2
  std::uint64_t value = 0;
};

bool Varint(std::string_view& in, std::uint64_t& out) {
  out = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (in.empty()) return false;
    const auto byte = static_cast<unsigned char>(in[0]);
    in.remove_prefix(1);
    out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/// Takes one field off `in`. False when it is malformed.
bool Take(std::string_view& in, Field& field) {
  std::uint64_t tag = 0;
  if (!Varint(in, tag)) return false;
  field.number = tag >> 3;
  field.type = static_cast<int>(tag & 7);
  std::uint64_t size = 0;
  switch (field.type) {
    case 0:
      return field.number != 0 && Varint(in, field.value);
    case 1:
      size = 8;
      break;
    case 2:
      if (!Varint(in, size)) return false;
      break;
    case 5:
      size = 4;
      break;
    default:
      return false;  // groups do not occur here
  }
  if (field.number == 0 || size > in.size()) return false;
  field.bytes = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}

/// The last Feature of that key; an empty one when there is none. nullopt when the example is malformed.
std::optional<std::string_view> FindFeature(std::string_view example, std::string_view key) {
  std::string_view found;
  for (Field features; !example.empty();) {
    if (!Take(example, features)) return std::nullopt;
    if (features.number != 1) continue;
    if (features.type != 2) return std::nullopt;
    for (Field entry; !features.bytes.empty();) {
      if (!Take(features.bytes, entry)) return std::nullopt;
      if (entry.number != 1) continue;
      if (entry.type != 2) return std::nullopt;
      std::string_view name, value;
      for (Field part; !entry.bytes.empty();) {
        if (!Take(entry.bytes, part) || ((part.number == 1 || part.number == 2) && part.type != 2)) return std::nullopt;
        if (part.number == 1) name = part.bytes;
        if (part.number == 2) value = part.bytes;
      }
      if (name == key) found = value;
    }
  }
  return found;
}

struct Values {
  std::uint64_t kind = 0;  // 1 bytes, 2 floats, 3 integers; 0 none
  std::vector<std::string> texts;
  std::vector<float> floats;
  std::vector<std::int64_t> integers;
  std::size_t size() const { return texts.size() + floats.size() + integers.size(); }
};

bool ReadFeature(std::string_view feature, Values& out) {
  for (Field list; !feature.empty();) {
    if (!Take(feature, list)) return false;
    if (list.number < 1 || list.number > 3) continue;
    if (list.type != 2) return false;
    if (list.number != out.kind) {
      out = Values();
      out.kind = list.number;
    }
    for (Field item; !list.bytes.empty();) {
      if (!Take(list.bytes, item)) return false;
      if (item.number != 1) continue;
      if (out.kind == 1) {
        if (item.type != 2) return false;
        out.texts.emplace_back(item.bytes);
      } else if (out.kind == 2) {
        if ((item.type != 2 && item.type != 5) || item.bytes.size() % sizeof(float) != 0) return false;
        const std::size_t before = out.floats.size();
        out.floats.resize(before + item.bytes.size() / sizeof(float));
        if (!item.bytes.empty()) std::memcpy(out.floats.data() + before, item.bytes.data(), item.bytes.size());
      } else if (item.type == 0) {
        out.integers.push_back(static_cast<std::int64_t>(item.value));
      } else {
        if (item.type != 2) return false;
        for (std::uint64_t v = 0; !item.bytes.empty();) {
          if (!Varint(item.bytes, v)) return false;
          out.integers.push_back(static_cast<std::int64_t>(v));
        }
      }
    }
  }
  return true;
}

constexpr std::string_view kKinds[] = {"none", "string", "float", "int64"};

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
            std::vector<T> Values::* list) {
  const std::vector<std::string>& examples = ctx.in(0).strings();
  const std::string& key = ctx.attrs().String("key");
  const std::size_t size = examples.empty() ? 0 : out.size() / examples.size();
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const std::string where = "example " + std::to_string(i) + ": ";
    const std::optional<std::string_view> feature = FindFeature(examples[i], key);
    Values values;
    if (!feature || !ReadFeature(*feature, values)) return ctx.Fail(where + "Could not parse example input");
    T* const to = out.data() + i * size;
    if (values.size() == 0) {
      if (otherwise.empty() && size > 0)
        return ctx.Fail(where + "Feature: " + key + " (data type: " + std::string(kKinds[kind]) +
                        ") is required but could not be found.");
      for (std::size_t k = 0; k < size; ++k) to[k] = otherwise.size() == 1 ? otherwise[0] : otherwise[k];
      continue;
    }
    if (values.kind != kind)
      return ctx.Fail(where + "Key: " + key + ".  Data types don't match. Expected type: " + std::string(kKinds[kind]) +
                      ", got: " + std::string(kKinds[values.kind]));
    if (values.size() != size)
      return ctx.Fail(where + "Key: " + key + ".  Number of " + std::string(kKinds[kind]) +
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
    status = Fill<std::string>(ctx, 1, out.mutable_strings(), otherwise.strings(), &Values::texts);
  else if (out.dtype() == DType::kF32)
    status = Fill<float>(ctx, 2, out.mutable_data<float>(), otherwise.data<float>(), &Values::floats);
  else
    status =
        Fill<std::int64_t>(ctx, 3, out.mutable_data<std::int64_t>(), otherwise.data<std::int64_t>(), &Values::integers);
  if (!status.ok()) return status;
  ctx.Set(0, std::move(out));
  return {};
}

std::string Packed(int number, std::string_view bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + std::string(bytes);
}
/// An Example of one feature; `list` is the encoded content of its list.
std::string ExampleOf(std::string_view key, int kind, std::string_view list) {
  return Packed(1, Packed(1, Packed(1, key) + Packed(2, Packed(kind, list))));
}

std::vector<Sample> ParseExampleSamples() {
  const std::string ints = ExampleOf("n", 3, Packed(1, "\x07\x2a\x01")),
                    unpacked = ExampleOf("n", 3, "\x08\x05\x08\x06\x08\x7f");
  const std::string words = ExampleOf("w", 1, Packed(1, "ab") + Packed(1, "c"));
  const auto text = [](std::vector<std::int64_t> dims, std::vector<std::string> s) {
    return Literal::from_strings(std::move(dims), std::move(s));
  };
  const Literal none = Literal::from<std::int64_t>({0}, {}), three = Literal::from<std::int64_t>({3}, {1, 2, 3});
  const Attrs n = {{"key", "n"}, {"shape", std::vector<std::int64_t>{3}}};
  const std::string floats = ExampleOf("f", 2, Packed(1, "\x01\x02\x03\x40\x7f\x7f\x01\x3f"));
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
                 .dtypes = Only(DType::kF32) | Only(DType::kI64) | Only(DType::kString),
                 .flags = kNotDifferentiable,
                 .doc = "no elements: the feature is required; one: for each element; or of the shape"}},
     .outputs = {{.name = "values", .dtypes = Only(DType::kF32) | Only(DType::kI64) | Only(DType::kString)}},
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
