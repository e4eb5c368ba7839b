// Tables: values by key, and counts of n-grams.
#include <cmath>
#include <map>
#include <unordered_map>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

constexpr DTypeSet kKeySet = kRealSet | kBoolSet | Only(DType::kString);

// c1: as many keys as values, in vectors. c2: one default.
Status InferLookup(InferContext& ctx) {
  for (int i = 1; i <= 2; ++i)
    if (ctx.ranked(i) && ctx.rank(i) != 1)
      return ctx.Fail(1, "got keys " + ctx.type(1).to_string() + " and values " + ctx.type(2).to_string() +
                             ", expected vectors of one length");
  if (ctx.ranked(1) && ctx.ranked(2) && Differ(ctx.shape(1)[0], ctx.shape(2)[0]))
    return ctx.Fail(1, "got keys " + ctx.type(1).to_string() + " and values " + ctx.type(2).to_string() +
                           ", expected vectors of one length");
  if (ctx.ranked(3) && (ctx.rank(3) > 1 || (ctx.rank(3) == 1 && Differ(ctx.shape(3)[0], 1))))
    return ctx.Fail(2, "got otherwise " + ctx.type(3).to_string() + ", expected one element");
  const DType dtype = ctx.dtype(2);
  ctx.Set(0, ctx.ranked(0) ? Type::Tensor(dtype, ctx.shape(0)) : Type::TensorOfUnknownRank(dtype));
  return {};
}

// For each element of x the place of its key, -1 without one. The first of equal keys counts.
template <class T>
std::vector<std::int64_t> Places(const std::vector<T>& x, const std::vector<T>& keys) {
  std::unordered_map<T, std::int64_t> table;
  std::int64_t nan = -1;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if constexpr (std::same_as<T, double>)
      if (std::isnan(keys[i])) {
        if (nan < 0) nan = static_cast<std::int64_t>(i);
        continue;
      }
    table.emplace(keys[i], static_cast<std::int64_t>(i));
  }
  std::vector<std::int64_t> out;
  out.reserve(x.size());
  for (const T& element : x) {
    if constexpr (std::same_as<T, double>)
      if (std::isnan(element)) {
        out.push_back(nan);
        continue;
      }
    const auto found = table.find(element);
    out.push_back(found == table.end() ? -1 : found->second);
  }
  return out;
}
Status EvalLookup(EvalContext& ctx) {
  const Literal &x = ctx.in(0), &keys = ctx.in(1), &values = ctx.in(2);
  const std::vector<std::int64_t> places = x.dtype() == DType::kString ? Places(x.strings(), keys.strings())
                                           : is_float(x.dtype())       ? Places(ToDoubles(x), ToDoubles(keys))
                                                                       : Places(ToInts(x), ToInts(keys));
  // The default stands behind the values.
  Literal all(values.dtype(), {values.size() + 1});
  const Literal& otherwise = ctx.in(3);
  if (values.dtype() == DType::kString) {
    for (std::size_t i = 0; i < values.strings().size(); ++i) all.mutable_strings()[i] = values.strings()[i];
    all.mutable_strings().back() = otherwise.strings()[0];
  } else {
    const std::size_t bytes = otherwise.nbytes();
    std::copy_n(values.raw().data(), values.nbytes(), all.mutable_raw().data());
    std::copy_n(otherwise.raw().data(), bytes, all.mutable_raw().data() + values.nbytes());
  }
  std::vector<std::int64_t> from = places;
  for (std::int64_t& i : from)
    if (i < 0) i = values.size();
  ctx.Set(0, GatherElements(all, x.dims(), from));
  return {};
}

// ---- n-grams ----

constexpr std::int64_t kMostColumns = 1 << 28;

std::int64_t Columns(const Attrs& attrs) {
  std::int64_t most = -1;
  for (const std::int64_t column : attrs.Ints("columns")) most = std::max(most, column);
  return most + 1;
}
// c1: x is [], [n] or [batch, n] of the pool's dtype. c2: lengths and skips in range. c3: the starts cut the pool into
// whole n-grams. c4: a column for each n-gram. c5: a weight for each column, or none. c6: the mode is one of three.
Status InferNgrams(InferContext& ctx) {
  const Attrs& a = ctx.attrs();
  if ((ctx.ranked(0) && ctx.rank(0) > 2) || (ctx.ranked(1) && ctx.rank(1) != 1))
    return ctx.Fail(1, "got x " + ctx.type(0).to_string() + " and a pool " + ctx.type(1).to_string() +
                           ", expected rank at most 2 and a vector");
  const std::int64_t shortest = a.Int("shortest"), longest = a.Int("longest"), skips = a.Int("skips");
  if (shortest < 1 || longest < shortest || longest > 1024 || skips < 0 || skips > 1 << 20)
    return ctx.Fail(2, "got n-grams of " + std::to_string(shortest) + " to " + std::to_string(longest) + " with " +
                           std::to_string(skips) + " skips, expected 1 <= shortest <= longest <= 1024, skips >= 0");
  const std::vector<std::int64_t>& starts = a.Ints("starts");
  const std::optional<std::int64_t> size = ctx.ranked(1) ? ctx.shape(1)[0].try_value() : std::nullopt;
  const std::vector<std::int64_t>& columns = a.Ints("columns");
  std::int64_t grams = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const bool last = i + 1 == starts.size();
    if (last && !size) break;  // only the run knows where the pool ends
    const std::int64_t end = last ? *size : starts[i + 1];
    const auto length = static_cast<std::int64_t>(i + 1);
    if (starts[i] < 0 || end < starts[i] || (size && end > *size) || (end - starts[i]) % length != 0)
      return ctx.Fail(3, "got starts that do not cut the pool into whole n-grams of " + std::to_string(length));
    grams += (end - starts[i]) / length;
  }
  if (columns.empty() || (size && static_cast<std::int64_t>(columns.size()) != grams))
    return ctx.Fail(4, "got " + std::to_string(columns.size()) + " columns for " + std::to_string(grams) + " n-grams");
  for (const std::int64_t column : columns)
    if (column < 0 || column >= kMostColumns)
      return ctx.Fail(4, "got column " + std::to_string(column) + ", expected one in [0, 2^28)");
  const std::vector<double>& weights = a.Floats("weights");
  const std::int64_t width = Columns(a);
  if (!weights.empty() && static_cast<std::int64_t>(weights.size()) < width)
    return ctx.Fail(5, "got " + std::to_string(weights.size()) + " weights for " + std::to_string(width) + " columns");
  const std::string& mode = a.String("mode");
  if (mode != "tf" && mode != "idf" && mode != "tfidf")
    return ctx.Fail(6, "got mode \"" + mode + "\", expected tf, idf or tfidf");
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, DType::kF32);
    return {};
  }
  std::vector<Dim> dims;
  if (ctx.rank(0) == 2) dims.push_back(ctx.shape(0)[0]);
  dims.emplace_back(width);
  ctx.Set(0, DType::kF32, Shape(std::move(dims)));
  return {};
}

template <class T>
std::vector<double> CountNgrams(const Attrs& a, const std::vector<T>& pool, const std::vector<T>& x,
                                std::int64_t rows) {
  const std::int64_t shortest = a.Int("shortest"), longest = a.Int("longest"), skips = a.Int("skips");
  const std::vector<std::int64_t>&starts = a.Ints("starts"), &columns = a.Ints("columns");
  std::vector<std::map<std::vector<T>, std::int64_t>> grams(starts.size());  // by length - 1
  std::size_t number = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::size_t end = i + 1 < starts.size() ? Size(starts[i + 1]) : pool.size();
    for (std::size_t at = Size(starts[i]); at < end; at += i + 1)
      grams[i][std::vector<T>(pool.begin() + static_cast<std::ptrdiff_t>(at),
                              pool.begin() + static_cast<std::ptrdiff_t>(at + i + 1))] = columns[number++];
  }
  const std::int64_t width = Columns(a), row = rows == 0 ? 0 : static_cast<std::int64_t>(x.size()) / rows;
  std::vector<double> out(Size(rows * width), 0);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t length = shortest;
         length <= std::min<std::int64_t>(longest, static_cast<std::int64_t>(grams.size())); ++length) {
      const auto& table = grams[Size(length - 1)];
      if (table.empty()) continue;
      for (std::int64_t skip = 0; skip <= (length == 1 ? 0 : skips) && skip < std::max<std::int64_t>(row, 1); ++skip)
        for (std::int64_t first = 0; first + (length - 1) * (skip + 1) < row; ++first) {
          std::vector<T> gram;
          for (std::int64_t k = 0; k < length; ++k) gram.push_back(x[Size(r * row + first + k * (skip + 1))]);
          if (const auto found = table.find(gram); found != table.end()) out[Size(r * width + found->second)] += 1;
        }
    }
  return out;
}
Status EvalNgrams(EvalContext& ctx) {
  const Attrs& a = ctx.attrs();
  const Literal &x = ctx.in(0), &pool = ctx.in(1);
  const std::int64_t rows = x.rank() == 2 ? x.dims()[0] : 1;
  std::vector<std::int64_t> dims = ctx.out_dims();
  TENON_RETURN_IF_ERROR(checked_size(dims).status());
  std::vector<double> out = x.dtype() == DType::kString ? CountNgrams(a, pool.strings(), x.strings(), rows)
                                                        : CountNgrams(a, ToInts(pool), ToInts(x), rows);
  const std::string& mode = a.String("mode");
  const std::vector<double>& weights = a.Floats("weights");
  const std::size_t width = Size(Columns(a));
  for (std::size_t i = 0; i < out.size() && mode != "tf"; ++i) {
    const double weight = weights.empty() ? 1 : weights[i % width];
    out[i] = mode == "idf" ? (out[i] > 0 ? weight : 0) : out[i] * weight;
  }
  ctx.Set(0, FromDoubles(DType::kF32, std::move(dims), out));
  return {};
}

std::vector<Sample> LookupSamples() {
  const Literal texts = Literal::from_strings({2}, {"a", "b"});
  return {
      {.name = "numbers", .inputs = {Ints({2, 2}, {5, 7, 6, 5}), Ints({2}, {5, 6}), Ints({2}, {1, 2}), Ints({}, {9})}},
      {.name = "to_texts", .inputs = {Ints({2}, {6, 7}), Ints({2}, {5, 6}), texts, Literal::from_strings({1}, {"?"})}},
      {.name = "texts",
       .inputs = {Literal::from_strings({3}, {"b", "c", "a"}), texts, Ints({2}, {1, 2}), Ints({}, {3})}},
      {.name = "nan",
       .inputs = {Values({2}, {std::nan(""), 1}), Values({2}, {2, std::nan("")}), Ints({2}, {1, 2}), Ints({}, {3})},
       .only_f32 = true},
      {.name = "empty", .inputs = {Ints({0}, {}), Ints({0}, {}), Ints({0}, {}), Ints({1}, {0})}},
      {.name = "lengths",
       .inputs = {Ints({1}, {1}), Ints({1}, {5}), texts, Literal::scalar(std::string())},
       .error = "c1"},
      {.name = "default",
       .inputs = {Ints({1}, {1}), Ints({1}, {5}), Ints({1}, {5}), Ints({2}, {1, 2})},
       .error = "c2"}};
}
std::vector<Sample> NgramSamples() {
  const Literal pool = Ints({10}, {2, 3, 5, 4, 5, 6, 7, 8, 6, 7});
  using List = std::vector<std::int64_t>;
  const List starts = {0, 4}, columns = {0, 1, 2, 3, 4, 5, 6};
  const auto attrs = [&](std::int64_t shortest, std::int64_t longest, std::int64_t skips, List at, std::string mode) {
    return Attrs{{"shortest", shortest}, {"longest", longest}, {"skips", skips},
                 {"starts", at},         {"columns", columns}, {"mode", mode}};
  };
  const Literal x = Ints({12}, {1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8});
  return {
      {.name = "pairs", .inputs = {x, pool}, .attrs = attrs(2, 2, 0, starts, "tf")},
      {.name = "skips", .inputs = {x, pool}, .attrs = attrs(2, 2, 5, starts, "tf")},
      {.name = "batch",
       .inputs = {Ints({2, 6}, {1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8}), pool},
       .attrs = attrs(1, 2, 5, starts, "tf")},
      {.name = "idf", .inputs = {x, pool}, .attrs = attrs(1, 2, 0, starts, "idf")},
      {.name = "empty", .inputs = {Ints({0}, {}), pool}, .attrs = attrs(1, 2, 0, starts, "tf")},
      {.name = "rank", .inputs = {Ints({1, 1, 1}, {1}), pool}, .attrs = attrs(1, 2, 0, starts, "tf"), .error = "c1"},
      {.name = "length", .inputs = {x, pool}, .attrs = attrs(0, 2, 0, starts, "tf"), .error = "c2"},
      {.name = "uneven", .inputs = {x, pool}, .attrs = attrs(1, 2, 0, {0, 3}, "tf"), .error = "c3"},
      {.name = "columns", .inputs = {x, pool}, .attrs = attrs(1, 2, 0, {0, 6}, "tf"), .error = "c4"},
      {.name = "mode", .inputs = {x, pool}, .attrs = attrs(1, 2, 0, starts, "sum"), .error = "c6"}};
}

constexpr DTypeSet kTokenSet = Only(DType::kString) | Only(DType::kI32) | Only(DType::kI64);

constinit const OpDef kOps[] = {
    {.name = "lookup_values",
     .summary = "For each element of x the value whose key it equals (NaN equals NaN), else the default.",
     .inputs = {{.name = "x", .dtypes = kKeySet, .flags = kNotDifferentiable},
                {.name = "keys",
                 .dtypes = kKeySet,
                 .flags = kNotDifferentiable,
                 .doc = "[n]; the first of equal ones counts"},
                {.name = "values", .type = "V", .dtypes = kKeySet, .flags = kNotDifferentiable, .doc = "[n]"},
                {.name = "otherwise",
                 .type = "V",
                 .dtypes = kKeySet,
                 .flags = kNotDifferentiable,
                 .doc = "one element: for what is no key"}},
     .outputs = {{.name = "y", .type = "V", .dtypes = kKeySet}},
     .traits = kDiscrete | kExact,
     .infer = InferLookup,
     .eval = EvalLookup,
     .samples = LookupSamples},
    {.name = "count_ngrams",
     .summary = "How often each n-gram of a pool stands in a row of x, its items next to each other or up to `skips` "
                "items apart; or whether it does, or both weighted.",
     .inputs = {{.name = "x", .dtypes = kTokenSet, .flags = kNotDifferentiable},
                {.name = "pool",
                 .dtypes = kTokenSet,
                 .flags = kNotDifferentiable,
                 .doc = "the n-grams' items: first those of length 1, then of length 2, …"}},
     .outputs = {{.name = "y", .type = "F", .dtypes = Only(DType::kF32)}},
     .attrs = {Required("shortest", AttrKind::kInt, "least length that counts"),
               Required("longest", AttrKind::kInt, "largest length that counts"),
               Required("skips", AttrKind::kInt, "items left out between two items, at most (always as many)"),
               IntsAttr("starts", "where in the pool the n-grams of length 1, 2, … start"),
               IntsAttr("columns", "for each n-gram of the pool its column in y"),
               {.name = "weights",
                .kind = AttrKind::kFloats,
                .mode = AttrSpec::Default::kValue,
                .doc = "for each column; empty: all 1"},
               StringAttr("mode", "tf", "tf: counts; idf: the weight where there is one; tfidf: their product")},
     .traits = kDiscrete | kExact,
     .infer = InferNgrams,
     .eval = EvalNgrams,
     .samples = NgramSamples},
};

}  // namespace
extern const std::span<const OpDef> lookup_ops;
constinit const std::span<const OpDef> lookup_ops{kOps};
}  // namespace tenon::ir::ops
