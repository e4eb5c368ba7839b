// Reductions, products, searches.
#include <fmt/format.h>

#include "formats/onnx/data_type.h"
#include "formats/onnx/export/families.h"

namespace tenon::onnx {
namespace {

// Axes are an attribute before opset 18 (ReduceSum: 13), an input since. No axes: all.
void WriteReduce(OpWriter& w, const std::string& op_type, const std::string& x, const std::string& out) {
  const Ints& axes = w.attrs().Ints("axes");
  std::vector<Attribute> attributes = {IntAttribute("keepdims", w.attrs().Bool("keep_dims") ? 1 : 0)};
  Names inputs = {x};
  if (w.opset() >= 18 || op_type == "ReduceSum") {
    if (!axes.empty()) inputs.push_back(w.Ints1(axes));
  } else if (!axes.empty()) {
    attributes.push_back(IntsAttribute("axes", axes));
  }
  w.x.Emit(op_type, std::move(inputs), std::move(attributes), {out});
}

Status Reduce(OpWriter& w) {
  WriteReduce(w, std::string(w.row.theirs), w.in(0), w.out());
  return {};
}

// Any and all of bools: the largest and smallest of integers.
Status ReduceBool(OpWriter& w) {
  const std::string x = w.Emit("Cast", {w.in(0)}, {IntAttribute("to", kInt32)});
  const std::string y = w.x.Fresh("reduced");
  WriteReduce(w, std::string(w.row.theirs), x, y);
  w.Finish("Cast", {y}, {IntAttribute("to", kBoolType)});
  return {};
}

Status Arg(OpWriter& w) {
  const bool plain = w.attrs().Dtype("dtype") == DType::kI64;
  const std::string index = w.x.Emit(
      std::string(w.row.theirs), {w.in(0)},
      {IntAttribute("axis", w.attrs().Int("axis")), IntAttribute("keepdims", w.attrs().Bool("keep_dims") ? 1 : 0),
       IntAttribute("select_last_index", w.attrs().Bool("select_last") ? 1 : 0)},
      {plain ? w.out() : std::string()});
  if (!plain) w.Finish("Cast", {index}, {IntAttribute("to", FromDType(w.attrs().Dtype("dtype")))});
  return {};
}

Status Cumulative(OpWriter& w) {
  w.Finish(std::string(w.row.theirs), {w.in(0), w.x.Constant(Literal::scalar(w.attrs().Int("axis")))},
           {IntAttribute("exclusive", w.attrs().Bool("exclusive") ? 1 : 0),
            IntAttribute("reverse", w.attrs().Bool("reverse") ? 1 : 0)});
  return {};
}

Status TopK(OpWriter& w) {
  if (w.attrs().Int("k") < 0) return w.Unsupported("the whole axis in order");
  w.x.EmitAll("TopK", {w.in(0), w.Ints1({w.attrs().Int("k")})},
              {IntAttribute("axis", w.attrs().Int("axis")), IntAttribute("largest", w.attrs().Bool("largest") ? 1 : 0),
               IntAttribute("sorted", w.attrs().Bool("sorted") ? 1 : 0)},
              {w.out(0), w.out(1)});
  return {};
}

// A transposed weight is stored transposed; what the run makes gets a Transpose.
std::string LastTwoSwapped(OpWriter& w, int i) {
  Ints permutation;
  const int rank = w.shape(i).rank();
  for (int k = 0; k < rank; ++k) permutation.push_back(k);
  if (rank >= 2)
    std::swap(permutation[static_cast<std::size_t>(rank - 1)], permutation[static_cast<std::size_t>(rank - 2)]);
  return rank < 2 ? w.in(i) : w.Emit("Transpose", {w.in(i)}, {IntsAttribute("perm", permutation)});
}

Status MatMul(OpWriter& w) {
  const bool tx = w.attrs().Bool("transpose_x"), ty = w.attrs().Bool("transpose_y");
  if ((tx && !w.ranked(0)) || (ty && !w.ranked(1))) return w.Unsupported("a transposed input of unknown rank");
  const bool matrices = w.ranked(0) && w.ranked(1) && w.shape(0).rank() == 2 && w.shape(1).rank() == 2;
  if ((tx || ty) && matrices && is_float(w.dtype(0))) {
    w.Finish("Gemm", {w.in(0), w.in(1)}, {IntAttribute("transA", tx ? 1 : 0), IntAttribute("transB", ty ? 1 : 0)});
    return {};
  }
  const std::string x = tx ? LastTwoSwapped(w, 0) : w.in(0), y = ty ? LastTwoSwapped(w, 1) : w.in(1);
  w.Finish("MatMul", {x, y});
  return {};
}

Status DotGeneral(OpWriter& w) {
  if (!w.ranked(0) || !w.ranked(1)) return w.Unsupported("inputs of unknown rank");
  const int xr = w.shape(0).rank(), yr = w.shape(1).rank();
  if (xr + yr > 50) return w.Unsupported("more than 50 axes");
  std::string x(static_cast<std::size_t>(xr), '?'), y(static_cast<std::size_t>(yr), '?'), batch, out_x, out_y;
  char next = 'a';
  const auto fresh = [&] {
    const char c = next;
    next = next == 'z' ? 'A' : static_cast<char>(next + 1);
    return c;
  };
  const auto pair = [&](const char* left, const char* right, bool kept) {
    const Ints a = w.Axes(left, xr), b = w.Axes(right, yr);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const char c = fresh();
      x[static_cast<std::size_t>(a[i])] = y[static_cast<std::size_t>(b[i])] = c;
      if (kept) batch += c;
    }
  };
  pair("lhs_batch", "rhs_batch", true);
  pair("lhs_contract", "rhs_contract", false);
  for (char& c : x)
    if (c == '?') out_x += c = fresh();
  for (char& c : y)
    if (c == '?') out_y += c = fresh();
  w.Finish("Einsum", {w.in(0), w.in(1)},
           {StringAttribute("equation", fmt::format("{},{}->{}{}{}", x, y, batch, out_x, out_y))});
  return {};
}

// ONNX has none; this one is ONNX Runtime's.
Status Inverse(OpWriter& w) {
  w.Finish("com.microsoft::Inverse", {w.in(0)});
  return {};
}

const ExportRow kRows[] = {
    {"reduce_sum", 13, Reduce, "ReduceSum"},
    {"reduce_mean", 13, Reduce, "ReduceMean"},
    {"reduce_max", 13, Reduce, "ReduceMax"},
    {"reduce_min", 13, Reduce, "ReduceMin"},
    {"reduce_prod", 13, Reduce, "ReduceProd"},
    {"logsumexp", 13, Reduce, "ReduceLogSumExp"},
    {"reduce_any", 13, ReduceBool, "ReduceMax"},
    {"reduce_all", 13, ReduceBool, "ReduceMin"},
    {"argmax", 13, Arg, "ArgMax"},
    {"argmin", 13, Arg, "ArgMin"},
    {"cumsum", 13, Cumulative, "CumSum"},
    {"cumprod", 26, Cumulative, "CumProd"},
    {"top_k", 13, TopK},
    {"matmul", 13, MatMul},
    {"dot_general", 13, DotGeneral},
    {"matrix_inverse", 13, Inverse},
};

}  // namespace
const std::span<const ExportRow> kExportReduce = kRows;
}  // namespace tenon::onnx
