// Texts cut, trimmed, joined and measured.
#include <algorithm>

#include "ops/array_util.h"
#include "ops/text_util.h"

namespace tenon::ir::ops {
namespace {

constexpr DTypeSet kText = Only(DType::kString);

Type Like(InferContext& ctx, DType dtype) {
  return ctx.ranked(0) ? Type::Tensor(dtype, ctx.shape(0)) : Type::TensorOfUnknownRank(dtype);
}
template <class F>
Status Each(EvalContext& ctx, const F& f) {
  std::vector<std::string> out;
  out.reserve(ctx.in(0).strings().size());
  for (const std::string& text : ctx.in(0).strings()) out.push_back(f(text));
  ctx.Set(0, Literal::from_strings(ctx.in(0).dims(), std::move(out)));
  return {};
}

// c1: lower or upper.
Status InferCase(InferContext& ctx) {
  const std::string& to = ctx.attrs().String("to");
  if (to != "lower" && to != "upper") return ctx.Fail(1, "got to \"" + to + "\", expected lower or upper");
  ctx.Set(0, Like(ctx, DType::kString));
  return {};
}
Status EvalCase(EvalContext& ctx) {
  const bool upper = ctx.attrs().String("to") == "upper", ascii = ctx.attrs().Bool("ascii");
  return Each(ctx,
              [&](const std::string& text) { return ascii ? ChangeCase(text, upper, true) : FullCase(text, upper); });
}

Status InferStrip(InferContext& ctx) {
  ctx.Set(0, Like(ctx, DType::kString));
  return {};
}
Status EvalStrip(EvalContext& ctx) {
  return Each(ctx, [](const std::string& text) {
    std::size_t begin = 0, end = text.size();
    while (begin < end && IsSpace(text[begin])) ++begin;
    while (end > begin && IsSpace(text[end - 1])) --end;
    return text.substr(begin, end - begin);
  });
}

// ---- lengths and parts ----

// c1: bytes or points.
Status CheckUnit(InferContext& ctx) {
  const std::string& unit = ctx.attrs().String("unit");
  if (unit != "bytes" && unit != "points") return ctx.Fail(1, "got unit \"" + unit + "\", expected bytes or points");
  return {};
}
std::int64_t Length(std::string_view text, bool points) {
  return points ? std::count_if(text.begin(), text.end(), [](char c) { return !Continues(c); })
                : static_cast<std::int64_t>(text.size());
}
Status InferLength(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckUnit(ctx));
  ctx.Set(0, Like(ctx, DType::kI64));
  return {};
}
Status EvalLength(EvalContext& ctx) {
  const bool points = ctx.attrs().String("unit") == "points";
  std::vector<std::int64_t> out;
  for (const std::string& text : ctx.in(0).strings()) out.push_back(Length(text, points));
  ctx.Set(0, FromInts(DType::kI64, ctx.in(0).dims(), out));
  return {};
}

// c2: the shapes broadcast.
Status InferSlice(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckUnit(ctx));
  Shape shape = ctx.ranked(0) ? ctx.shape(0) : Shape{};
  for (int i = 0; i < 3; ++i) {
    if (!ctx.ranked(i)) {
      ctx.SetUnknownRank(0, DType::kString);
      return {};
    }
    if (i == 0) continue;
    const std::optional<Shape> both = BroadcastShapes(shape, ctx.shape(i));
    if (!both)
      return ctx.Fail(
          2, "got shapes " + shape.to_string() + " and " + ctx.shape(i).to_string() + ", expected ones that broadcast");
    shape = *both;
  }
  ctx.Set(0, DType::kString, shape);
  return {};
}
// The byte at which the point of that number begins.
std::size_t Offset(std::string_view text, std::int64_t number, bool points) {
  if (!points) return std::min(text.size(), Size(number));
  std::size_t at = 0;
  for (; number > 0 && at < text.size(); --number) do
      ++at;
    while (at < text.size() && Continues(text[at]));
  return at;
}
Status EvalSlice(EvalContext& ctx) {
  const bool points = ctx.attrs().String("unit") == "points";
  const std::vector<std::int64_t> dims = ctx.out_dims(), starts = ToInts(ctx.in(1)), lengths = ToInts(ctx.in(2));
  const std::vector<std::int64_t> xi = BroadcastIndices(ctx.in(0).dims(), dims),
                                  si = BroadcastIndices(ctx.in(1).dims(), dims),
                                  li = BroadcastIndices(ctx.in(2).dims(), dims);
  std::vector<std::string> out;
  for (std::size_t k = 0; k < xi.size(); ++k) {
    const std::string& text = ctx.in(0).strings()[Size(xi[k])];
    const std::int64_t start = starts[Size(si[k])], length = lengths[Size(li[k])], all = Length(text, points);
    if (start > all || start < -all || length < 0)
      return ctx.Fail("got start " + std::to_string(start) + " and length " + std::to_string(length) +
                      " of a text of " + std::to_string(all) + ", expected a start in it and a length of 0 or more");
    const std::int64_t first = start < 0 ? start + all : start;
    const std::size_t begin = Offset(text, first, points);
    const std::size_t end = Offset(text, first + std::min(length, all - first), points);
    out.push_back(text.substr(begin, end - begin));
  }
  ctx.Set(0, Literal::from_strings(dims, std::move(out)));
  return {};
}

// ---- joining along an axis ----

// c1: the axis is one of x.
Status InferJoin(InferContext& ctx) {
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, DType::kString);
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
  std::vector<Dim> dims = ctx.shape(0).dims();
  dims.erase(dims.begin() + axis);
  ctx.Set(0, DType::kString, Shape(std::move(dims)));
  return {};
}
Status EvalJoin(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const int axis = NormalAxis(ctx.attrs().Int("axis"), x.rank());
  const Around around = SplitAt(x.dims(), axis);
  const std::string& separator = ctx.attrs().String("separator");
  std::vector<std::string> out(Size(around.outer * around.inner));
  for (std::int64_t o = 0; o < around.outer; ++o)
    for (std::int64_t k = 0; k < around.count; ++k)
      for (std::int64_t i = 0; i < around.inner; ++i) {
        std::string& to = out[Size(o * around.inner + i)];
        if (k > 0) to += separator;
        to += x.strings()[Size((o * around.count + k) * around.inner + i)];
      }
  std::vector<std::int64_t> dims = x.dims();
  dims.erase(dims.begin() + axis);
  ctx.Set(0, Literal::from_strings(std::move(dims), std::move(out)));
  return {};
}

// ---- samples ----

Literal Texts(std::vector<std::int64_t> dims, std::vector<std::string> texts) {
  return Literal::from_strings(std::move(dims), std::move(texts));
}
Literal Some() { return Texts({5}, {"Hello World", "déjà VU ", "", "\t a b \n", "ÄÖ"}); }
std::vector<Sample> CaseSamples() {
  const auto attrs = [](const char* to, bool ascii) { return Attrs{{"to", std::string(to)}, {"ascii", ascii}}; };
  return {{.name = "lower", .inputs = {Some()}, .attrs = attrs("lower", false)},
          {.name = "upper", .inputs = {Some()}, .attrs = attrs("upper", false)},
          {.name = "ascii", .inputs = {Some()}, .attrs = attrs("lower", true)},
          {.name = "long",
           .inputs = {Texts({3}, {"Straße ŉ ΐ ﬃ ᾳ ა", "ΣΑΣ ΑΣ. ΑΣ.Α İ Σ", "ǆ ǅ"})},
           .attrs = attrs("upper", false)},
          {.name = "sigma",
           .inputs = {Texts({3}, {"ΣΑΣ ΑΣ. ΑΣ.Α İ Σ", "AΣ\u0301", "A\u00adΣ'B"})},
           .attrs = attrs("lower", false)},
          {.name = "scalar", .inputs = {Texts({}, {"Ab"})}, .attrs = attrs("upper", true)},
          {.name = "empty", .inputs = {Texts({0}, {})}, .attrs = attrs("upper", false)},
          {.name = "title", .inputs = {Some()}, .attrs = attrs("title", false), .error = "c1"}};
}
std::vector<Sample> StripSamples() {
  return {{.name = "some", .inputs = {Some()}},
          {.name = "scalar", .inputs = {Texts({}, {"  "})}},
          {.name = "empty", .inputs = {Texts({2, 0}, {})}}};
}
std::vector<Sample> LengthSamples() {
  const auto attrs = [](const char* unit) { return Attrs{{"unit", std::string(unit)}}; };
  return {{.name = "bytes", .inputs = {Some()}, .attrs = attrs("bytes")},
          {.name = "points", .inputs = {Some()}, .attrs = attrs("points")},
          {.name = "empty", .inputs = {Texts({0}, {})}, .attrs = attrs("bytes")},
          {.name = "words", .inputs = {Some()}, .attrs = attrs("words"), .error = "c1"}};
}
std::vector<Sample> SliceSamples() {
  const auto attrs = [](const char* unit) { return Attrs{{"unit", std::string(unit)}}; };
  const Literal one = Texts({}, {"abcdef"}), two = Texts({2, 1}, {"häß", "xyz"});
  return {{.name = "front", .inputs = {Some(), Ints({}, {0}), Ints({}, {3})}, .attrs = attrs("points")},
          {.name = "each", .inputs = {two, Ints({3}, {0, 1, -2}), Ints({3}, {1, 9, 1})}, .attrs = attrs("points")},
          {.name = "bytes", .inputs = {one, Ints({2}, {2, -3}), Ints({2}, {2, 2})}, .attrs = attrs("bytes")},
          {.name = "empty", .inputs = {Texts({0}, {}), Ints({}, {0}), Ints({}, {3})}, .attrs = attrs("bytes")},
          {.name = "unit", .inputs = {one, Ints({}, {0}), Ints({}, {1})}, .attrs = attrs("words"), .error = "c1"},
          {.name = "shapes",
           .inputs = {Texts({2}, {"a", "b"}), Ints({3}, {0, 0, 0}), Ints({}, {1})},
           .attrs = attrs("bytes"),
           .error = "c2"}};
}
std::vector<Sample> JoinSamples() {
  const auto attrs = [](std::int64_t axis, const char* separator) {
    return Attrs{{"axis", axis}, {"separator", std::string(separator)}};
  };
  const Literal grid = Texts({2, 3}, {"a", "b", "c", "d", "", "f"});
  return {{.name = "rows", .inputs = {grid}, .attrs = attrs(-1, ", ")},
          {.name = "columns", .inputs = {grid}, .attrs = attrs(0, "")},
          {.name = "nothing", .inputs = {Texts({2, 0}, {})}, .attrs = attrs(1, "-")},
          {.name = "scalar", .inputs = {Texts({}, {"a"})}, .attrs = attrs(0, ""), .error = "c1"}};
}

constexpr Port kTextIn = {.name = "x", .dtypes = kText};
constexpr Port kTextOut = {.name = "y", .type = "S", .dtypes = kText};
constexpr AttrSpec kUnit = StringAttr("unit", "bytes", "bytes, or points: Unicode's code points in UTF-8");

constinit const OpDef kOps[] = {
    {.name = "string_case",
     .summary = "Every text in lower or upper case, by Unicode's full mappings: ß becomes SS, a sigma at the end of a "
                "word ς, bytes that are no UTF-8 U+FFFD.",
     .inputs = {kTextIn},
     .outputs = {kTextOut},
     .attrs = {StringAttr("to", "lower", "lower or upper"),
               BoolAttr("ascii", false, "only A to Z change, all other bytes stay")},
     .traits = kExact,
     .infer = InferCase,
     .eval = EvalCase,
     .samples = CaseSamples},
    {.name = "string_strip",
     .summary = "Every text without the white space (of ASCII) at its ends.",
     .inputs = {kTextIn},
     .outputs = {kTextOut},
     .traits = kExact,
     .infer = InferStrip,
     .eval = EvalStrip,
     .samples = StripSamples},
    {.name = "string_length",
     .summary = "How long every text is.",
     .inputs = {kTextIn},
     .outputs = {{.name = "length", .type = "I", .dtypes = Only(DType::kI64)}},
     .attrs = {kUnit},
     .traits = kExact,
     .infer = InferLength,
     .eval = EvalLength,
     .samples = LengthSamples},
    {.name = "string_slice",
     .summary = "Of every text at most `length` bytes or code points from `start` on. A start outside the text is an "
                "error of the run.",
     .inputs = {kTextIn,
                {.name = "start",
                 .type = "I",
                 .dtypes = kIndexSet,
                 .flags = kNotDifferentiable,
                 .doc = "a negative one counts from the end"},
                {.name = "length", .type = "I", .dtypes = kIndexSet, .flags = kNotDifferentiable}},
     .outputs = {kTextOut},
     .attrs = {kUnit},
     .traits = kExact,
     .infer = InferSlice,
     .eval = EvalSlice,
     .samples = SliceSamples},
    {.name = "string_reduce_join",
     .summary = "The texts along an axis joined to one; an empty text of none.",
     .inputs = {kTextIn},
     .outputs = {kTextOut},
     .attrs = {IntAttr("axis", -1, "the axis that goes"), StringAttr("separator", "", "between two texts")},
     .traits = kExact,
     .infer = InferJoin,
     .eval = EvalJoin,
     .samples = JoinSamples},
};

}  // namespace
extern const std::span<const OpDef> text_edit_ops;
constinit const std::span<const OpDef> text_edit_ops{kOps};
}  // namespace tenon::ir::ops
