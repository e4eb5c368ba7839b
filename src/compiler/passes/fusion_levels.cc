#include "compiler/passes/fusion_levels.h"

#include <algorithm>
#include <unordered_map>

#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

namespace {

using Dims = std::vector<std::int64_t>;

enum class Level : std::uint8_t { kFull, kRow, kCol };
struct ValueInfo {
  Level level = Level::kFull;
  bool after_row = false;
};

std::int64_t Product(const Dims& dims, std::size_t begin, std::size_t end) {
  std::int64_t n = 1;
  for (std::size_t i = begin; i < end; ++i) n *= dims[i];
  return n;
}
Dims DimsOf(const Graph& g, Value v) { return g.type(v).shape().values(); }

// Where a reduction of the whole space splits it.
struct Split {
  bool by_row = false;
  int batch_rank = 0, row_rank = 0;
};
std::optional<Split> SplitOf(const Node& n, const Dims& space) {
  const int rank = static_cast<int>(space.size());
  std::vector<int> axes;
  for (const int a : ReducedAxes(n, rank))
    if (space[static_cast<std::size_t>(a)] != 1) axes.push_back(a);
  if (axes.empty()) return std::nullopt;
  int next = axes.back() + 1;  // the first kept axis after them
  while (next < rank && space[static_cast<std::size_t>(next)] == 1) ++next;
  for (int a = axes.front(); a <= axes.back(); ++a)
    if (space[static_cast<std::size_t>(a)] != 1 && std::ranges::find(axes, a) == axes.end()) return std::nullopt;
  if (next == rank) return Split{true, 0, axes.front()};
  const bool leading = Product(space, 0, static_cast<std::size_t>(axes.front())) == 1;
  return Split{false, leading ? 0 : axes.front(), next};
}

class Analysis {
 public:
  Analysis(const Graph& graph, const std::set<std::int32_t>& nodes, const FusionOptions& options)
      : graph_(graph), nodes_(nodes), options_(options) {}

  std::optional<FusionSpace> Run() {
    if (static_cast<int>(nodes_.size()) > options_.max_nodes || !FindSpace() || !FindSplit()) return std::nullopt;
    for (const std::int32_t id : nodes_)
      if (!Place(id)) return std::nullopt;
    const std::int64_t cols =
        space_.row_rank < 0 ? 0 : Product(space_.dims, static_cast<std::size_t>(space_.row_rank), space_.dims.size());
    if ((whole_rows_ || (row_reduces_ > 0 && col_reduce_)) && cols > options_.max_row) return std::nullopt;
    if (row_reduces_ > 12) return std::nullopt;
    return space_;
  }

 private:
  // The dims of the largest thing that is computed or reduced.
  bool FindSpace() {
    std::int64_t most = -1;
    for (const std::int32_t id : nodes_) {
      const Node& n = graph_.node(id);
      const Dims dims = DimsOf(graph_, options_.kind(graph_, n) == FusionKind::kReduce ? n.inputs[0] : Value{id, 0});
      const std::int64_t size = Product(dims, 0, dims.size());
      if (size > most || (size == most && dims.size() > space_.dims.size())) most = size, space_.dims = dims;
    }
    return space_.dims.size() <= 12;
  }
  bool FindSplit() {
    for (const std::int32_t id : nodes_) {
      const Node& n = graph_.node(id);
      if (options_.kind(graph_, n) != FusionKind::kReduce) continue;
      if (DimsOf(graph_, n.inputs[0]) != space_.dims) return false;
      const std::optional<Split> split = SplitOf(n, space_.dims);
      if (!split) return false;
      if (space_.row_rank >= 0 && (space_.row_rank != split->row_rank || space_.batch_rank != split->batch_rank))
        return false;
      space_.row_rank = split->row_rank, space_.batch_rank = split->batch_rank;
      if (split->by_row)
        ++row_reduces_;
      else
        col_reduce_ = true;
    }
    return true;
  }

  bool Inside(Value v) const { return v.valid() && nodes_.contains(v.node); }
  bool RowForm(const Dims& dims, bool* keeps_ones) const {
    const auto k = static_cast<std::size_t>(space_.row_rank);
    if (dims.size() == space_.dims.size() &&
        std::equal(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(k), space_.dims.begin()) &&
        Product(dims, k, dims.size()) == 1)
      return *keeps_ones = true, true;
    *keeps_ones = false;
    return dims.size() == k && std::equal(dims.begin(), dims.end(), space_.dims.begin());
  }
  bool ColForm(const Dims& dims) const {
    const auto k = static_cast<std::size_t>(space_.row_rank), b = static_cast<std::size_t>(space_.batch_rank);
    if (b > 0) {  // [batch, ones, cols] only: what the reduction gives when it keeps its dims
      if (dims.size() != space_.dims.size()) return false;
      for (std::size_t i = 0; i < dims.size(); ++i)
        if (dims[i] != (i >= b && i < k ? 1 : space_.dims[i])) return false;
      return true;
    }
    const std::size_t cols = space_.dims.size() - k;
    if (dims.size() < cols || dims.size() > space_.dims.size()) return false;
    const std::size_t lead = dims.size() - cols;
    return Product(dims, 0, lead) == 1 && std::equal(dims.begin() + static_cast<std::ptrdiff_t>(lead), dims.end(),
                                                     space_.dims.begin() + static_cast<std::ptrdiff_t>(k));
  }

  bool Place(std::int32_t id) {
    const Node& n = graph_.node(id);
    const FusionKind kind = options_.kind(graph_, n);
    const Value self{id, 0};
    const Dims dims = DimsOf(graph_, self);
    ValueInfo info;
    if (kind == FusionKind::kReduce) {
      if (Inside(n.inputs[0]) && values_[n.inputs[0]].level != Level::kFull) return false;
      const bool by_row = SplitOf(n, space_.dims)->by_row;
      info.level = by_row ? Level::kRow : Level::kCol;
      info.after_row = by_row;
      values_[self] = info;
      return true;
    }
    if (kind != FusionKind::kReshape && dims == space_.dims) {
      for (const Value v : n.inputs) {
        if (!Inside(v)) continue;
        const ValueInfo& in = values_[v];
        if (in.level == Level::kCol) return false;
        if (in.level == Level::kRow) {
          bool keeps = false;
          const std::int64_t rows = Product(space_.dims, 0, static_cast<std::size_t>(space_.row_rank));
          if (!RowForm(DimsOf(graph_, v), &keeps) || (!keeps && rows != 1)) return false;
        }
        if (in.after_row) info.after_row = true;
      }
      if (info.after_row) whole_rows_ = true;
      values_[self] = info;
      return true;
    }
    // A row or column value: it must follow from one.
    if (space_.row_rank < 0) return false;
    bool found = false;
    for (const Value v : n.inputs) {
      if (!Inside(v)) continue;
      const ValueInfo& in = values_[v];
      if (in.level == Level::kFull || (found && in.level != info.level)) return false;
      info.level = in.level;
      info.after_row = info.after_row || in.after_row;
      found = true;
    }
    if (!found) return false;
    bool keeps = false;
    if (info.level == Level::kRow) {
      if (!RowForm(dims, &keeps)) return false;
      if (kind != FusionKind::kReshape)
        for (const Value v : n.inputs) {  // all of one form, or rows and squeezed rows would be aligned differently
          bool other = false;
          if (Inside(v) && (!RowForm(DimsOf(graph_, v), &other) || other != keeps)) return false;
        }
    } else if (!ColForm(dims)) {
      return false;
    }
    values_[self] = info;
    return true;
  }

  const Graph& graph_;
  const std::set<std::int32_t>& nodes_;
  const FusionOptions& options_;
  FusionSpace space_;
  std::unordered_map<Value, ValueInfo, ValueHash> values_;
  int row_reduces_ = 0;
  bool col_reduce_ = false, whole_rows_ = false;
};

}  // namespace

std::optional<FusionSpace> AnalyseFusion(const Graph& graph, const std::set<std::int32_t>& nodes,
                                         const FusionOptions& options) {
  return Analysis(graph, nodes, options).Run();
}

}  // namespace tenon::compiler
