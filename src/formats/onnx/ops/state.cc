// Operators of language models that carry state from call to call, and attention with graphs in it.
#include <fmt/format.h>

#include <cmath>

#include "formats/onnx/data_type.h"
#include "formats/onnx/ops/families.h"
#include "formats/onnx/translator.h"

namespace tenon::onnx {
namespace {

// A depthwise convolution that sees the last k - 1 elements of the call before.
Status CausalConvWithState(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape x, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape weights, n.ShapeOf(n.in(1)));
  const std::string activation = n.String("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return n.Fail(fmt::format("activation is \"{}\"", activation));
  if (x.rank() != 3 || weights.rank() != 3 || weights[1] != Dim(1))
    return n.Fail(
        fmt::format("input {} and weight {}, expected [B, C, L] and [C, 1, k]", x.to_string(), weights.to_string()));
  if (weights[0].is_symbolic() || weights[2].is_symbolic()) return n.Unsupported("weights of unknown size");
  const std::int64_t channels = weights[0].value(), k = weights[2].value();
  if (k < 1) return n.Fail("a kernel without elements");
  const DType dtype = n.dtype(0);
  const Value before = n.has(3) ? n.in(3) : n.Broadcast(n.Scalar(0, dtype), {x[0], x[1], k - 1}).v;
  const Ex padded = n.Apply("concat", {before, n.in(0)}, {{"axis", std::int64_t{2}}});
  Ex y = n.Apply("conv", {padded, n.in(1)},
                 {{"groups", channels}, {"layout", std::string("NCW")}, {"kernel_layout", std::string("OIW")}});
  if (n.has(2)) y = y + n.Reshape(n.in(2), {channels, 1});
  if (activation != "none") {
    const DType inner = dtype == DType::kF64 ? dtype : DType::kF32;
    y = n.ex(n.b.Cast(Op("silu", n.ex(n.b.Cast(y, inner))), dtype));
  }
  n.Out(0, y);
  if (n.wants(1)) {
    TENON_ASSIGN_OR_RETURN(const Shape all, n.ShapeOf(padded));
    n.Out(1, n.SliceAxis(padded, 2, all[2] - (k - 1), all[2]));
  }
  return {};
}

// update [B, …, L, …] written into past [B, …, S, …] from write_indices[b] on.
Status TensorScatter(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape past, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape update, n.ShapeOf(n.in(1)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", -2), past.rank()));
  const std::string mode = n.String("mode", "linear");
  if (mode != "linear" && mode != "circular") return n.Fail(fmt::format("mode is \"{}\"", mode));
  if (axis == 0 || update.rank() != past.rank())
    return n.Fail(fmt::format("axis {} of {} and {}", axis, past.to_string(), update.to_string()));
  Ints there = {0, axis};
  for (int i = 1; i < past.rank(); ++i)
    if (i != axis) there.push_back(i);
  Ints back(there.size());
  for (std::size_t i = 0; i < there.size(); ++i)
    back[static_cast<std::size_t>(there[i])] = static_cast<std::int64_t>(i);
  const Dim batch = update[0], length = update[axis];
  Ex at = n.Reshape(n.Iota(length, DType::kI64), {1, length});
  if (n.has(2)) at = at + n.Reshape(n.b.Cast(n.in(2), DType::kI64), {batch, 1});
  if (mode == "circular") {
    const Ex size = n.Reshape(n.SliceAxis(n.ShapeValue(n.in(0)), 0, axis, axis + 1), {});
    at = Op("remainder", at, size);
  }
  const Ex rows = n.Broadcast(n.Reshape(n.Iota(batch, DType::kI64), {batch, 1, 1}), {batch, length, 1});
  const Ex columns = n.Broadcast(n.Reshape(at, {n.has(2) ? batch : Dim(1), length, 1}), {batch, length, 1});
  const Value places = n.Add("concat", {rows, columns}, {{"axis", std::int64_t{2}}});
  const Value out = n.Add("scatter_nd", {n.Transpose(n.in(0), there), places, n.Transpose(n.in(1), there)});
  n.Out(0, n.Transpose(out, back));
  return {};
}

// [B, T, H * D] -> [T, B, H, D].
Result<Ex> Steps(NodeContext& n, int i, std::int64_t heads) {
  TENON_ASSIGN_OR_RETURN(const Shape s, n.ShapeOf(n.in(i)));
  if (s.rank() != 3 || s[2].is_symbolic() || heads < 1 || s[2].value() % heads != 0)
    return n.Fail(fmt::format("{} heads for {}", heads, s.to_string()));
  const Ex wide = n.ex(n.b.Cast(n.in(i), DType::kF32));
  return n.Transpose(n.Reshape(wide, {s[0], s[1], heads, s[2].value() / heads}), {1, 0, 2, 3});
}

// S = exp(g) S + beta k (v - (exp(g) S)^T k)^T; o = scale S^T q, step by step in f32.
Status LinearAttention(NodeContext& n) {
  const std::string rule = n.String("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta", delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear") return n.Fail(fmt::format("update_rule is \"{}\"", rule));
  if (gated != n.has(4) || delta != n.has(5))
    return n.Fail(fmt::format("update_rule {} {} decay and {} beta", rule, gated ? "needs" : "takes no",
                              delta ? "needs" : "takes no"));
  const std::int64_t q_heads = n.Int("q_num_heads", 0), heads = n.Int("kv_num_heads", 0);
  if (heads < 1 || q_heads < 1 || q_heads % heads != 0)
    return n.Fail(fmt::format("{} query heads for {} key heads", q_heads, heads));
  std::vector<Ex> scanned;  // [T, B, …] each
  TENON_ASSIGN_OR_RETURN(const Ex q, Steps(n, 0, q_heads));
  TENON_ASSIGN_OR_RETURN(const Ex k, Steps(n, 1, heads));
  TENON_ASSIGN_OR_RETURN(const Ex v, Steps(n, 2, heads));
  TENON_RETURN_IF_ERROR(n.b.status());
  const Dim steps = n.b.shape(q)[0], batch = n.b.shape(q)[1];
  const std::int64_t depth = n.b.shape(k)[3].value(), width = n.b.shape(v)[3].value(), groups = q_heads / heads;
  if (n.b.shape(q)[3] != Dim(depth))
    return n.Fail(fmt::format("heads of {} for keys of {}", n.b.shape(q)[3].to_string(), depth));
  scanned = {q, k, v};
  if (gated) {
    TENON_ASSIGN_OR_RETURN(const Ex decay, Steps(n, 4, heads));
    scanned.push_back(Op("exp", decay));  // [T, B, H, 1 or depth]
  }
  if (delta) {
    TENON_ASSIGN_OR_RETURN(const Shape s, n.ShapeOf(n.in(5)));
    const bool shared = s.rank() == 3 && s[2] == Dim(1);
    TENON_ASSIGN_OR_RETURN(const Ex beta, Steps(n, 5, shared ? 1 : heads));
    scanned.push_back(beta);
  }
  TENON_RETURN_IF_ERROR(n.b.status());
  if (gated && n.b.shape(scanned[3])[3] != Dim(1) && n.b.shape(scanned[3])[3] != Dim(depth))
    return n.Fail(fmt::format("decay of {} features for keys of {}", n.b.shape(scanned[3])[3].to_string(), depth));
  const Shape state_dims({batch, heads, depth, width});
  const Value first =
      n.has(3) ? n.b.Cast(n.in(3), DType::kF32) : n.Broadcast(n.Scalar(0, DType::kF32), state_dims.dims()).v;
  const double given = n.Float("scale", 0), scale = given != 0 ? given : 1 / std::sqrt(static_cast<double>(depth));

  ir::Graph body;
  ir::Builder b(&body);
  Ex state = b(b.Input("state", n.b.type(first)));
  std::vector<Ex> row;
  for (std::size_t i = 0; i < scanned.size(); ++i) {
    std::vector<Dim> dims = n.b.shape(scanned[i]).dims();
    dims.erase(dims.begin());
    row.push_back(b(b.Input(fmt::format("row{}", i), ir::Type::Tensor(DType::kF32, Shape(dims)))));
  }
  const auto expand = [&](Ex x, std::int64_t axis) { return Op("expand_dims", x, {{"axes", Ints{axis}}}); };
  const auto sum = [&](Ex x, std::int64_t axis) { return Op("reduce_sum", x, {{"axes", Ints{axis}}}); };
  const Ex key = expand(row[1], 3);  // [B, H, depth, 1]
  Ex value = row[2];
  if (gated) state = state * expand(row[3], 3);
  if (delta) value = row[gated ? 4 : 3] * (value - sum(state * key, 2));
  state = state + key * expand(value, 2);
  // Query head i reads the state of head i / groups.
  const Ex query = b(b.Reshape(row[0], Shape({batch, heads, groups, depth})));
  const Ex read = Op("matmul", query, state) * scale;
  body.set_outputs({state, b.Reshape(read, Shape({batch, q_heads, width}))});
  TENON_RETURN_IF_ERROR(b.status());
  std::vector<Value> operands = {first};
  for (const Ex& x : scanned) operands.push_back(x);
  const std::vector<Value> out = n.b.AddAll("scan", std::move(operands),
                                            {{"body", std::make_shared<const ir::Graph>(std::move(body))},
                                             {"carries", std::int64_t{1}},
                                             {"scanned", static_cast<std::int64_t>(scanned.size())},
                                             {"length", Shape({steps})}});
  TENON_RETURN_IF_ERROR(n.b.status());
  const Ex y = n.Reshape(n.Transpose(out[1], {1, 0, 2, 3}), {batch, steps, q_heads * width});
  n.Out(0, n.b.Cast(y, n.dtype(0)));
  n.Out(1, n.b.Cast(out[0], n.has(3) ? n.dtype(3) : n.dtype(0)));
  return {};
}

// A sub-graph of one input, applied.
Result<Ex> Modify(NodeContext& n, std::string_view name, Ex x) {
  const Attribute* found = n.Find(name);
  if (found == nullptr) return x;
  if (found->graphs.size() != 1 || found->graphs[0].inputs.size() != 1 || found->graphs[0].outputs.size() != 1)
    return n.Fail(fmt::format("{}: expected a graph of one input and one output", name));
  TENON_RETURN_IF_ERROR(n.b.status());
  ir::Output given;
  given.type = n.b.type(x);
  TENON_ASSIGN_OR_RETURN(Body body, n.translator().TranslateBody(found->graphs[0], n.scope(), {given}));
  const std::vector<Value> captures = Translator::UniteCaptures({&body});
  std::vector<Value> operands = {x};
  operands.insert(operands.end(), captures.begin(), captures.end());
  std::vector<Value> out = body.outputs;
  return n.Apply("call", std::move(operands), {{"body", Translator::Close(std::move(body), std::move(out))}});
}

// softmax(score_mod(q k^T scale)) v, the probabilities changed by prob_mod; both are graphs.
Status FlexAttention(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape qs, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape ks, n.ShapeOf(n.in(1)));
  TENON_ASSIGN_OR_RETURN(const Shape vs, n.ShapeOf(n.in(2)));
  if (qs.rank() != 4 || ks.rank() != 4 || vs.rank() != 4)
    return n.Fail(fmt::format("got {}, {} and {}, expected rank 4", qs.to_string(), ks.to_string(), vs.to_string()));
  if (qs[1].is_symbolic() || ks[1].is_symbolic() || (qs[3].is_symbolic() && !n.HasAttr("scale")))
    return n.Unsupported("heads of unknown number or size");
  if (ks[1].value() < 1 || qs[1].value() % ks[1].value() != 0)
    return n.Fail(fmt::format("{} query heads for {} key heads", qs[1].value(), ks[1].value()));
  const std::int64_t groups = qs[1].value() / ks[1].value();
  DType inner = n.dtype(0) == DType::kF64 ? DType::kF64 : DType::kF32;
  if (n.HasAttr("softmax_precision")) {
    TENON_ASSIGN_OR_RETURN(inner, ToDType(static_cast<DataTypeNumber>(n.Int("softmax_precision", 1))));
    if (!is_float(inner)) return n.Fail("softmax_precision is no float");
  }
  const auto wide = [&](int i, const Shape& s) {
    const Ex x = n.ex(n.b.Cast(n.in(i), inner));
    if (groups == 1) return x;
    return n.Reshape(n.Broadcast(n.Reshape(x, {s[0], s[1], 1, s[2], s[3]}), {s[0], s[1], groups, s[2], s[3]}),
                     {s[0], s[1] * groups, s[2], s[3]});
  };
  const double scale = n.HasAttr("scale") ? n.Float("scale", 1) : 1 / std::sqrt(static_cast<double>(qs[3].value()));
  const Ex q = n.ex(n.b.Cast(n.in(0), inner));
  const Ex product = n.Apply("matmul", {q, wide(1, ks)}, {{"transpose_y", true}}) * scale;
  TENON_ASSIGN_OR_RETURN(const Ex scores, Modify(n, "score_mod", product));
  TENON_ASSIGN_OR_RETURN(const Ex weights,
                         Modify(n, "prob_mod", n.Apply("softmax", {scores}, {{"axis", std::int64_t{-1}}})));
  n.Out(0, n.b.Cast(n.Add("matmul", {n.b.Cast(weights, inner), wide(2, vs)}), n.dtype(0)));
  return {};
}

const OpRow kRows[] = {
    {"CausalConvWithState", 2, 4, 2, "activation:s", CausalConvWithState},
    {"TensorScatter", 2, 3, 1, "axis:i mode:s", TensorScatter},
    {"LinearAttention", 3, 6, 2, "chunk_size:i kv_num_heads:i q_num_heads:i scale:f update_rule:s", LinearAttention},
    {"FlexAttention",
     3,
     3,
     1,
     "score_mod:g prob_mod:g softmax_precision:i scale:f",
     FlexAttention,
     {},
     "ai.onnx.preview"},
};

}  // namespace
const std::span<const OpRow> kStateRows = kRows;
}  // namespace tenon::onnx
