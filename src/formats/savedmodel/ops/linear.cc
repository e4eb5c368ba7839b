// MatMul, BatchMatMul, Einsum.
#include <fmt/format.h>

#include <algorithm>

#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

Status MatMul(OpContext& c) {
  const bool batch = c.node.op != "MatMul" && c.node.op != "SparseMatMul";
  Value x = c.in(0), y = c.in(1);
  const bool transpose_x = c.Bool(batch ? "adj_x" : "transpose_a", false);
  const bool transpose_y = c.Bool(batch ? "adj_y" : "transpose_b", false);
  if (!c.b.ok()) return {};
  if (batch && (transpose_x || transpose_y) && is_complex(c.b.dtype(x)))
    return c.Unsupported("the adjoint of complex matrices");
  if (const std::optional<DType> out = c.Type("Tout"); c.node.op == "BatchMatMulV3" && out) {
    x = c.b.Cast(x, *out);
    y = c.b.Cast(y, *out);
  }
  c.Set(c.b.Add("matmul", {x, y}, {{"transpose_x", transpose_x}, {"transpose_y", transpose_y}}));
  return {};
}

/// The labels of an operand, with "..." replaced by `count` labels from "0" on (the last dim of an ellipsis is the last
/// digit used, so that operands of different rank align on the right).
std::string Labels(std::string_view term, int count, int total) {
  std::string out;
  for (std::size_t i = 0; i < term.size(); ++i) {
    if (term.substr(i, 3) == "...") {
      for (int k = total - count; k < total; ++k) out += static_cast<char>('0' + k);
      i += 2;
    } else if (term[i] != ' ') {
      out += term[i];
    }
  }
  return out;
}

bool Unique(std::string labels) {
  std::ranges::sort(labels);
  return std::ranges::adjacent_find(labels) == labels.end();
}

/// Sums the axes whose label is not in `kept`.
Value SumOthers(OpContext& c, Value x, std::string& labels, const std::string& kept) {
  std::vector<std::int64_t> axes;
  std::string left;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (kept.find(labels[i]) == std::string::npos)
      axes.push_back(static_cast<std::int64_t>(i));
    else
      left += labels[i];
  }
  labels = left;
  return axes.empty() ? x : c.b.ReduceSum(x, axes, false);
}

/// x with axes in the order of `wanted`.
Value Order(OpContext& c, Value x, const std::string& labels, const std::string& wanted) {
  std::vector<std::int64_t> permutation;
  bool moved = false;
  for (const char label : wanted) permutation.push_back(static_cast<std::int64_t>(labels.find(label)));
  for (std::size_t i = 0; i < permutation.size(); ++i) moved = moved || permutation[i] != static_cast<std::int64_t>(i);
  return moved ? c.b.Transpose(x, permutation) : x;
}

Status Einsum(OpContext& c) {
  const std::string equation = c.String("equation", "");
  const std::size_t arrow = equation.find("->");
  if (arrow == std::string::npos) return c.Fail(fmt::format("its equation {:?} has no ->", equation));
  std::vector<std::string_view> terms;
  std::string_view left = std::string_view(equation).substr(0, arrow);
  for (std::size_t comma = left.find(','); comma != std::string_view::npos; comma = left.find(',')) {
    terms.push_back(left.substr(0, comma));
    left.remove_prefix(comma + 1);
  }
  terms.push_back(left);
  if (static_cast<int>(terms.size()) != c.size() || terms.size() > 2)
    return c.Unsupported(fmt::format("{} operands", terms.size()));
  std::vector<int> counts;
  int total = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const int named = static_cast<int>(Labels(terms[i], 0, 0).size());
    const int count = c.rank(c.in(static_cast<int>(i))) - named;
    if (!c.b.ok()) return {};
    if (count < 0 || count > 9 || (count > 0 && terms[i].find("...") == std::string_view::npos))
      return c.Fail(fmt::format("its equation {:?} does not fit the rank of operand {}", equation, i));
    counts.push_back(count);
    total = std::max(total, count);
  }
  const std::string out = Labels(std::string_view(equation).substr(arrow + 2), total, total);
  std::string lhs = Labels(terms[0], counts[0], total);
  if (!Unique(lhs) || !Unique(out)) return c.Unsupported("a label that occurs twice in a term");
  if (terms.size() == 1) {
    const Value x = SumOthers(c, c.in(0), lhs, out);
    c.Set(Order(c, x, lhs, out));
    return {};
  }
  std::string rhs = Labels(terms[1], counts[1], total);
  if (!Unique(rhs)) return c.Unsupported("a label that occurs twice in a term");
  const Value x = SumOthers(c, c.in(0), lhs, out + rhs);
  const Value y = SumOthers(c, c.in(1), rhs, out + lhs);
  std::vector<std::int64_t> lhs_contract, rhs_contract, lhs_batch, rhs_batch;
  std::string batch, lhs_free, rhs_free;
  for (std::size_t i = 0; i < lhs.size(); ++i) {
    const std::size_t other = rhs.find(lhs[i]);
    if (other == std::string::npos) {
      lhs_free += lhs[i];
      continue;
    }
    const bool kept = out.find(lhs[i]) != std::string::npos;
    (kept ? lhs_batch : lhs_contract).push_back(static_cast<std::int64_t>(i));
    (kept ? rhs_batch : rhs_contract).push_back(static_cast<std::int64_t>(other));
    if (kept) batch += lhs[i];
  }
  for (const char label : rhs)
    if (lhs.find(label) == std::string::npos) rhs_free += label;
  const std::string order = batch + lhs_free + rhs_free;
  if (order.size() != out.size())
    return c.Fail(fmt::format("its equation {:?} has an output label of no operand", equation));
  const Value product = c.b.Add("dot_general", {x, y},
                                {{"lhs_contract", lhs_contract},
                                 {"rhs_contract", rhs_contract},
                                 {"lhs_batch", lhs_batch},
                                 {"rhs_batch", rhs_batch}});
  c.Set(Order(c, product, order, out));
  return {};
}

constexpr Rule kRules[] = {
    {"MatMul", MatMul},        {"BatchMatMul", MatMul}, {"BatchMatMulV2", MatMul},
    {"BatchMatMulV3", MatMul}, {"Einsum", Einsum},
};

}  // namespace

std::span<const Rule> LinearRules() { return kRules; }

}  // namespace tenon::savedmodel
