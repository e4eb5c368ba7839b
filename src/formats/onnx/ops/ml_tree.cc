// ai.onnx.ml: tree ensembles, in the form of version 5 and in the older one, and n-grams.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "formats/onnx/ops/ml_util.h"

namespace tenon::onnx {
namespace {

// The attributes of our tree_ensemble.
struct Ensemble {
  Ints features, modes, on_true, on_false, missing_true, roots, leaf_starts = {0}, leaf_targets;
  std::vector<double> splits, leaf_weights, members;
  std::int64_t targets = 1;
  std::string aggregate = "sum";

  Ex Add(NodeContext& n, Value x) const {
    return n.Apply("tree_ensemble", {x},
                   {{"features", features},
                    {"modes", modes},
                    {"splits", splits},
                    {"on_true", on_true},
                    {"on_false", on_false},
                    {"missing_true", missing_true},
                    {"roots", roots},
                    {"leaf_starts", leaf_starts},
                    {"leaf_targets", leaf_targets},
                    {"leaf_weights", leaf_weights},
                    {"members", members},
                    {"targets", targets},
                    {"aggregate", aggregate}});
  }
};

Result<std::vector<double>> Numbers(NodeContext& n, std::string_view name) {
  TENON_ASSIGN_OR_RETURN(const Literal value, n.TensorAttr(name));
  if (value.dtype() == DType::kString) return n.Fail(fmt::format("the attribute \"{}\" holds strings", name));
  return ir::ToDoubles(value);
}

// Version 5: nodes and leaves are numbered; a flag beside each place says that it is a leaf's.
Status TreeEnsemble(NodeContext& n) {
  Ensemble e;
  e.features = n.IntList("nodes_featureids");
  TENON_ASSIGN_OR_RETURN(const Literal modes, n.TensorAttr("nodes_modes"));
  e.modes = ir::ToInts(modes);
  TENON_ASSIGN_OR_RETURN(e.splits, Numbers(n, "nodes_splits"));
  const std::size_t count = e.features.size();
  const auto places = [&](std::string_view ids, std::string_view flags, Ints* out) -> Status {
    *out = n.IntList(ids);
    const Ints leaf = n.IntList(flags);
    if (out->size() != count || leaf.size() != count)
      return n.Fail(fmt::format("{} {} and {} {} for {} nodes", out->size(), ids, leaf.size(), flags, count));
    for (std::size_t i = 0; i < count; ++i) {
      std::int64_t& at = (*out)[i];
      if (at < 0 || at > std::numeric_limits<std::int32_t>::max()) return n.Fail(fmt::format("{} holds {}", ids, at));
      if (leaf[i] != 0) at = -1 - at;
    }
    return {};
  };
  TENON_RETURN_IF_ERROR(places("nodes_truenodeids", "nodes_trueleafs", &e.on_true));
  TENON_RETURN_IF_ERROR(places("nodes_falsenodeids", "nodes_falseleafs", &e.on_false));
  e.missing_true = n.IntList("nodes_missing_value_tracks_true");
  e.roots = n.IntList("tree_roots");
  for (const std::int64_t root : e.roots)
    if (root < 0) return n.Fail(fmt::format("tree_roots holds {}", root));
  e.leaf_targets = n.IntList("leaf_targetids");
  TENON_ASSIGN_OR_RETURN(e.leaf_weights, Numbers(n, "leaf_weights"));
  for (std::size_t i = 0; i < e.leaf_targets.size(); ++i) e.leaf_starts.push_back(static_cast<std::int64_t>(i) + 1);
  std::vector<double> members;
  if (n.HasAttr("membership_values")) {
    TENON_ASSIGN_OR_RETURN(members, Numbers(n, "membership_values"));
  }
  // Sets stand in the order of the nodes that use them, each with NaN behind it; ours have their size in front.
  std::size_t at = 0;
  for (std::size_t i = 0; i < e.modes.size() && i < e.splits.size(); ++i) {
    if (e.modes[i] != 6) continue;
    if (at >= members.size()) return n.Fail(fmt::format("membership_values lacks the set of node {}", i));
    const std::size_t first = at;
    while (at < members.size() && !std::isnan(members[at])) ++at;
    e.splits[i] = static_cast<double>(e.members.size());
    e.members.push_back(static_cast<double>(at - first));
    e.members.insert(e.members.end(), members.begin() + static_cast<std::ptrdiff_t>(first),
                     members.begin() + static_cast<std::ptrdiff_t>(at));
    ++at;
  }
  e.targets = n.Int("n_targets", 1);
  constexpr std::string_view kAggregates[] = {"average", "sum", "min", "max"};
  const std::int64_t how = n.Int("aggregate_function", 1);
  if (how < 0 || how > 3) return n.Fail(fmt::format("aggregate_function is {}, expected 0 to 3", how));
  e.aggregate = kAggregates[how];
  if (!is_float(n.dtype(0))) return n.Fail(fmt::format("got {}, expected floats", n.b.type(n.in(0)).to_string()));
  TENON_ASSIGN_OR_RETURN(const Ex y, PostTransform(n, e.Add(n, n.in(0))));
  n.Out(0, y);
  return {};
}

// Lists of floats, or a tensor under the name with _as_tensor.
Result<std::vector<double>> FloatsOf(NodeContext& n, const std::string& name) {
  if (n.HasAttr(name + "_as_tensor")) return Numbers(n, name + "_as_tensor");
  return n.FloatList(name);
}

// The older form: nodes are named by (tree, node), leaves stand among them; `side` is "target" or "class".
Result<Ensemble> Older(NodeContext& n, const std::string& side, std::int64_t targets) {
  const Ints trees = n.IntList("nodes_treeids"), ids = n.IntList("nodes_nodeids"),
             features = n.IntList("nodes_featureids"), yes = n.IntList("nodes_truenodeids"),
             no = n.IntList("nodes_falsenodeids"), missing = n.IntList("nodes_missing_value_tracks_true");
  const std::vector<std::string> modes = n.StringList("nodes_modes");
  TENON_ASSIGN_OR_RETURN(const std::vector<double> splits, FloatsOf(n, "nodes_values"));
  const std::size_t count = trees.size();
  if (ids.size() != count || features.size() != count || yes.size() != count || no.size() != count ||
      modes.size() != count || splits.size() != count || (!missing.empty() && missing.size() != count))
    return n.Fail(fmt::format("lists of different lengths for {} nodes", count));
  const Ints leaf_trees = n.IntList(side + "_treeids"), leaf_ids = n.IntList(side + "_nodeids"),
             outputs = n.IntList(side + "_ids");
  TENON_ASSIGN_OR_RETURN(const std::vector<double> weights, FloatsOf(n, side + "_weights"));
  if (leaf_ids.size() != leaf_trees.size() || outputs.size() != leaf_trees.size() ||
      weights.size() != leaf_trees.size())
    return n.Fail(fmt::format("lists of different lengths for {} weights", leaf_trees.size()));
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::size_t>> entries;
  for (std::size_t i = 0; i < leaf_trees.size(); ++i) entries[{leaf_trees[i], leaf_ids[i]}].push_back(i);
  Ensemble e;
  e.targets = targets;
  constexpr std::string_view kModes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                         "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> places;
  std::int64_t next = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::int64_t place = next;
    if (modes[i] == "LEAF") {
      place = -static_cast<std::int64_t>(e.leaf_starts.size());
      for (const std::size_t k : entries[{trees[i], ids[i]}]) {
        e.leaf_targets.push_back(outputs[k]);
        e.leaf_weights.push_back(weights[k]);
      }
      e.leaf_starts.push_back(static_cast<std::int64_t>(e.leaf_targets.size()));
    } else {
      ++next;
    }
    if (!places.insert({{trees[i], ids[i]}, place}).second)
      return n.Fail(fmt::format("node {} of tree {} stands twice", ids[i], trees[i]));
  }
  std::set<std::pair<std::int64_t, std::int64_t>> children;
  for (std::size_t i = 0; i < count; ++i) {
    if (modes[i] == "LEAF") continue;
    const auto mode = std::find(std::begin(kModes), std::end(kModes), modes[i]);
    if (mode == std::end(kModes)) return n.Fail(fmt::format("node {} has mode \"{}\"", i, modes[i]));
    e.features.push_back(features[i]);
    e.modes.push_back(mode - std::begin(kModes));
    e.splits.push_back(splits[i]);
    if (!missing.empty()) e.missing_true.push_back(missing[i]);
    for (const auto& [child, list] : {std::pair(yes[i], &e.on_true), std::pair(no[i], &e.on_false)}) {
      const auto found = places.find({trees[i], child});
      if (found == places.end()) return n.Fail(fmt::format("tree {} has no node {}", trees[i], child));
      list->push_back(found->second);
      children.insert({trees[i], child});
    }
  }
  // A tree starts at its first branch that is nobody's child; a leaf alone is a tree, too.
  std::map<std::int64_t, int> sizes;
  for (const std::int64_t tree : trees) ++sizes[tree];
  std::set<std::int64_t> rooted;
  for (std::size_t i = 0; i < count; ++i) {
    const bool alone = sizes[trees[i]] == 1;
    if ((modes[i] == "LEAF" && !alone) || children.contains({trees[i], ids[i]})) continue;
    if (rooted.insert(trees[i]).second) e.roots.push_back(places[{trees[i], ids[i]}]);
  }
  for (const std::int64_t tree : trees)
    if (!rooted.contains(tree)) return n.Fail(fmt::format("tree {} goes in a circle", tree));
  return e;
}

Result<Ex> WithBase(NodeContext& n, Ex scores, std::int64_t targets) {
  TENON_ASSIGN_OR_RETURN(const std::vector<double> base, FloatsOf(n, "base_values"));
  if (base.empty()) return scores;
  if (base.size() != 1 && static_cast<std::int64_t>(base.size()) != targets)
    return n.Fail(fmt::format("{} base values for {} targets", base.size(), targets));
  return scores + n.ex(n.b.Constant(Vector(scores.dtype(), base)));
}

// Inputs of f64 stay so while the trees are walked.
Result<Ex> TreeRows(NodeContext& n) {
  if (n.dtype(0) == DType::kF64) return n.x(0);
  return Rows(n);
}

Status TreeEnsembleRegressor(NodeContext& n) {
  const std::int64_t targets = n.Int("n_targets", 1);
  TENON_ASSIGN_OR_RETURN(Ensemble e, Older(n, "target", targets));
  const std::string how = n.String("aggregate_function", "SUM");
  if (how != "SUM" && how != "AVERAGE" && how != "MIN" && how != "MAX")
    return n.Fail(fmt::format("aggregate_function is \"{}\"", how));
  e.aggregate = how == "SUM" ? "sum" : how == "AVERAGE" ? "average" : how == "MIN" ? "min" : "max";
  TENON_ASSIGN_OR_RETURN(const Ex x, TreeRows(n));
  TENON_ASSIGN_OR_RETURN(const Ex scores, WithBase(n, e.Add(n, x), targets));
  TENON_ASSIGN_OR_RETURN(const Ex y, PostTransform(n, n.ex(n.b.Cast(scores, DType::kF32))));
  n.Out(0, y);
  return {};
}

// With weights for one class only, two classes share a score: (1 - s, s), or (-s, s) where it is transformed further.
Status TreeEnsembleClassifier(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Literal labels, ClassLabels(n, "classlabels_int64s", "classlabels_strings"));
  const Ints ids = n.IntList("class_ids");
  const bool shared = std::set<std::int64_t>(ids.begin(), ids.end()).size() == 1 && labels.size() <= 2;
  TENON_ASSIGN_OR_RETURN(Ensemble e, Older(n, "class", shared ? 1 : labels.size()));
  bool positive = true;
  for (const double weight : e.leaf_weights) positive = positive && weight >= 0;
  if (shared)
    for (std::int64_t& target : e.leaf_targets) target = 0;
  TENON_ASSIGN_OR_RETURN(const Ex x, TreeRows(n));
  TENON_ASSIGN_OR_RETURN(Ex scores, WithBase(n, e.Add(n, x), e.targets));
  scores = n.ex(n.b.Cast(scores, DType::kF32));
  const std::string transform = n.String("post_transform", "NONE");
  if (shared) {
    const bool plain = transform == "NONE" || transform == "PROBIT" || (positive && transform != "LOGISTIC");
    scores = n.Apply("concat", {plain && positive ? 1.0 - scores : -scores, scores}, {{"axis", std::int64_t{1}}});
  }
  TENON_ASSIGN_OR_RETURN(const Ex y, PostTransform(n, scores));
  const Value best = n.Add("argmax", {y}, {{"axis", std::int64_t{1}}});
  if (labels.size() == 1) {  // the label is 1 or 0, or the name or none
    const bool text = labels.dtype() == DType::kString;
    const Literal both = text ? Vector(std::vector<std::string>{"", labels.strings()[0]})
                              : Vector(Ints{0, labels.data<std::int64_t>()[0]});
    n.Out(0, LabelAt(n, both, best));
  } else {
    n.Out(0, LabelAt(n, labels, best));
  }
  n.Out(1, y);
  return {};
}

// ---- n-grams (ai.onnx) ----

Status TfIdfVectorizer(NodeContext& n) {
  const std::string mode = n.String("mode", "");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") return n.Fail(fmt::format("mode is \"{}\"", mode));
  TENON_ASSIGN_OR_RETURN(Literal pool, ClassLabels(n, "pool_int64s", "pool_strings"));
  if (pool.dtype() == DType::kI64 && n.dtype(0) == DType::kI32) {
    TENON_ASSIGN_OR_RETURN(pool, ir::Convert(pool, DType::kI32));
  }
  const std::string ours = mode == "TF" ? "tf" : mode == "IDF" ? "idf" : "tfidf";
  n.Out(0, n.Add("count_ngrams", {n.in(0), n.b.Constant(pool)},
                 {{"shortest", n.Int("min_gram_length", 1)},
                  {"longest", n.Int("max_gram_length", 1)},
                  {"skips", n.Int("max_skip_count", 0)},
                  {"starts", n.IntList("ngram_counts")},
                  {"columns", n.IntList("ngram_indexes")},
                  {"weights", n.FloatList("weights")},
                  {"mode", ours}}));
  return {};
}

constexpr std::string_view kRegressor =
    "aggregate_function:s base_values:fs base_values_as_tensor:t n_targets:i nodes_falsenodeids:is nodes_featureids:is "
    "nodes_hitrates:fs nodes_hitrates_as_tensor:t nodes_missing_value_tracks_true:is nodes_modes:ss nodes_nodeids:is "
    "nodes_treeids:is nodes_truenodeids:is nodes_values:fs nodes_values_as_tensor:t post_transform:s target_ids:is "
    "target_nodeids:is target_treeids:is target_weights:fs target_weights_as_tensor:t";
constexpr std::string_view kClassifier =
    "base_values:fs base_values_as_tensor:t class_ids:is class_nodeids:is class_treeids:is class_weights:fs "
    "class_weights_as_tensor:t classlabels_int64s:is classlabels_strings:ss nodes_falsenodeids:is nodes_featureids:is "
    "nodes_hitrates:fs nodes_hitrates_as_tensor:t nodes_missing_value_tracks_true:is nodes_modes:ss nodes_nodeids:is "
    "nodes_treeids:is nodes_truenodeids:is nodes_values:fs nodes_values_as_tensor:t post_transform:s";

const OpRow kRows[] = {
    {"TreeEnsemble",
     1,
     1,
     1,
     "aggregate_function:i leaf_targetids:is leaf_weights:t membership_values:t n_targets:i nodes_falseleafs:is "
     "nodes_falsenodeids:is nodes_featureids:is nodes_hitrates:t nodes_missing_value_tracks_true:is nodes_modes:t "
     "nodes_splits:t nodes_trueleafs:is nodes_truenodeids:is post_transform:i tree_roots:is",
     TreeEnsemble,
     {},
     kMlDomain},
    {"TreeEnsembleRegressor", 1, 1, 1, kRegressor, TreeEnsembleRegressor, {}, kMlDomain},
    {"TreeEnsembleClassifier", 1, 1, 2, kClassifier, TreeEnsembleClassifier, {}, kMlDomain},
    {"TfIdfVectorizer", 1, 1, 1,
     "max_gram_length:i max_skip_count:i min_gram_length:i mode:s ngram_counts:is ngram_indexes:is pool_int64s:is "
     "pool_strings:ss weights:fs",
     TfIdfVectorizer},
};

}  // namespace
const std::span<const OpRow> kMlTreeRows = kRows;
}  // namespace tenon::onnx
