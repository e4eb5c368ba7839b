// LSTM, GRU and RNN as scans over time. Weights hold the gates one after the other: LSTM i o f c, GRU z r h.
// com.microsoft's DynamicQuantizeLSTM is an LSTM with integer weights, whose products take what they multiply as u8.
#include <fmt/format.h>

#include <algorithm>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/quantize.h"

namespace tenon::onnx {
namespace {

struct Activation {
  std::string name;
  double alpha = 0, beta = 0;
};

// The activation of one gate, with the defaults of the operator's list.
Result<Ex> Apply(NodeContext& n, const Activation& f, Ex x) {
  const DType dtype = x.dtype();
  const auto number = [&](double v) { return Ex(x.b, x.b->Scalar(v, dtype)); };
  if (f.name == "sigmoid") return Op("sigmoid", x);
  if (f.name == "tanh") return Op("tanh", x);
  if (f.name == "relu") return Op("relu", x);
  if (f.name == "softsign") return Op("softsign", x);
  if (f.name == "softplus") return Op("softplus", x);
  if (f.name == "affine") return x * f.alpha + f.beta;
  if (f.name == "leakyrelu") return Op("leaky_relu", x, {{"negative_slope", f.alpha}});
  if (f.name == "elu") return Op("elu", x, {{"alpha", f.alpha}});
  if (f.name == "scaledtanh") return Op("tanh", x * f.beta) * f.alpha;
  if (f.name == "thresholdedrelu") return Select(Op("greater", x, number(f.alpha)), x, number(0));
  if (f.name == "hardsigmoid") return Ex(x.b, x.b->Add("clip", {x * f.alpha + f.beta, number(0), number(1)}));
  return n.Unsupported(fmt::format("the activation {}", f.name));
}

Result<std::vector<Activation>> ReadActivations(NodeContext& n, std::vector<std::string> defaults, std::size_t dirs) {
  std::vector<std::string> names = n.StringList("activations");
  const std::size_t each = defaults.size();
  if (names.empty())
    for (std::size_t d = 0; d < dirs; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
  if (names.size() != each * dirs) return n.Fail(fmt::format("{} activations, expected {}", names.size(), each * dirs));
  const std::vector<double> alphas = n.FloatList("activation_alpha"), betas = n.FloatList("activation_beta");
  std::vector<Activation> out;
  std::size_t next_alpha = 0, next_beta = 0;
  for (std::string& name : names) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    Activation f{name};
    const bool takes_alpha = name == "affine" || name == "leakyrelu" || name == "elu" || name == "scaledtanh" ||
                             name == "thresholdedrelu" || name == "hardsigmoid";
    const bool takes_beta = name == "affine" || name == "scaledtanh" || name == "hardsigmoid";
    f.alpha = name == "leakyrelu" ? 0.01 : name == "hardsigmoid" ? 0.2 : 1.0;
    f.beta = name == "hardsigmoid" ? 0.5 : name == "scaledtanh" ? 1.0 : 0.0;
    if (takes_alpha && next_alpha < alphas.size()) f.alpha = alphas[next_alpha++];
    if (takes_beta && next_beta < betas.size()) f.beta = betas[next_beta++];
    out.push_back(std::move(f));
  }
  return out;
}

// Everything of one direction.
struct Cell {
  std::string kind;  // "LSTM", "GRU", "RNN"
  std::int64_t hidden = 0;
  double clip = 0;
  bool input_forget = false, linear_before_reset = false;
  bool quantized = false;  // the left sides of products are rounded to u8
  std::vector<Activation> activations;
};

// x rounded to the 256 values between its least and its greatest element.
Ex AsU8(NodeContext& n, Ex x) {
  NodeContext here(n.translator(), n.scope(), *x.b, n.node, n.row, n.opset, {});
  const DynamicU8 q = QuantizeDynamically(here, x);
  const auto wide = [&](Ex v) { return Ex(x.b, x.b->Cast(v, DType::kF32)); };
  return (wide(q.value) - wide(q.zero)) * q.scale;
}

// Integer weights [dirs, K, gates * H] as floats [dirs, gates * H, K]. Scales and zero points are those of a direction,
// [dirs], or of each column, [dirs, gates * H].
Result<Ex> FloatWeights(NodeContext& n, int weight, int scale, int zero) {
  if (!n.has(scale)) return n.Fail(fmt::format("input {}, the scale of the weights, is left out", scale));
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(weight)));
  if (shape.rank() != 3) return n.Fail(fmt::format("weights {}, expected rank 3", shape.to_string()));
  const auto spread = [&](int i) -> Result<Ex> {
    TENON_ASSIGN_OR_RETURN(const Shape own, n.ShapeOf(n.in(i)));
    if (own.rank() != 1 && own.rank() != 2)
      return n.Fail(fmt::format("input {} is {}, expected rank 1 or 2", i, own.to_string()));
    return n.Reshape(n.b.Cast(n.in(i), DType::kF32), {own[0], 1, own.rank() == 2 ? own[1] : Dim(1)});
  };
  TENON_ASSIGN_OR_RETURN(const Ex scales, spread(scale));
  Ex w = n.ex(n.b.Cast(n.in(weight), DType::kF32));
  if (n.has(zero)) {
    TENON_ASSIGN_OR_RETURN(const Ex zeros, spread(zero));
    w = w - zeros;
  }
  return n.Transpose(w * scales, {0, 2, 1});
}

// Slot k of `count` equal parts of an axis.
Ex Part(Ex x, int axis, std::int64_t k, std::int64_t size) {
  if (!x.b->ok()) return x;
  std::vector<Dim> limits = x.b->shape(x).dims(), starts(limits.size(), Dim(0));
  starts[static_cast<std::size_t>(axis)] = k * size;
  limits[static_cast<std::size_t>(axis)] = (k + 1) * size;
  return Op("slice", x, {{"starts", Shape(starts)}, {"limits", Shape(limits)}});
}

// One step: x [B, gates * H] holds the input's part of the gates with all biases but the recurrent one of GRU's h.
// States are h, and c for LSTM. Gives the new states.
Result<std::vector<Ex>> Step(NodeContext& n, const Cell& cell, Ex x, const std::vector<Ex>& state, Ex recurrent,
                             Ex hidden_bias, Ex peephole) {
  const std::int64_t size = cell.hidden;
  const Ex h = state[0];
  const auto times = [&](Ex a, Ex w) {
    return Op("matmul", cell.quantized ? AsU8(n, a) : a, w, {{"transpose_y", true}});
  };
  const auto limit = [&](Ex g) {
    if (cell.clip <= 0) return g;
    return Ex(g.b, g.b->Add("clip", {g, g.b->Scalar(-cell.clip, g.dtype()), g.b->Scalar(cell.clip, g.dtype())}));
  };
  const auto gate = [&](Ex all, std::int64_t k) { return Part(all, 1, k, size); };
  if (cell.kind == "RNN") {
    TENON_ASSIGN_OR_RETURN(const Ex out, Apply(n, cell.activations[0], limit(x + times(h, recurrent))));
    return std::vector<Ex>{out};
  }
  if (cell.kind == "LSTM") {
    const Ex all = x + times(h, recurrent), c = state[1];
    const auto peek = [&](Ex g, Ex from, std::int64_t k) {
      return peephole.v.valid() ? g + from * Part(peephole, 0, k, size) : g;
    };
    TENON_ASSIGN_OR_RETURN(const Ex i, Apply(n, cell.activations[0], limit(peek(gate(all, 0), c, 0))));
    TENON_ASSIGN_OR_RETURN(Ex f, Apply(n, cell.activations[0], limit(peek(gate(all, 2), c, 2))));
    if (cell.input_forget) f = 1.0 - i;
    TENON_ASSIGN_OR_RETURN(const Ex g, Apply(n, cell.activations[1], limit(gate(all, 3))));
    const Ex next = f * c + i * g;
    TENON_ASSIGN_OR_RETURN(const Ex o, Apply(n, cell.activations[0], limit(peek(gate(all, 1), next, 1))));
    TENON_ASSIGN_OR_RETURN(const Ex shown, Apply(n, cell.activations[2], next));
    return std::vector<Ex>{o * shown, next};
  }
  const Ex rz = Part(recurrent, 0, 0, size), rr = Part(recurrent, 0, 1, size), rh = Part(recurrent, 0, 2, size);
  TENON_ASSIGN_OR_RETURN(const Ex z, Apply(n, cell.activations[0], limit(gate(x, 0) + times(h, rz))));
  TENON_ASSIGN_OR_RETURN(const Ex r, Apply(n, cell.activations[0], limit(gate(x, 1) + times(h, rr))));
  const auto biased = [&](Ex v) { return hidden_bias.v.valid() ? v + hidden_bias : v; };
  const Ex inner = cell.linear_before_reset ? r * biased(times(h, rh)) : biased(times(r * h, rh));
  TENON_ASSIGN_OR_RETURN(const Ex candidate, Apply(n, cell.activations[1], limit(gate(x, 2) + inner)));
  return std::vector<Ex>{(1.0 - z) * candidate + z * h};
}

struct Direction {
  Value sequence;             // [T, B, H]
  std::vector<Value> finals;  // [B, H]
};

// Runs one direction. x is [T, B, I]; the weights are those of this direction; `lengths` i64 [B] or invalid.
Result<Direction> Run(NodeContext& n, const Cell& cell, Ex x, Ex w, Ex recurrent, Ex bias, Ex peephole, Value lengths,
                      const std::vector<Value>& state, bool reverse) {
  const std::int64_t gates = cell.kind == "LSTM" ? 4 : cell.kind == "GRU" ? 3 : 1, size = cell.hidden;
  Ex projected = Op("matmul", cell.quantized ? AsU8(n, x) : x, w, {{"transpose_y", true}});
  Ex hidden_bias;
  if (bias.v.valid()) {
    const Ex wb = Part(bias, 0, 0, gates * size), rb = Part(bias, 0, 1, gates * size);
    if (cell.kind == "GRU") {  // the recurrent bias of h stands inside
      hidden_bias = Part(rb, 0, 2, size);
      const Ex outer =
          n.Apply("concat", {Part(rb, 0, 0, 2 * size), n.b.ZerosLike(hidden_bias)}, {{"axis", std::int64_t{0}}});
      projected = projected + (wb + outer);
    } else {
      projected = projected + (wb + rb);
    }
  }
  TENON_RETURN_IF_ERROR(n.b.status());
  const Shape shape = n.b.shape(projected);  // [T, B, G H]
  const DType dtype = n.dtype(projected);
  const auto type = [&](Value v) { return n.b.type(v); };
  ir::Graph body;
  ir::Builder b(&body);
  std::vector<Ex> inner_state;
  std::vector<Value> operands = state;
  for (std::size_t i = 0; i < state.size(); ++i)
    inner_state.push_back({&b, b.Input("state" + std::to_string(i), ir::Type::Tensor(dtype, {shape[1], size}))});
  const Ex step_x(&b, b.Input("x", ir::Type::Tensor(dtype, {shape[1], shape[2]})));
  operands.push_back(projected);
  Ex t;
  if (lengths.valid()) {
    t = Ex(&b, b.Input("t", ir::Type::Tensor(DType::kI64, {})));
    operands.push_back(n.Iota(shape[0], DType::kI64));
  }
  const auto capture = [&](Value v) -> Ex {
    if (!v.valid()) return {};
    operands.push_back(v);
    return {&b, b.Input("capture" + std::to_string(operands.size()), type(v))};
  };
  const Ex body_recurrent = capture(recurrent), body_bias = capture(hidden_bias.v), body_peephole = capture(peephole.v);
  const Ex body_lengths = capture(lengths.valid() ? n.Reshape(lengths, {shape[1], 1}).v : Value());
  TENON_RETURN_IF_ERROR(b.status());
  TENON_ASSIGN_OR_RETURN(std::vector<Ex> next,
                         Step(n, cell, step_x, inner_state, body_recurrent, body_bias, body_peephole));
  Ex shown = next[0];
  if (lengths.valid()) {  // beyond its length a row keeps its state and shows zeros
    const Ex inside = Op("less", t, body_lengths);
    shown = Select(inside, shown, Ex(&b, b.Scalar(0, dtype)));
    for (std::size_t i = 0; i < next.size(); ++i) next[i] = Select(inside, next[i], inner_state[i]);
  }
  TENON_RETURN_IF_ERROR(b.status());
  std::vector<Value> outputs(next.begin(), next.end());
  outputs.push_back(shown);
  body.set_outputs(std::move(outputs));
  const std::vector<Value> out = n.b.AddAll("scan", std::move(operands),
                                            {{"body", std::make_shared<const ir::Graph>(std::move(body))},
                                             {"carries", static_cast<std::int64_t>(state.size())},
                                             {"scanned", std::int64_t{lengths.valid() ? 2 : 1}},
                                             {"length", Shape({shape[0]})},
                                             {"reverse", reverse}});
  TENON_RETURN_IF_ERROR(n.b.status());
  return Direction{out.back(), {out.begin(), out.end() - 1}};
}

Status Recurrent(NodeContext& n) {
  Cell cell;
  cell.quantized = n.node.op_type == "DynamicQuantizeLSTM";
  cell.kind = cell.quantized ? "LSTM" : n.node.op_type;
  const std::string direction = n.String("direction", "forward");
  const std::size_t dirs = direction == "bidirectional" ? 2 : 1;
  if (dirs == 1 && direction != "forward" && direction != "reverse")
    return n.Fail(fmt::format("direction is \"{}\"", direction));
  Ex input_weights = n.x(1), recurrent_weights = n.x(2);
  if (cell.quantized) {
    TENON_ASSIGN_OR_RETURN(input_weights, FloatWeights(n, 1, 8, 9));
    TENON_ASSIGN_OR_RETURN(recurrent_weights, FloatWeights(n, 2, 10, 11));
  }
  TENON_ASSIGN_OR_RETURN(const Shape weights, n.ShapeOf(recurrent_weights));
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if (rank != 3 || weights.rank() != 3 || weights[2].is_symbolic()) return n.Fail("X and R must have rank 3");
  cell.hidden = weights[2].value();
  if (n.Int("hidden_size", cell.hidden) != cell.hidden)
    return n.Fail(
        fmt::format("hidden_size {} with recurrent weights {}", n.Int("hidden_size", 0), weights.to_string()));
  cell.clip = n.Float("clip", 0);
  cell.input_forget = n.Int("input_forget", 0) != 0;
  cell.linear_before_reset = n.Int("linear_before_reset", 0) != 0;
  const bool lstm = cell.kind == "LSTM", batch_first = n.Int("layout", 0) == 1;
  const std::vector<std::string> defaults = lstm                 ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                            : cell.kind == "GRU" ? std::vector<std::string>{"Sigmoid", "Tanh"}
                                                                 : std::vector<std::string>{"Tanh"};
  TENON_ASSIGN_OR_RETURN(const std::vector<Activation> activations, ReadActivations(n, defaults, dirs));
  const Ex x = batch_first ? n.Transpose(n.in(0), {1, 0, 2}) : n.x(0);
  TENON_RETURN_IF_ERROR(n.b.status());
  const Dim batch = n.b.shape(x)[1];
  std::vector<Direction> done;
  for (std::size_t d = 0; d < dirs; ++d) {
    const auto at = static_cast<std::int64_t>(d);
    cell.activations.assign(activations.begin() + at * static_cast<std::int64_t>(defaults.size()),
                            activations.begin() + (at + 1) * static_cast<std::int64_t>(defaults.size()));
    const auto slice = [&](Value v, int axis) {  // this direction's
      return n.Apply("squeeze", {n.SliceAxis(v, axis, at, at + 1)}, {{"axes", Ints{axis}}});
    };
    const auto own = [&](int i, int axis) { return n.has(i) ? slice(n.in(i), axis) : Ex(); };
    std::vector<Value> state;
    for (int i = 5; i <= (lstm ? 6 : 5); ++i)
      state.push_back(n.has(i) ? own(i, batch_first ? 1 : 0).v
                               : n.Broadcast(n.Scalar(0, n.dtype(0)), {batch, cell.hidden}).v);
    const Value lengths = n.has(4) ? n.b.Cast(n.in(4), DType::kI64) : Value();
    TENON_ASSIGN_OR_RETURN(Direction run,
                           Run(n, cell, x, slice(input_weights, 0), slice(recurrent_weights, 0), own(3, 0),
                               lstm ? own(7, 0) : Ex(), lengths, state, direction == "reverse" || d == 1));
    done.push_back(std::move(run));
  }
  // Y [T, dirs, B, H] and finals [dirs, B, H]; with layout 1 the batch comes first.
  const auto stack = [&](auto pick, int axis) {
    std::vector<Value> parts;
    for (const Direction& run : done) parts.push_back(n.Add("expand_dims", {pick(run)}, {{"axes", Ints{axis}}}));
    return parts.size() == 1 ? parts[0] : n.Add("concat", std::move(parts), {{"axis", std::int64_t{axis}}});
  };
  if (n.wants(0)) {
    const Value y = stack([](const Direction& run) { return run.sequence; }, 1);
    n.Out(0, batch_first ? n.Transpose(y, {2, 0, 1, 3}).v : y);
  }
  for (int k = 0; k < (lstm ? 2 : 1); ++k) {
    if (!n.wants(k + 1)) continue;
    const Value last = stack([&](const Direction& run) { return run.finals[static_cast<std::size_t>(k)]; }, 0);
    n.Out(k + 1, batch_first ? n.Transpose(last, {1, 0, 2}).v : last);
  }
  return {};
}

constexpr std::string_view kAttrs =
    "activation_alpha:fs activation_beta:fs activations:ss clip:f direction:s hidden_size:i layout:i output_sequence:i "
    "input_forget:i linear_before_reset:i";

const OpRow kRows[] = {
    {"LSTM", 3, 8, 3, kAttrs, Recurrent},
    {"GRU", 3, 6, 2, kAttrs, Recurrent},
    {"RNN", 3, 6, 2, kAttrs, Recurrent},
    {"DynamicQuantizeLSTM", 3, 12, 3, kAttrs, Recurrent, {}, "com.microsoft"},
};

}  // namespace
const std::span<const OpRow> kRecurrentRows = kRows;
}  // namespace tenon::onnx
