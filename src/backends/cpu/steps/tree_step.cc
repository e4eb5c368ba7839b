// tree_ensemble: nodes as records, some rows of x at a time down the same tree. Sums are those of the reference, in its
// order.
#include <algorithm>
#include <cmath>

#include "backends/cpu/steps/steps.h"
#include "runtime/parallel.h"

namespace tenon::cpu {
namespace {

enum Mode : std::int32_t { kLessEqual, kLess, kGreaterEqual, kGreater, kEqual, kNotEqual, kMember };

struct TreeNode {
  double split;
  std::int32_t next[2];  // where to when the comparison is false, true
  std::int32_t feature;
  std::int16_t mode, missing_true;
};
struct Forest {
  std::vector<TreeNode> nodes;
  std::vector<std::int32_t> roots, starts, targets;  // a leaf's targets start at starts[leaf]
  std::vector<double> weights, members;
  std::int64_t columns = 1, features = 1;
  bool simple = true;  // every mode is kLessEqual, NaN never goes to the true side
  enum class How { kSum, kAverage, kMin, kMax } how = How::kSum;
};

constexpr int kLanes = 16;
constexpr std::int64_t kRows = 64;

bool GoesTrue(const Forest& f, const TreeNode& node, double x) {
  if (node.missing_true != 0 && std::isnan(x)) return true;
  switch (node.mode) {
    case kLessEqual:
      return x <= node.split;
    case kLess:
      return x < node.split;
    case kGreaterEqual:
      return x >= node.split;
    case kGreater:
      return x > node.split;
    case kEqual:
      return x == node.split;
    case kNotEqual:
      return x != node.split;
    default: {
      const double* set = f.members.data() + static_cast<std::size_t>(node.split);
      return std::find(set + 1, set + 1 + static_cast<std::size_t>(set[0]), x) !=
             set + 1 + static_cast<std::size_t>(set[0]);
    }
  }
}

template <class T>
class TreeStep : public runtime::Step {
 public:
  TreeStep(Forest forest, std::int64_t rows, BufferId x, BufferId out, BufferId scratch)
      : f_(std::move(forest)), rows_(rows) {
    reads = {x};
    writes = {out, scratch};
  }
  std::string Describe() const override {
    return "tree_ensemble " + std::to_string(rows_) + " rows, " + std::to_string(f_.roots.size()) + " trees";
  }
  static int Parts(std::int64_t rows) { return static_cast<int>(std::clamp<std::int64_t>(rows / kRows, 1, 16)); }
  // Sums of a block of rows, and whether a target has a weight yet.
  static std::size_t PartBytes(std::int64_t columns) {
    return static_cast<std::size_t>(kRows * columns) * (sizeof(double) + 8);
  }
  Status Run(const runtime::StepContext& ctx) const override {
    const T* x = ctx.get<T>(reads[0]);
    T* out = ctx.get<T>(writes[0]);
    std::byte* scratch = ctx.get<std::byte>(writes[1]);
    const std::int64_t blocks = (rows_ + kRows - 1) / kRows;
    const int parts = Parts(rows_);
    runtime::ForEachPart(ctx.threads, parts, [&](int part) {
      auto* sums = reinterpret_cast<double*>(scratch + static_cast<std::size_t>(part) * PartBytes(f_.columns));
      auto* given = reinterpret_cast<std::uint8_t*>(sums + kRows * f_.columns);
      for (std::int64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
        const std::int64_t first = b * kRows, count = std::min(kRows, rows_ - first);
        std::fill_n(sums, count * f_.columns, 0.0);
        std::fill_n(given, count * f_.columns, std::uint8_t{0});
        for (const std::int32_t root : f_.roots)
          for (std::int64_t r = 0; r < count; r += kLanes)
            Descend(root, x + (first + r) * f_.features, static_cast<int>(std::min<std::int64_t>(kLanes, count - r)),
                    sums + r * f_.columns, given + r * f_.columns);
        for (std::int64_t i = 0; i < count * f_.columns; ++i) {
          double sum = sums[i];
          if (f_.how == Forest::How::kAverage && !f_.roots.empty()) sum /= static_cast<double>(f_.roots.size());
          out[first * f_.columns + i] = static_cast<T>(sum);
        }
      }
    });
    return {};
  }

 private:
  // All lanes take a step until each stands at a leaf.
  void Descend(std::int32_t root, const T* x, int lanes, double* sums, std::uint8_t* given) const {
    std::int32_t at[kLanes];
    std::fill_n(at, kLanes, root);
    for (bool open = root >= 0; open;) {
      open = false;
      for (int l = 0; l < lanes; ++l) {
        if (at[l] < 0) continue;
        const TreeNode& node = f_.nodes[static_cast<std::size_t>(at[l])];
        const auto v = static_cast<double>(x[l * f_.features + node.feature]);
        const bool yes = f_.simple ? v <= node.split : GoesTrue(f_, node, v);
        at[l] = node.next[yes ? 1 : 0];
        open = open || at[l] >= 0;
      }
    }
    for (int l = 0; l < lanes; ++l) {
      const auto leaf = static_cast<std::size_t>(-1 - at[l]);
      for (std::int32_t k = f_.starts[leaf]; k < f_.starts[leaf + 1]; ++k) {
        const std::int64_t place = l * f_.columns + f_.targets[static_cast<std::size_t>(k)];
        const double weight = f_.weights[static_cast<std::size_t>(k)];
        double& sum = sums[place];
        if (f_.how == Forest::How::kSum || f_.how == Forest::How::kAverage)
          sum += weight;
        else if (given[place] == 0 || (f_.how == Forest::How::kMin ? weight < sum : weight > sum))
          sum = weight;
        given[place] = 1;
      }
    }
  }

  Forest f_;
  std::int64_t rows_;
};

std::vector<std::int32_t> Narrow(const std::vector<std::int64_t>& values) {
  std::vector<std::int32_t> out;
  out.reserve(values.size());
  for (const std::int64_t v : values) out.push_back(static_cast<std::int32_t>(v));
  return out;
}

}  // namespace

Result<std::string> EmitTrees(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const ir::Attrs& a = n.attrs;
  const Value out{id, 0}, x = n.inputs[0];
  if (b.dtype(x) != DType::kF32 && b.dtype(x) != DType::kF64) return std::string("neither f32 nor f64");
  if (b.elements(out) == 0) return std::string("nothing to compute");
  const std::vector<std::int64_t>&features = a.Ints("features"), &modes = a.Ints("modes"), &yes = a.Ints("on_true"),
        &no = a.Ints("on_false"), &missing = a.Ints("missing_true");
  const std::vector<double>& splits = a.Floats("splits");
  if (features.size() > INT32_MAX || a.Ints("leaf_targets").size() > INT32_MAX || a.Int("targets") > 1 << 12)
    return std::string("too large");
  Forest f;
  for (std::size_t i = 0; i < features.size(); ++i) {
    f.nodes.push_back({splits[i],
                       {static_cast<std::int32_t>(no[i]), static_cast<std::int32_t>(yes[i])},
                       static_cast<std::int32_t>(features[i]),
                       static_cast<std::int16_t>(modes[i]),
                       static_cast<std::int16_t>(!missing.empty() && missing[i] != 0 ? 1 : 0)});
    f.simple = f.simple && modes[i] == kLessEqual && f.nodes.back().missing_true == 0;
  }
  f.roots = Narrow(a.Ints("roots")), f.starts = Narrow(a.Ints("leaf_starts")),
  f.targets = Narrow(a.Ints("leaf_targets"));
  f.weights = a.Floats("leaf_weights"), f.members = a.Floats("members");
  f.columns = a.Int("targets"), f.features = b.dims(x)[1];
  const std::string& how = a.String("aggregate");
  f.how = how == "sum"       ? Forest::How::kSum
          : how == "average" ? Forest::How::kAverage
          : how == "min"     ? Forest::How::kMin
                             : Forest::How::kMax;
  const std::int64_t rows = b.dims(x)[0];
  b.KeepApart(out);
  const BufferId in = b.In(x), to = b.Out(out);
  const BufferId scratch =
      b.Scratch(static_cast<std::size_t>(TreeStep<float>::Parts(rows)) * TreeStep<float>::PartBytes(f.columns));
  if (b.dtype(x) == DType::kF32)
    b.Add(std::make_unique<TreeStep<float>>(std::move(f), rows, in, to, scratch));
  else
    b.Add(std::make_unique<TreeStep<double>>(std::move(f), rows, in, to, scratch));
  return std::string();
}

}  // namespace tenon::cpu
