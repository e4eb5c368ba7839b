// Matrix products and Einsum.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "formats/onnx/ops/families.h"

namespace tenon::onnx {
namespace {

Status MatMul(NodeContext& n) {
  n.Out(0, n.Add("matmul", {n.in(0), n.in(1)}));
  return {};
}

// alpha * A' * B' + beta * C.
Status Gemm(NodeContext& n) {
  const double alpha = n.Float("alpha", 1), beta = n.Float("beta", 1);
  Ex y = n.Apply("matmul", {n.in(0), n.in(1)},
                 {{"transpose_x", n.Int("transA", 0) != 0}, {"transpose_y", n.Int("transB", 0) != 0}});
  if (alpha != 1) y = y * alpha;
  if (n.has(2) && beta != 0) y = y + (beta == 1 ? n.x(2) : n.x(2) * beta);
  n.Out(0, y);
  return {};
}

// int8 by int8 to int32, zero points taken off first. A vector of zero points stands for rows of A, columns of B.
Status MatMulInteger(NodeContext& n) {
  const auto centred = [&](int i, int zero, bool rows) -> Result<Ex> {
    const Ex x = n.ex(n.b.Cast(n.in(i), DType::kI32));
    if (!n.has(zero)) return x;
    Ex z = n.ex(n.b.Cast(n.in(zero), DType::kI32));
    TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(z));
    if (rows && shape.rank() == 1) z = n.Reshape(z, {shape[0], 1});
    return x - z;
  };
  TENON_ASSIGN_OR_RETURN(const Ex a, centred(0, 2, true));
  TENON_ASSIGN_OR_RETURN(const Ex b, centred(1, 3, false));
  n.Out(0, n.Add("matmul", {a, b}));
  return {};
}

// An operand of Einsum: a label for each axis, each once.
struct Operand {
  Value value;
  std::string labels;
};

// Sums the axes whose labels nobody needs any more.
void SumAway(NodeContext& n, Operand* x, const std::string& needed) {
  Ints axes;
  std::string kept;
  for (std::size_t i = 0; i < x->labels.size(); ++i) {
    if (needed.find(x->labels[i]) == std::string::npos) {
      axes.push_back(static_cast<std::int64_t>(i));
    } else {
      kept += x->labels[i];
    }
  }
  if (axes.empty()) return;
  x->value = n.Reduce("reduce_sum", x->value, axes, false);
  x->labels = kept;
}

// Two axes of one label: only the diagonal counts. Everything else is masked and summed away.
void Diagonal(NodeContext& n, Operand* x) {
  for (std::size_t i = 0; i < x->labels.size(); ++i) {
    for (std::size_t j = x->labels.size(); j-- > i + 1;) {
      if (x->labels[i] != x->labels[j] || !n.b.ok()) continue;
      const Shape shape = n.b.shape(x->value);
      const auto line = [&](std::size_t axis) {
        std::vector<Dim> dims(shape.dims().size(), Dim(1));
        dims[axis] = shape.dims()[axis];
        return n.Reshape(n.Iota(dims[axis], DType::kI64), dims);
      };
      const Ex masked = Select(Op("equal", line(i), line(j)), n.ex(x->value), n.Scalar(0, n.dtype(x->value)));
      x->value = n.Reduce("reduce_sum", masked, {static_cast<std::int64_t>(j)}, false);
      x->labels.erase(j, 1);
    }
  }
}

Operand Contract(NodeContext& n, const Operand& x, const Operand& y, const std::string& needed) {
  Ints x_contract, y_contract, x_batch, y_batch;
  std::string batch, free;
  for (std::size_t i = 0; i < x.labels.size(); ++i) {
    const char label = x.labels[i];
    const std::size_t j = y.labels.find(label);
    if (j == std::string::npos) {
      free += label;
    } else if (needed.find(label) != std::string::npos) {
      x_batch.push_back(static_cast<std::int64_t>(i));
      y_batch.push_back(static_cast<std::int64_t>(j));
      batch += label;
    } else {
      x_contract.push_back(static_cast<std::int64_t>(i));
      y_contract.push_back(static_cast<std::int64_t>(j));
    }
  }
  for (const char label : y.labels)
    if (x.labels.find(label) == std::string::npos) free += label;
  const Value out = n.Add(
      "dot_general", {x.value, y.value},
      {{"lhs_contract", x_contract}, {"rhs_contract", y_contract}, {"lhs_batch", x_batch}, {"rhs_batch", y_batch}});
  return {out, batch + free};
}

// The labels of one term; "..." becomes the control characters 1 to 26, aligned at the right end.
Result<std::string> Labels(NodeContext& n, std::string_view term, int rank) {
  std::string labels;
  const std::size_t dots = term.find("...");
  const int named = static_cast<int>(dots == std::string_view::npos ? term.size() : term.size() - 3);
  if (rank >= 0 && (dots == std::string_view::npos ? named != rank : named > rank))
    return n.Fail(fmt::format("the term \"{}\" does not fit rank {}", term, rank));
  for (std::size_t i = 0; i < term.size(); ++i) {
    if (i == dots) {
      for (int k = rank - named; k > 0; --k) labels += static_cast<char>(k);
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(term[i])) != 0) {
      labels += term[i];
    } else {
      return n.Fail(fmt::format("'{}' in the term \"{}\"", term[i], term));
    }
  }
  return labels;
}

Status Einsum(NodeContext& n) {
  std::string equation;
  for (const char c : n.String("equation", ""))
    if (c != ' ') equation += c;
  const std::size_t arrow = equation.find("->");
  std::vector<Operand> operands;
  std::string_view rest = std::string_view(equation).substr(0, arrow);
  int widest = 0;
  for (int i = 0; i < n.num_inputs(); ++i) {
    const std::size_t comma = rest.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == n.num_inputs()))
      return n.Fail(fmt::format("the equation \"{}\" is not for {} inputs", equation, n.num_inputs()));
    const std::string_view term = rest.substr(0, comma);
    TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(i)));
    TENON_ASSIGN_OR_RETURN(std::string labels, Labels(n, term, rank));
    if (term.find("...") != std::string_view::npos) widest = std::max(widest, rank - static_cast<int>(term.size()) + 3);
    if (widest > 26) return n.Unsupported("more than 26 axes in an ellipsis");
    operands.push_back({n.in(i), std::move(labels)});
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  std::string output;
  if (arrow != std::string::npos) {
    const std::string_view term = std::string_view(equation).substr(arrow + 2);
    const bool dots = term.find("...") != std::string_view::npos;
    TENON_ASSIGN_OR_RETURN(output, Labels(n, term, dots ? widest + static_cast<int>(term.size()) - 3 : -1));
  } else {  // the ellipsis, then labels that occur once, sorted
    std::map<char, int> counts;
    for (const Operand& x : operands)
      for (const char label : x.labels) ++counts[label];
    for (int k = widest; k > 0; --k) output += static_cast<char>(k);
    for (const auto& [label, count] : counts)
      if (count == 1 && label > 26) output += label;
  }
  // Dims of one label must be equal; 1 is stretched in an ellipsis.
  std::map<char, Dim> sizes;
  for (const Operand& x : operands)
    for (std::size_t i = 0; i < x.labels.size(); ++i) {
      const Dim& dim = n.b.shape(x.value).dims()[i];
      const auto [at, fresh] = sizes.insert({x.labels[i], dim});
      if (!fresh && at->second == Dim(1)) at->second = dim;
      if (!fresh && dim != Dim(1) && Dim::equal(at->second, dim) == Truth::kNo)
        return n.Fail(
            fmt::format("axes of one label have {} and {} elements", at->second.to_string(), dim.to_string()));
    }
  for (Operand& x : operands) {
    std::vector<Dim> dims;
    for (const char label : x.labels) dims.push_back(sizes[label]);
    if (Shape(dims) != n.b.shape(x.value)) x.value = n.Broadcast(x.value, dims);
    Diagonal(n, &x);
  }
  for (std::size_t i = 0; i < output.size(); ++i)
    if (!sizes.contains(output[i]) || output.find(output[i], i + 1) != std::string::npos)
      return n.Fail(fmt::format("the output of \"{}\" has a label twice, or one of no input", equation));
  const auto needed = [&](std::size_t from) {
    std::string labels = output;
    for (std::size_t i = from; i < operands.size(); ++i) labels += operands[i].labels;
    return labels;
  };
  Operand result = operands[0];
  SumAway(n, &result, needed(1));
  for (std::size_t i = 1; i < operands.size(); ++i) {
    Operand next = operands[i];
    SumAway(n, &next, needed(i + 1) + result.labels);
    result = Contract(n, result, next, needed(i + 1));
    SumAway(n, &result, needed(i + 1));
  }
  Ints permutation;
  for (const char label : output) permutation.push_back(static_cast<std::int64_t>(result.labels.find(label)));
  n.Out(0, std::is_sorted(permutation.begin(), permutation.end()) ? n.Add("identity", {result.value})
                                                                  : Value(n.Transpose(result.value, permutation)));
  return {};
}

const OpRow kRows[] = {
    {"MatMul", 2, 2, 1, "", MatMul},
    {"Gemm", 2, 3, 1, "alpha:f beta:f transA:i transB:i broadcast:i", Gemm},
    {"MatMulInteger", 2, 4, 1, "", MatMulInteger},
    {"Einsum", 1, -1, 1, "equation:s", Einsum},
};

}  // namespace
const std::span<const OpRow> kDotRows = kRows;
}  // namespace tenon::onnx
