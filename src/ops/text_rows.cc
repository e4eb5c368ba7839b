// Ragged rows made of texts and back: a row for each text, its items one after the other, and where each row starts.
#include <algorithm>

#include "ops/array_util.h"
#include "ops/text_util.h"

namespace tenon::ir::ops {
namespace {

constexpr DTypeSet kText = Only(DType::kString), kPoints = Only(DType::kI32), kSplits = Only(DType::kI64);

// The rows of row splits over `count` items; an error of the run when they do not ascend from 0 to it.
Result<std::vector<std::int64_t>> RowSplits(const EvalContext& ctx, int i, std::int64_t count) {
  const std::vector<std::int64_t> splits = ToInts(ctx.in(i));
  const bool good =
      !splits.empty() && splits.front() == 0 && splits.back() == count && std::is_sorted(splits.begin(), splits.end());
  if (!good) return ctx.Fail("got row splits that do not ascend from 0 to the " + std::to_string(count) + " items");
  return splits;
}
Literal Numbers(DType dtype, const std::vector<std::int64_t>& values) {
  return FromInts(dtype, {static_cast<std::int64_t>(values.size())}, values);
}
Literal Row(std::vector<std::string> texts) {
  const auto n = static_cast<std::int64_t>(texts.size());
  return Literal::from_strings({n}, std::move(texts));
}
// c1: x is a vector. Gives the number of row splits.
Result<Dim> SplitsOfVector(InferContext& ctx) {
  if (!ctx.ranked(0)) return ctx.FreshDim();
  if (ctx.rank(0) != 1) return ctx.Fail(1, "got " + ctx.type(0).to_string() + ", expected a vector");
  return ctx.shape(0)[0] + Dim(1);
}

// ---- split ----

// c1: x is a vector. c2: the limit is -1 or more.
Status InferSplit(InferContext& ctx) {
  if (ctx.attrs().Int("max_splits") < -1)
    return ctx.Fail(2, "got max_splits " + std::to_string(ctx.attrs().Int("max_splits")) + ", expected -1 or more");
  TENON_ASSIGN_OR_RETURN(const Dim splits, SplitsOfVector(ctx));
  ctx.Set(0, DType::kString, {ctx.FreshDim()});
  ctx.Set(1, DType::kI64, {splits});
  return {};
}
Status EvalSplit(EvalContext& ctx) {
  const std::string& delimiter = ctx.attrs().String("delimiter");
  std::vector<std::string> pieces;
  std::vector<std::int64_t> splits{0};
  for (const std::string& text : ctx.in(0).strings()) {
    for (std::string& piece : SplitText(text, delimiter, ctx.attrs().Int("max_splits"), true))
      pieces.push_back(std::move(piece));
    splits.push_back(static_cast<std::int64_t>(pieces.size()));
  }
  ctx.Set(0, Row(std::move(pieces)));
  ctx.Set(1, Numbers(DType::kI64, splits));
  return {};
}

// ---- n-grams ----

constexpr std::int64_t kMostItems = 1 << 20;

// c1: items are a vector. c3: lengths from 1 to kMostItems.
Status InferNgrams(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(SplitsOfVector(ctx).status());
  for (const std::int64_t n : ctx.attrs().Ints("lengths"))
    if (n < 1 || n > kMostItems)
      return ctx.Fail(3, "got a length of " + std::to_string(n) + ", expected 1 to " + std::to_string(kMostItems));
  ctx.Set(0, DType::kString, {ctx.FreshDim()});
  ctx.Set(1, ctx.type(1));
  return {};
}
Status EvalNgrams(EvalContext& ctx) {
  const std::vector<std::string>& items = ctx.in(0).strings();
  TENON_ASSIGN_OR_RETURN(const std::vector<std::int64_t> rows, RowSplits(ctx, 1, ctx.in(0).size()));
  const std::string &separator = ctx.attrs().String("separator"), &left = ctx.attrs().String("left_pad"),
                    &right = ctx.attrs().String("right_pad");
  const std::int64_t most = ctx.attrs().Int("pad_width");
  std::vector<std::string> out;
  std::vector<std::int64_t> splits{0};
  // What the n-grams cost so far: their bytes, and 16 for each item they hold, since empty ones take time too.
  std::size_t cost = 0;
  constexpr std::size_t kMostCost = std::size_t{1} << 31;
  // Items first … first + length - 1 of a row of `count`; those outside are padding. A text is built once its size is
  // known to fit.
  const auto add = [&](std::int64_t begin, std::int64_t count, std::int64_t first, std::int64_t length) -> Status {
    const auto item = [&](std::int64_t k) -> const std::string& {
      return k < 0 ? left : k >= count ? right : items[Size(begin + k)];
    };
    std::size_t size = 0;
    for (std::int64_t k = first; k < first + length; ++k) {
      const std::size_t more = item(k).size() + (k > first ? separator.size() : 0);
      size += more;
      cost += 16 + more;
      if (cost > kMostCost) return ctx.Fail("its n-grams take more than 2 GiB");
    }
    cost += sizeof(std::string);
    std::string text;
    text.reserve(size);
    for (std::int64_t k = first; k < first + length; ++k) {
      if (k > first) text += separator;
      text += item(k);
    }
    out.push_back(std::move(text));
    return {};
  };
  for (std::size_t r = 0; r + 1 < rows.size(); ++r) {
    const std::int64_t begin = rows[r], count = rows[r + 1] - begin;
    const std::size_t before = out.size();
    for (const std::int64_t n : ctx.attrs().Ints("lengths")) {
      const std::int64_t pad = std::min(most < 0 ? n - 1 : most, n - 1);
      for (std::int64_t first = -pad; first + n <= count + pad; ++first)
        TENON_RETURN_IF_ERROR(add(begin, count, first, n));
    }
    if (ctx.attrs().Bool("preserve_short") && out.size() == before && count > 0) {
      const std::int64_t pad = std::min(std::max<std::int64_t>(most, 0), kMostItems);
      TENON_RETURN_IF_ERROR(add(begin, count, -pad, count + 2 * pad));
    }
    splits.push_back(static_cast<std::int64_t>(out.size()));
  }
  ctx.Set(0, Row(std::move(out)));
  ctx.Set(1, Numbers(DType::kI64, splits));
  return {};
}

// ---- code points ----

// c4: what to do with what is no code point.
Status CheckErrors(InferContext& ctx) {
  const std::string& errors = ctx.attrs().String("errors");
  if (errors != "strict" && errors != "replace" && errors != "ignore")
    return ctx.Fail(4, "got errors \"" + errors + "\", expected strict, replace or ignore");
  if (!IsPoint(ctx.attrs().Int("replacement")))
    return ctx.Fail(4,
                    "got replacement " + std::to_string(ctx.attrs().Int("replacement")) + ", which is no code point");
  return {};
}
Status InferDecode(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckErrors(ctx));
  TENON_ASSIGN_OR_RETURN(const Dim splits, SplitsOfVector(ctx));
  const Dim count = ctx.FreshDim();
  ctx.Set(0, DType::kI32, {count});
  ctx.Set(1, DType::kI64, {splits});
  ctx.Set(2, DType::kI64, {count});
  return {};
}
Status EvalDecode(EvalContext& ctx) {
  const std::string& errors = ctx.attrs().String("errors");
  const std::int64_t replacement = ctx.attrs().Int("replacement");
  const bool control = ctx.attrs().Bool("replace_control");
  std::vector<std::int64_t> points, splits{0}, starts;
  for (const std::string& text : ctx.in(0).strings()) {
    for (std::size_t at = 0; at < text.size();) {
      const Point point = PointAt(text, at);
      if (point.value < 0 && errors == "strict")
        return ctx.Fail("got a text that is no UTF-8 at byte " + std::to_string(at));
      const bool replaced = point.value < 0 || (control && point.value < 0x20);
      if (!replaced || errors != "ignore") {
        points.push_back(replaced ? replacement : point.value);
        starts.push_back(static_cast<std::int64_t>(at));
      }
      at += point.length;
    }
    splits.push_back(static_cast<std::int64_t>(points.size()));
  }
  ctx.Set(0, Numbers(DType::kI32, points));
  ctx.Set(1, Numbers(DType::kI64, splits));
  ctx.Set(2, Numbers(DType::kI64, starts));
  return {};
}
Status InferEncode(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckErrors(ctx));
  TENON_RETURN_IF_ERROR(SplitsOfVector(ctx).status());
  if (ctx.ranked(1) && ctx.rank(1) != 1) return ctx.Fail(1, "got row splits " + ctx.type(1).to_string());
  ctx.Set(0, DType::kString, {ctx.ranked(1) ? ctx.shape(1)[0] - Dim(1) : ctx.FreshDim()});
  return {};
}
Status EvalEncode(EvalContext& ctx) {
  const std::string& errors = ctx.attrs().String("errors");
  const std::int64_t replacement = ctx.attrs().Int("replacement");
  const std::vector<std::int64_t> points = ToInts(ctx.in(0));
  TENON_ASSIGN_OR_RETURN(const std::vector<std::int64_t> rows, RowSplits(ctx, 1, ctx.in(0).size()));
  std::vector<std::string> out(rows.size() - 1);
  for (std::size_t r = 0; r < out.size(); ++r)
    for (std::int64_t k = rows[r]; k < rows[r + 1]; ++k) {
      const std::int64_t point = points[Size(k)];
      if (!IsPoint(point) && errors == "strict") return ctx.Fail("got " + std::to_string(point) + ", no code point");
      if (!IsPoint(point) && errors == "ignore") continue;
      AppendPoint(out[r], static_cast<std::uint32_t>(IsPoint(point) ? point : replacement));
    }
  ctx.Set(0, Row(std::move(out)));
  return {};
}

// ---- samples ----

std::vector<Sample> SplitSamples() {
  const auto attrs = [](const char* delimiter, std::int64_t most = -1) {
    return Attrs{{"delimiter", std::string(delimiter)}, {"max_splits", most}};
  };
  const Literal x = Row({"  hello   world ", "one", "", "a,b,,c"});
  return {{.name = "words", .inputs = {x}, .attrs = attrs("")},
          {.name = "comma", .inputs = {x}, .attrs = attrs(",")},
          {.name = "most", .inputs = {x}, .attrs = attrs(",", 1)},
          {.name = "most_words", .inputs = {Row({"a b c  ", "a b ", " x ", ""})}, .attrs = attrs("", 1)},
          {.name = "two_words", .inputs = {Row({"a b c  ", "a b ", " x ", ""})}, .attrs = attrs("", 2)},
          {.name = "no_cuts", .inputs = {Row({" x ", ""})}, .attrs = attrs("", 0)},
          {.name = "empty", .inputs = {Row({})}, .attrs = attrs(",")},
          {.name = "scalar", .inputs = {Literal::from_strings({}, {"a"})}, .attrs = attrs(","), .error = "c1"},
          {.name = "negative", .inputs = {x}, .attrs = attrs(",", -2), .error = "c2"}};
}
std::vector<Sample> NgramSamples() {
  const Literal items = Row({"a", "b", "c", "d", "e"}), splits = Ints({4}, {0, 4, 4, 5});
  const auto attrs = [](std::vector<std::int64_t> lengths, std::int64_t pad, bool preserve) {
    return Attrs{{"lengths", std::move(lengths)},
                 {"separator", std::string("|")},
                 {"left_pad", std::string("<")},
                 {"right_pad", std::string(">")},
                 {"pad_width", pad},
                 {"preserve_short", preserve}};
  };
  return {{.name = "plain", .inputs = {items, splits}, .attrs = attrs({1, 2}, 0, false)},
          {.name = "padded", .inputs = {items, splits}, .attrs = attrs({3}, -1, false)},
          {.name = "padded_once", .inputs = {items, splits}, .attrs = attrs({3}, 1, false)},
          {.name = "short", .inputs = {items, splits}, .attrs = attrs({3}, 0, true)},
          {.name = "none", .inputs = {Row({}), Ints({1}, {0})}, .attrs = attrs({2}, 0, false)},
          {.name = "matrix",
           .inputs = {Literal::from_strings({1, 1}, {"a"}), Ints({2}, {0, 1})},
           .attrs = attrs({2}, 0, false),
           .error = "c1"},
          {.name = "length", .inputs = {items, splits}, .attrs = attrs({0}, 0, false), .error = "c3"},
          {.name = "huge", .inputs = {items, splits}, .attrs = attrs({(1 << 20) + 1}, -1, false), .error = "c3"}};
}
std::vector<Sample> DecodeSamples() {
  const auto attrs = [](const char* errors, bool control = false) {
    return Attrs{{"errors", std::string(errors)}, {"replace_control", control}};
  };
  const Literal x = Row({"aé", "", "€\U0001F600\n"});
  return {{.name = "some", .inputs = {x}, .attrs = attrs("replace")},
          {.name = "control", .inputs = {x}, .attrs = attrs("replace", true)},
          {.name = "empty", .inputs = {Row({})}, .attrs = attrs("strict")},
          {.name = "scalar", .inputs = {Literal::from_strings({}, {"a"})}, .attrs = attrs("strict"), .error = "c1"},
          {.name = "errors", .inputs = {x}, .attrs = attrs("drop"), .error = "c4"}};
}
std::vector<Sample> EncodeSamples() {
  const auto points = [](const std::vector<std::int64_t>& values) { return Numbers(DType::kI32, values); };
  const auto attrs = [](const char* errors) { return Attrs{{"errors", std::string(errors)}}; };
  const Literal x = points({97, 233, 0x20ac, 0x1f600, -1, 0xd800}), splits = Ints({4}, {0, 2, 2, 6});
  return {{.name = "replace", .inputs = {x, splits}, .attrs = attrs("replace")},
          {.name = "ignore", .inputs = {x, splits}, .attrs = attrs("ignore")},
          {.name = "empty", .inputs = {points({}), Ints({1}, {0})}, .attrs = attrs("strict")},
          {.name = "matrix", .inputs = {points({1}).reshaped({1, 1}), Ints({2}, {0, 1})}, .error = "c1"},
          {.name = "errors", .inputs = {x, splits}, .attrs = attrs("drop"), .error = "c4"}};
}

constexpr Port kRowSplits = {.name = "row_splits",
                             .type = "I",
                             .dtypes = kSplits,
                             .flags = kNotDifferentiable,
                             .doc = "where each row starts, and the end"};
constexpr AttrSpec kErrors = StringAttr("errors", "replace", "strict: an error of the run; replace; ignore: left out");
constexpr AttrSpec kReplacement = IntAttr("replacement", 0xfffd, "the code point that replaces");

constinit const OpDef kOps[] = {
    {.name = "string_split_rows",
     .summary = "Every text cut at a delimiter (an empty one: at runs of white space): all pieces in a row. After the "
                "most cuts the rest of a text is a piece as it is, an empty one too, less white space before it when "
                "that cuts.",
     .inputs = {{.name = "x", .dtypes = kText}},
     .outputs = {{.name = "pieces", .type = "S", .dtypes = kText}, kRowSplits},
     .attrs = {StringAttr("delimiter", "", "between the pieces"),
               IntAttr("max_splits", -1, "how many cuts of a text at most; -1: no limit")},
     .traits = kExact,
     .infer = InferSplit,
     .eval = EvalSplit,
     .samples = SplitSamples},
    {.name = "string_ngrams",
     .summary = "For every row the runs of so many items, joined: first all of the first length, then of the next.",
     .inputs = {{.name = "items", .dtypes = kText}, kRowSplits},
     .outputs = {{.name = "ngrams", .type = "S", .dtypes = kText}, kRowSplits},
     .attrs = {{.name = "lengths", .kind = AttrKind::kInts, .mode = AttrSpec::Default::kValue, .doc = "of the runs"},
               StringAttr("separator", "", "between two items"),
               StringAttr("left_pad", "", "stands before a row"),
               StringAttr("right_pad", "", "stands behind a row"),
               IntAttr("pad_width", 0, "how many of either, below the length; -1: all that fit"),
               BoolAttr("preserve_short", false, "a row too short for a run gives one of all its items")},
     .traits = kExact,
     .infer = InferNgrams,
     .eval = EvalNgrams,
     .samples = NgramSamples},
    {.name = "unicode_decode",
     .summary = "The code points of texts in UTF-8, a row for each, and the byte at which each begins in its text.",
     .inputs = {{.name = "x", .dtypes = kText}},
     .outputs = {{.name = "points", .type = "P", .dtypes = kPoints},
                 kRowSplits,
                 {.name = "starts", .type = "I", .dtypes = kSplits}},
     .attrs = {kErrors, kReplacement, BoolAttr("replace_control", false, "those below 32 count as malformed")},
     .traits = kExact,
     .infer = InferDecode,
     .eval = EvalDecode,
     .samples = DecodeSamples},
    {.name = "unicode_encode",
     .summary = "Rows of code points as texts in UTF-8.",
     .inputs = {{.name = "points", .type = "P", .dtypes = kPoints, .flags = kNotDifferentiable}, kRowSplits},
     .outputs = {{.name = "y", .type = "S", .dtypes = kText}},
     .attrs = {kErrors, kReplacement},
     .traits = kExact,
     .infer = InferEncode,
     .eval = EvalEncode,
     .samples = EncodeSamples},
};

}  // namespace
extern const std::span<const OpDef> text_rows_ops;
constinit const std::span<const OpDef> text_rows_ops{kOps};
}  // namespace tenon::ir::ops
