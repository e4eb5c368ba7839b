// Decision trees.
#include <cmath>
#include <limits>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

enum Mode : std::int64_t { kLessEqual, kLess, kGreaterEqual, kGreater, kEqual, kNotEqual, kMember, kNumModes };

struct Trees {
  const std::vector<std::int64_t>&features, &modes, &on_true, &on_false, &missing_true, &roots, &starts, &targets;
  const std::vector<double>&splits, &weights, &members;
  explicit Trees(const Attrs& a)
      : features(a.Ints("features")),
        modes(a.Ints("modes")),
        on_true(a.Ints("on_true")),
        on_false(a.Ints("on_false")),
        missing_true(a.Ints("missing_true")),
        roots(a.Ints("roots")),
        starts(a.Ints("leaf_starts")),
        targets(a.Ints("leaf_targets")),
        splits(a.Floats("splits")),
        weights(a.Floats("leaf_weights")),
        members(a.Floats("members")) {}
  std::int64_t nodes() const { return static_cast<std::int64_t>(features.size()); }
  std::int64_t leaves() const { return static_cast<std::int64_t>(starts.size()) - 1; }
};

// Where a set stands: its size, then its members.
bool IsSet(const Trees& t, double at) {
  const auto size = static_cast<double>(t.members.size());
  if (!(at >= 0 && at < size) || at != std::floor(at)) return false;
  const double count = t.members[static_cast<std::size_t>(at)];
  return count >= 0 && count == std::floor(count) && count < size - at;
}

// c1: x is [n, features] with every feature that the nodes ask for. c2: as many entries of each kind as nodes; a mode
// is one of seven. c3: every place names a node or a leaf, and nobody meets a node twice. c4: leaves name targets.
// c5: the way to aggregate. c6: members.
Status InferTrees(InferContext& ctx) {
  const Trees t(ctx.attrs());
  if (ctx.ranked(0) && ctx.rank(0) != 2)
    return ctx.Fail(1, "got x " + ctx.type(0).to_string() + ", expected [n, features]");
  const std::size_t n = t.features.size();
  if (t.modes.size() != n || t.splits.size() != n || t.on_true.size() != n || t.on_false.size() != n ||
      (!t.missing_true.empty() && t.missing_true.size() != n))
    return ctx.Fail(2, "got lists of different lengths for " + std::to_string(n) + " nodes");
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t feature = t.features[i];
    if (feature < 0 || (ctx.ranked(0) && KnownLess(ctx.shape(0)[1], Dim(feature) + 1)))
      return ctx.Fail(1, "node " + std::to_string(i) + " asks for feature " + std::to_string(feature) + " of x " +
                             ctx.type(0).to_string());
    if (t.modes[i] < 0 || t.modes[i] >= kNumModes)
      return ctx.Fail(2, "node " + std::to_string(i) + " has mode " + std::to_string(t.modes[i]));
    if (t.modes[i] == kMember && !IsSet(t, t.splits[i]))
      return ctx.Fail(6, "node " + std::to_string(i) + " names no set of members");
  }
  if (t.starts.empty() || t.starts.front() != 0 || t.starts.back() != static_cast<std::int64_t>(t.targets.size()) ||
      t.weights.size() != t.targets.size())
    return ctx.Fail(4, "got " + std::to_string(t.targets.size()) + " targets and " + std::to_string(t.weights.size()) +
                           " weights of leaves that do not fill them");
  for (std::size_t i = 1; i < t.starts.size(); ++i)
    if (t.starts[i] < t.starts[i - 1]) return ctx.Fail(4, "leaf " + std::to_string(i - 1) + " ends before it starts");
  const std::int64_t targets = ctx.attrs().Int("targets");
  if (targets < 1 || targets > 1 << 28)
    return ctx.Fail(4, "got " + std::to_string(targets) + " targets, expected 1 or more");
  for (const std::int64_t target : t.targets)
    if (target < 0 || target >= targets)
      return ctx.Fail(4, "a leaf names target " + std::to_string(target) + " of " + std::to_string(targets));
  const std::string& how = ctx.attrs().String("aggregate");
  if (how != "sum" && how != "average" && how != "min" && how != "max")
    return ctx.Fail(5, "got aggregate \"" + how + "\", expected sum, average, min or max");
  std::vector<bool> seen(n, false);
  std::vector<std::int64_t> open = t.roots;
  while (!open.empty()) {
    const std::int64_t at = open.back();
    open.pop_back();
    if (at >= t.nodes() || -1 - at >= t.leaves())
      return ctx.Fail(3, "got place " + std::to_string(at) + " among " + std::to_string(n) + " nodes and " +
                             std::to_string(t.leaves()) + " leaves");
    if (at < 0) continue;
    if (seen[Size(at)]) return ctx.Fail(3, "node " + std::to_string(at) + " is reached in two ways");
    seen[Size(at)] = true;
    open.push_back(t.on_true[Size(at)]);
    open.push_back(t.on_false[Size(at)]);
  }
  if (!ctx.ranked(0)) {
    ctx.Set(0, ctx.dtype(0), {ctx.FreshDim(), targets});
    return {};
  }
  ctx.Set(0, ctx.dtype(0), {ctx.shape(0)[0], targets});
  return {};
}

bool GoesTrue(const Trees& t, std::size_t node, double x) {
  if (std::isnan(x) && !t.missing_true.empty() && t.missing_true[node] != 0) return true;
  const double split = t.splits[node];
  switch (t.modes[node]) {
    case kLessEqual:
      return x <= split;
    case kLess:
      return x < split;
    case kGreaterEqual:
      return x >= split;
    case kGreater:
      return x > split;
    case kEqual:
      return x == split;
    case kNotEqual:
      return x != split;
    default:
      for (std::size_t i = 1, at = static_cast<std::size_t>(split); i <= static_cast<std::size_t>(t.members[at]); ++i)
        if (t.members[at + i] == x) return true;
      return false;
  }
}

Status EvalTrees(EvalContext& ctx) {
  const Trees t(ctx.attrs());
  const Literal& x = ctx.in(0);
  const std::vector<double> values = ToDoubles(x);
  const std::size_t rows = Size(x.dims()[0]), width = Size(x.dims()[1]), targets = Size(ctx.attrs().Int("targets"));
  const std::string& how = ctx.attrs().String("aggregate");
  const bool smallest = how == "min", largest = how == "max";
  TENON_RETURN_IF_ERROR(checked_size(ctx.out_dims()).status());
  std::vector<double> out(rows * targets, 0);
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<bool> given(targets, false);
    for (std::int64_t at : t.roots) {
      while (at >= 0) {
        const std::size_t node = Size(at);
        at = GoesTrue(t, node, values[r * width + Size(t.features[node])]) ? t.on_true[node] : t.on_false[node];
      }
      const std::size_t leaf = Size(-1 - at);
      for (std::int64_t k = t.starts[leaf]; k < t.starts[leaf + 1]; ++k) {
        const std::size_t target = Size(t.targets[Size(k)]);
        double& sum = out[r * targets + target];
        const double weight = t.weights[Size(k)];
        if (!smallest && !largest)
          sum += weight;
        else if (!given[target] || (smallest ? weight < sum : weight > sum))
          sum = weight;
        given[target] = true;
      }
    }
    if (how == "average" && !t.roots.empty())
      for (std::size_t k = 0; k < targets; ++k) out[r * targets + k] /= static_cast<double>(t.roots.size());
  }
  ctx.Set(0, FromDoubles(x.dtype(), ctx.out_dims(), out));
  return {};
}

std::vector<Sample> TreeSamples() {
  using List = std::vector<std::int64_t>;
  using Floats = std::vector<double>;
  // x0 <= 1 ? (x1 > 0 ? leaf 0 : leaf 1) : leaf 2, and a tree that is one leaf with two targets.
  const auto attrs = [](std::string how) {
    return Attrs{{"features", List{0, 1}},
                 {"modes", List{kLessEqual, kGreater}},
                 {"splits", Floats{1, 0}},
                 {"on_true", List{1, -1}},
                 {"on_false", List{-3, -2}},
                 {"roots", List{0, -4}},
                 {"leaf_starts", List{0, 1, 2, 3, 5}},
                 {"leaf_targets", List{0, 1, 0, 0, 1}},
                 {"leaf_weights", Floats{5, 2, -1.5, 0.25, 4}},
                 {"targets", std::int64_t{2}},
                 {"aggregate", how}};
  };
  const auto with = [](Attrs a, std::string_view name, Attr value) {
    a.Set(name, std::move(value));
    return a;
  };
  const Literal x = Values({4, 2}, {0, 1, 1, -1, 2, 1, -3, 0});
  const Attrs sets = with(with(with(attrs("sum"), "modes", List{kMember, kNotEqual}), "splits", Floats{0, 1}),
                          "members", Floats{2, 0, 2});
  return {{.name = "sum", .inputs = {x}, .attrs = attrs("sum"), .gradient = false},
          {.name = "average", .inputs = {x}, .attrs = attrs("average"), .gradient = false},
          {.name = "min", .inputs = {x}, .attrs = attrs("min"), .gradient = false},
          {.name = "max", .inputs = {x}, .attrs = attrs("max"), .gradient = false},
          {.name = "members", .inputs = {x}, .attrs = sets, .gradient = false},
          {.name = "missing",
           .inputs = {Values({2, 2}, {std::nan(""), 1, std::nan(""), std::nan("")})},
           .attrs = with(attrs("sum"), "missing_true", List{1, 0}),
           .gradient = false,
           .only_f32 = true},
          {.name = "none", .inputs = {Random({0, 2}, 1)}, .attrs = attrs("sum"), .gradient = false},
          {.name = "narrow", .inputs = {Random({2, 1}, 1)}, .attrs = attrs("sum"), .error = "c1"},
          {.name = "mode", .inputs = {x}, .attrs = with(attrs("sum"), "modes", List{0, 7}), .error = "c2"},
          {.name = "cycle", .inputs = {x}, .attrs = with(attrs("sum"), "on_true", List{0, -1}), .error = "c3"},
          {.name = "no_node", .inputs = {x}, .attrs = with(attrs("sum"), "on_true", List{2, -1}), .error = "c3"},
          {.name = "target", .inputs = {x}, .attrs = with(attrs("sum"), "targets", std::int64_t{1}), .error = "c4"},
          {.name = "how", .inputs = {x}, .attrs = attrs("median"), .error = "c5"},
          {.name = "no_end", .inputs = {x}, .attrs = with(sets, "members", Floats{3, 0, 2}), .error = "c6"}};
}

constexpr AttrSpec Numbers(std::string_view name, std::string_view doc) {
  return {.name = name, .kind = AttrKind::kFloats, .mode = AttrSpec::Default::kValue, .doc = doc};
}

constinit const OpDef kOps[] = {
    {.name = "tree_ensemble",
     .summary = "For each row of x and each target the sum (average, least, largest) of the weights in the leaves to "
                "which the trees lead. A place is a node's number, or -1 - a leaf's.",
     .inputs = {{.name = "x", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[n, features]"}},
     .outputs = {{.name = "y", .dtypes = kFloatSet, .doc = "[n, targets]"}},
     .attrs = {IntsAttr("features", "per node: the column of x"),
               IntsAttr("modes", "per node: 0 x <= split, 1 <, 2 >=, 3 >, 4 ==, 5 !=, 6 x is in a set"),
               Numbers("splits", "per node; for mode 6 where in `members` the set starts"),
               IntsAttr("on_true", "per node: the next place"), IntsAttr("on_false", "per node: the next place"),
               IntsAttr("missing_true", "per node: 1 takes NaN as true; empty: none does"),
               IntsAttr("roots", "per tree: a place"),
               IntsAttr("leaf_starts", "per leaf, and one more: where its targets start"),
               IntsAttr("leaf_targets", "a column of y"), Numbers("leaf_weights", "beside each of leaf_targets"),
               Numbers("members", "sets, each with its size in front"),
               Required("targets", AttrKind::kInt, "columns of y"),
               StringAttr("aggregate", "sum", "sum, average (over the trees), min or max")},
     .traits = kDiscrete | kAccumulates,
     .infer = InferTrees,
     .eval = EvalTrees,
     .samples = TreeSamples},
};

}  // namespace
extern const std::span<const OpDef> tree_ops;
constinit const std::span<const OpDef> tree_ops{kOps};
}  // namespace tenon::ir::ops
