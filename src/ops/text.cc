// Ops on strings: UTF-8 texts of any length, one an element.
#include <re2/re2.h>

#include <algorithm>

#include "ops/array_util.h"
#include "ops/text_util.h"

namespace tenon::ir::ops {
namespace {

constexpr DTypeSet kText = Only(DType::kString);

Status EvalConcat(EvalContext& ctx) {
  const std::vector<std::int64_t> dims = ctx.out_dims();
  const std::vector<std::int64_t> xi = BroadcastIndices(ctx.in(0).dims(), dims),
                                  yi = BroadcastIndices(ctx.in(1).dims(), dims);
  std::vector<std::string> out(xi.size());
  for (std::size_t k = 0; k < out.size(); ++k)
    out[k] = ctx.in(0).strings()[Size(xi[k])] + ctx.in(1).strings()[Size(yi[k])];
  ctx.Set(0, Literal::from_strings(dims, std::move(out)));
  return {};
}

// ---- split ----

Status InferSplit(InferContext& ctx) {
  if (const std::int64_t most = ctx.attrs().Int("max_splits"); most < -1)
    return ctx.Fail(1, "got max_splits " + std::to_string(most) + ", expected -1 (no limit) or more");
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, DType::kString);
    ctx.SetUnknownRank(1, DType::kI64);
    return {};
  }
  std::vector<Dim> dims = ctx.shape(0).dims();
  ctx.Set(1, DType::kI64, Shape(dims));
  dims.push_back(ctx.FreshDim());
  ctx.Set(0, DType::kString, Shape(std::move(dims)));
  return {};
}

Status EvalSplit(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const std::string& delimiter = ctx.attrs().String("delimiter");
  const std::int64_t limit = ctx.attrs().Int("max_splits");
  std::vector<std::vector<std::string>> rows;
  std::vector<std::int64_t> counts;
  std::size_t width = 0;
  for (const std::string& text : x.strings()) {
    rows.push_back(SplitText(text, delimiter, limit));
    counts.push_back(static_cast<std::int64_t>(rows.back().size()));
    width = std::max(width, rows.back().size());
  }
  std::vector<std::int64_t> dims = x.dims();
  ctx.Set(1, FromInts(DType::kI64, dims, counts));
  dims.push_back(static_cast<std::int64_t>(width));
  TENON_RETURN_IF_ERROR(checked_size(dims).status());
  Literal pieces(DType::kString, std::move(dims));
  std::vector<std::string>& out = pieces.mutable_strings();
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t k = 0; k < rows[i].size(); ++k) out[i * width + k] = std::move(rows[i][k]);
  ctx.Set(0, std::move(pieces));
  return {};
}

// ---- regular expressions ----

RE2::Options RegexOptions() {
  RE2::Options options;
  options.set_log_errors(false);
  return options;
}
// c1: the pattern can be read.
Status InferMatch(InferContext& ctx) {
  const RE2 pattern(ctx.attrs().String("pattern"), RegexOptions());
  if (!pattern.ok()) return ctx.Fail(1, "got pattern \"" + ctx.attrs().String("pattern") + "\": " + pattern.error());
  ctx.Set(0, ctx.ranked(0) ? Type::Tensor(DType::kBool, ctx.shape(0)) : Type::TensorOfUnknownRank(DType::kBool));
  return {};
}
Status EvalMatch(EvalContext& ctx) {
  const RE2 pattern(ctx.attrs().String("pattern"), RegexOptions());
  std::vector<std::int64_t> out;
  for (const std::string& text : ctx.in(0).strings()) out.push_back(RE2::FullMatch(text, pattern) ? 1 : 0);
  ctx.Set(0, FromInts(DType::kBool, ctx.in(0).dims(), out));
  return {};
}

// c1: the pattern can be read. c2: the rewriting names groups that the pattern has.
Status InferReplace(InferContext& ctx) {
  const RE2 pattern(ctx.attrs().String("pattern"), RegexOptions());
  if (!pattern.ok()) return ctx.Fail(1, "got pattern \"" + ctx.attrs().String("pattern") + "\": " + pattern.error());
  std::string problem;
  if (!pattern.CheckRewriteString(ctx.attrs().String("rewrite"), &problem))
    return ctx.Fail(2, "got rewrite \"" + ctx.attrs().String("rewrite") + "\": " + problem);
  ctx.Set(0, ctx.type(0));
  return {};
}
Status EvalReplace(EvalContext& ctx) {
  const RE2 pattern(ctx.attrs().String("pattern"), RegexOptions());
  const std::string& rewrite = ctx.attrs().String("rewrite");
  const bool all = ctx.attrs().Bool("all");
  std::vector<std::string> out = ctx.in(0).strings();
  for (std::string& text : out) {
    if (all)
      RE2::GlobalReplace(&text, pattern, rewrite);
    else
      RE2::Replace(&text, pattern, rewrite);
  }
  ctx.Set(0, Literal::from_strings(ctx.in(0).dims(), std::move(out)));
  return {};
}

// ---- case and stop words ----

// c1: x is [n] or [1, n]. c2: the change of case is one of three.
Status InferNormalize(InferContext& ctx) {
  const std::string& change = ctx.attrs().String("change_case");
  if (change != "none" && change != "lower" && change != "upper")
    return ctx.Fail(2, "got change_case \"" + change + "\", expected none, lower or upper");
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, DType::kString);
    return {};
  }
  const int rank = ctx.rank(0);
  if (rank < 1 || rank > 2 || (rank == 2 && Differ(ctx.shape(0)[0], 1)))
    return ctx.Fail(1, "got x " + ctx.type(0).to_string() + ", expected [n] or [1, n]");
  std::vector<Dim> dims = ctx.shape(0).dims();
  dims.back() = ctx.FreshDim();
  ctx.Set(0, DType::kString, Shape(std::move(dims)));
  return {};
}
Status EvalNormalize(EvalContext& ctx) {
  const std::string& change = ctx.attrs().String("change_case");
  const bool sensitive = ctx.attrs().Bool("case_sensitive");
  std::vector<std::string> stop = ctx.attrs().Strings("stop_words");
  if (!sensitive)
    for (std::string& word : stop) word = ChangeCase(word, false);
  std::sort(stop.begin(), stop.end());
  std::vector<std::string> out;
  for (const std::string& text : ctx.in(0).strings()) {
    if (std::binary_search(stop.begin(), stop.end(), sensitive ? text : ChangeCase(text, false))) continue;
    out.push_back(change == "none" ? text : ChangeCase(text, change == "upper"));
  }
  if (out.empty()) out.emplace_back();
  std::vector<std::int64_t> dims = ctx.in(0).dims();
  dims.back() = static_cast<std::int64_t>(out.size());
  ctx.Set(0, Literal::from_strings(std::move(dims), std::move(out)));
  return {};
}

// ---- samples ----

Literal Texts(std::vector<std::int64_t> dims, std::vector<std::string> texts) {
  return Literal::from_strings(std::move(dims), std::move(texts));
}
std::vector<Sample> JoinSamples() {
  return {{.name = "plain", .inputs = {Texts({2}, {"abc", "ü"}), Texts({2}, {"", "x y"})}},
          {.name = "broadcast", .inputs = {Texts({2, 1}, {"a", "b"}), Texts({3}, {"1", "2", "3"})}},
          {.name = "scalar", .inputs = {Texts({}, {"a"}), Texts({}, {"b"})}},
          {.name = "empty", .inputs = {Texts({0}, {}), Texts({}, {"b"})}},
          {.name = "mismatch", .inputs = {Texts({2}, {"a", "b"}), Texts({3}, {"a", "b", "c"})}, .error = "c1"}};
}
std::vector<Sample> SplitSamples() {
  return {
      {.name = "words", .inputs = {Texts({2}, {"  hello   world ", "one"})}},
      {.name = "comma", .inputs = {Texts({2}, {"a,b,,c", ""})}, .attrs = {{"delimiter", std::string(",")}}},
      {.name = "most",
       .inputs = {Texts({1, 2}, {"a--b--c", "d"})},
       .attrs = {{"delimiter", std::string("--")}, {"max_splits", std::int64_t{1}}}},
      {.name = "most_words", .inputs = {Texts({1}, {" a b  c "})}, .attrs = {{"max_splits", std::int64_t{1}}}},
      {.name = "empty", .inputs = {Texts({0}, {})}},
      {.name = "negative", .inputs = {Texts({1}, {"a"})}, .attrs = {{"max_splits", std::int64_t{-2}}}, .error = "c1"}};
}
std::vector<Sample> MatchSamples() {
  return {{.name = "site",
           .inputs = {Texts({3}, {"www.google.com", "www.facebook.com", "www.bbc.co.uk"})},
           .attrs = {{"pattern", std::string(R"(www\.[\w.-]+\.\bcom\b)")}}},
          {.name = "empty", .inputs = {Texts({2, 0}, {})}, .attrs = {{"pattern", std::string("a*")}}},
          {.name = "scalar", .inputs = {Texts({}, {"aab"})}, .attrs = {{"pattern", std::string("a*")}}},
          {.name = "unclosed", .inputs = {Texts({}, {"a"})}, .attrs = {{"pattern", std::string("(a")}}, .error = "c1"}};
}
std::vector<Sample> ReplaceSamples() {
  const auto attrs = [](const char* pattern, const char* rewrite, bool all = true) {
    return Attrs{{"pattern", std::string(pattern)}, {"rewrite", std::string(rewrite)}, {"all", all}};
  };
  const Literal x = Texts({3}, {"Hello, world!", "", "a-b-c"});
  return {{.name = "all", .inputs = {x}, .attrs = attrs("[^a-z ]", "_")},
          {.name = "first", .inputs = {x}, .attrs = attrs("[a-z]", "<\\0>", false)},
          {.name = "groups", .inputs = {x}, .attrs = attrs("([a-z])-([a-z])", "\\2+\\1")},
          {.name = "scalar", .inputs = {Texts({}, {"aab"})}, .attrs = attrs("a", "")},
          {.name = "empty", .inputs = {Texts({0, 2}, {})}, .attrs = attrs("a", "b")},
          {.name = "unclosed", .inputs = {x}, .attrs = attrs("(a", "b"), .error = "c1"},
          {.name = "no_group", .inputs = {x}, .attrs = attrs("a", "\\1"), .error = "c2"}};
}
std::vector<Sample> NormalizeSamples() {
  const Literal days = Texts({4}, {"monday", "Tuesday", "wednesday", "thursday"});
  return {
      {.name = "upper",
       .inputs = {days},
       .attrs = {{"change_case", std::string("upper")}, {"stop_words", std::vector<std::string>{"monday"}}}},
      {.name = "insensitive", .inputs = {days}, .attrs = {{"stop_words", std::vector<std::string>{"TUESDAY"}}}},
      {.name = "sensitive",
       .inputs = {days},
       .attrs = {{"stop_words", std::vector<std::string>{"tuesday"}}, {"case_sensitive", true}}},
      {.name = "unicode", .inputs = {Texts({1, 2}, {"Élan", "ЖÄ"})}, .attrs = {{"change_case", std::string("lower")}}},
      {.name = "all_gone", .inputs = {Texts({1}, {"a"})}, .attrs = {{"stop_words", std::vector<std::string>{"a"}}}},
      {.name = "scalar", .inputs = {Texts({}, {"a"})}, .error = "c1"},
      {.name = "case", .inputs = {days}, .attrs = {{"change_case", std::string("title")}}, .error = "c2"}};
}
constexpr Port kTextIn = {.name = "x", .dtypes = kText};
constexpr Port kTextOut = {.name = "y", .type = "S", .dtypes = kText};

constinit const OpDef kOps[] = {
    {.name = "string_concat",
     .summary = "z = x followed by y, element by element.",
     .inputs = {{.name = "x", .dtypes = kText}, {.name = "y", .dtypes = kText}},
     .outputs = {{.name = "z", .dtypes = kText}},
     .traits = kElementwise | kExact,
     .infer = InferElementwise,
     .eval = EvalConcat,
     .samples = JoinSamples,
     .names = {.onnx = "StringConcat"}},
    {.name = "string_split",
     .summary = "Every text cut at a delimiter (an empty one: at runs of white space): [..., n] pieces, filled up with "
                "empty texts to the longest, and their counts.",
     .inputs = {kTextIn},
     .outputs = {{.name = "pieces", .type = "S", .dtypes = kText},
                 {.name = "counts", .type = "I", .dtypes = Only(DType::kI64)}},
     .attrs = {StringAttr("delimiter", "", "between the pieces"),
               IntAttr("max_splits", -1, "how many cuts at most; -1: no limit")},
     .traits = kExact,
     .infer = InferSplit,
     .eval = EvalSplit,
     .samples = SplitSamples},
    {.name = "regex_full_match",
     .summary = "Whether the whole text matches a regular expression in RE2's syntax (linear time).",
     .inputs = {kTextIn},
     .outputs = {{.name = "answer", .type = "B", .dtypes = kBoolSet}},
     .attrs = {StringAttr("pattern", "", "the expression")},
     .traits = kExact,
     .infer = InferMatch,
     .eval = EvalMatch,
     .samples = MatchSamples,
     .names = {.onnx = "RegexFullMatch"}},
    {.name = "regex_replace",
     .summary =
         "Every match of a regular expression in RE2's syntax (or the first of a text) rewritten; \\0 to \\9 stand "
         "for the match and its groups.",
     .inputs = {kTextIn},
     .outputs = {kTextOut},
     .attrs = {StringAttr("pattern", "", "the expression"), StringAttr("rewrite", "", "what replaces a match"),
               BoolAttr("all", true, "false: only the first match of a text")},
     .traits = kExact,
     .infer = InferReplace,
     .eval = EvalReplace,
     .samples = ReplaceSamples},
    {.name = "string_normalize",
     .summary = "Texts without the stop words, then in another case; one empty text when nothing is left.",
     .inputs = {kTextIn},
     .outputs = {kTextOut},
     .attrs = {StringAttr("change_case", "none", "none, lower or upper: Unicode's simple mappings"),
               BoolAttr("case_sensitive", false, "how stop words are compared"),
               {.name = "stop_words",
                .kind = AttrKind::kStrings,
                .mode = AttrSpec::Default::kValue,
                .doc = "elements to leave out"}},
     .traits = kExact,
     .infer = InferNormalize,
     .eval = EvalNormalize,
     .samples = NormalizeSamples},
};

}  // namespace
extern const std::span<const OpDef> text_ops;
constinit const std::span<const OpDef> text_ops{kOps};
}  // namespace tenon::ir::ops
