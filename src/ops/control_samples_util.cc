// Samples of the control-flow ops, in f64 so that their gradients can be checked as they are.
#include "ops/control_util.h"

namespace tenon::ir::ops {
namespace {

using Exs = std::vector<Ex>;

/// A graph of inputs of those types; f(inputs) gives its outputs.
GraphPtr Make(const std::vector<Type>& inputs, Exs (*f)(const Exs& in)) {
  auto graph = std::make_shared<Graph>();
  Builder b(graph.get());
  Exs in;
  for (const Type& t : inputs) in.push_back(b(b.Input("", t)));
  std::vector<Value> out;
  for (const Ex& v : f(in)) out.push_back(v);
  if (!b.ok()) fail(b.status());
  graph->set_outputs(std::move(out));
  return graph;
}
Type F64(Shape dims) { return Type::Tensor(DType::kF64, std::move(dims)); }
Literal Wide(std::vector<std::int64_t> dims, int seed) {
  return Convert(Random(std::move(dims), seed), DType::kF64).value();
}
Dim N() { return Dim::symbol("n"); }
std::pair<std::string_view, Attr> Number(std::string_view name, std::int64_t n) { return {name, n}; }
std::pair<std::string_view, Attr> Body(std::string_view name, GraphPtr graph) { return {name, std::move(graph)}; }

// (x, y) -> x * y, sin(x)
GraphPtr ProductAndSine() {
  return Make({F64({N()}), F64({N()})}, [](const Exs& in) { return Exs{in[0] * in[1], Op("sin", in[0])}; });
}
// (x, y) -> x + y * y, y
GraphPtr SumAndSecond() {
  return Make({F64({N()}), F64({N()})}, [](const Exs& in) { return Exs{in[0] + in[1] * in[1], in[1]}; });
}

}  // namespace

std::vector<Sample> CondSamples() {
  const Attrs both = {Body("then_branch", ProductAndSine()), Body("else_branch", SumAndSecond())};
  const GraphPtr one = Make({F64({N()}), F64({N()})}, [](const Exs& in) { return Exs{in[0]}; });
  const GraphPtr narrow = Make({F64({N()}), F64({N()})},
                               [](const Exs& in) { return Exs{in[0], {in[1].b, in[1].b->Cast(in[1], DType::kF32)}}; });
  return {{.name = "then", .inputs = {Bools({}, {true}), Wide({3}, 1), Wide({3}, 2)}, .attrs = both},
          {.name = "else", .inputs = {Bools({}, {false}), Wide({3}, 3), Wide({3}, 4)}, .attrs = both},
          {.name = "empty", .inputs = {Bools({}, {true}), Wide({0}, 5), Wide({0}, 6)}, .attrs = both},
          {.name = "vector", .inputs = {Bools({1}, {true}), Wide({3}, 1), Wide({3}, 2)}, .attrs = both, .error = "c1"},
          {.name = "missing", .inputs = {Bools({}, {true}), Wide({3}, 1)}, .attrs = both, .error = "c2"},
          {.name = "dims", .inputs = {Bools({}, {true}), Wide({3}, 1), Wide({2}, 2)}, .attrs = both, .error = "c2"},
          {.name = "null",
           .inputs = {Bools({}, {true})},
           .attrs = {Body("then_branch", nullptr), Body("else_branch", nullptr)},
           .error = "c2"},
          {.name = "results",
           .inputs = {Bools({}, {true}), Wide({3}, 1), Wide({3}, 2)},
           .attrs = {Body("then_branch", one), Body("else_branch", SumAndSecond())},
           .error = "c3"},
          {.name = "dtypes",
           .inputs = {Bools({}, {true}), Wide({3}, 1), Wide({3}, 2)},
           .attrs = {Body("then_branch", narrow), Body("else_branch", SumAndSecond())},
           .error = "c3"}};
}

std::vector<Sample> WhileSamples() {
  // Carries i (i64), x; captures y: while i > 0: i - 1, sin(x) * y
  const std::vector<Type> types = {Type::Tensor(DType::kI64, {}), F64({N()}), F64({N()})};
  const GraphPtr condition = Make(types, [](const Exs& in) { return Exs{Op("greater", in[0], in[0] - in[0])}; });
  const GraphPtr body = Make(types, [](const Exs& in) { return Exs{in[0] - 1.0, Op("sin", in[1]) * in[2]}; });
  const GraphPtr vector = Make(types, [](const Exs& in) { return Exs{Op("greater", in[1], in[2])}; });
  const GraphPtr swapped = Make(types, [](const Exs& in) { return Exs{in[1], in[1]}; });
  const Attrs attrs = {Body("condition", condition), Body("body", body), Number("carries", 2)};
  // A carry that grows: x becomes [x, x] while i > 0.
  const std::vector<Type> growing = {Type::Tensor(DType::kI64, {}), F64({N()})};
  const GraphPtr grows =
      Make(growing, [](const Exs& in) { return Exs{in[0] - 1.0, {in[1].b, in[1].b->Add("concat", {in[1], in[1]})}}; });
  const GraphPtr positive = Make(growing, [](const Exs& in) { return Exs{Op("greater", in[0], in[0] - in[0])}; });
  return {{.name = "three", .inputs = {Ints({}, {3}), Wide({2}, 1), Wide({2}, 2)}, .attrs = attrs},
          {.name = "never", .inputs = {Ints({}, {0}), Wide({2}, 3), Wide({2}, 4)}, .attrs = attrs},
          {.name = "empty", .inputs = {Ints({}, {2}), Wide({0}, 3), Wide({0}, 4)}, .attrs = attrs},
          {.name = "grows",
           .inputs = {Ints({}, {2}), Wide({2}, 5)},
           .attrs = {Body("condition", positive), Body("body", grows), Number("carries", 2)},
           .gradient = false},
          {.name = "carries",
           .inputs = {Ints({}, {3}), Wide({2}, 1), Wide({2}, 2)},
           .attrs = {Body("condition", condition), Body("body", body), Number("carries", 4)},
           .error = "c1"},
          {.name = "operands", .inputs = {Ints({}, {3}), Wide({2}, 1)}, .attrs = attrs, .error = "c2"},
          {.name = "dtype", .inputs = {Wide({}, 3), Wide({2}, 1), Wide({2}, 2)}, .attrs = attrs, .error = "c2"},
          {.name = "condition",
           .inputs = {Ints({}, {3}), Wide({2}, 1), Wide({2}, 2)},
           .attrs = {Body("condition", vector), Body("body", body), Number("carries", 2)},
           .error = "c3"},
          {.name = "results",
           .inputs = {Ints({}, {3}), Wide({2}, 1), Wide({2}, 2)},
           .attrs = {Body("condition", condition), Body("body", body), Number("carries", 1)},
           .error = "c4"},
          {.name = "types",
           .inputs = {Ints({}, {3}), Wide({2}, 1), Wide({2}, 2)},
           .attrs = {Body("condition", condition), Body("body", swapped), Number("carries", 2)},
           .error = "c4"}};
}

std::vector<Sample> ScanSamples() {
  // carry c, row x, capture w: c' = tanh(c * w + x); further results c' * x, and an integer
  const std::vector<Type> types = {F64({2}), F64({2}), F64({2})};
  const GraphPtr body = Make(types, [](const Exs& in) {
    const Ex next = Op("tanh", in[0] * in[2] + in[1]);
    return Exs{next, next * in[1], Op("argmax", next)};
  });
  const auto attrs = [&](std::int64_t length, bool reverse) {
    return Attrs{Body("body", body),
                 Number("carries", 1),
                 Number("scanned", 1),
                 {"length", Shape({length})},
                 {"reverse", reverse}};
  };
  const GraphPtr none = Make({F64({2})}, [](const Exs& in) { return Exs{in[0] * in[0]}; });
  const GraphPtr wrong = Make(types, [](const Exs& in) { return Exs{Op("argmax", in[0])}; });
  const auto with = [&](GraphPtr graph, std::int64_t carries, std::int64_t scanned) {
    return Attrs{
        Body("body", std::move(graph)), Number("carries", carries), Number("scanned", scanned), {"length", Shape({3})}};
  };
  const Literal c = Wide({2}, 1), x = Wide({3, 2}, 2), w = Wide({2}, 3);
  return {{.name = "forward", .inputs = {c, x, w}, .attrs = attrs(3, false)},
          {.name = "reverse", .inputs = {c, x, w}, .attrs = attrs(3, true)},
          {.name = "no_steps", .inputs = {c, Wide({0, 2}, 4), w}, .attrs = attrs(0, false)},
          {.name = "map", .inputs = {x}, .attrs = with(none, 0, 1)},
          {.name = "carry_only", .inputs = {c}, .attrs = with(none, 1, 0)},
          {.name = "carries", .inputs = {c, x, w}, .attrs = with(body, 2, 2), .error = "c1"},
          {.name = "length", .inputs = {c, x, w}, .attrs = attrs(-1, false), .error = "c1"},
          {.name = "rows", .inputs = {c, x, w}, .attrs = attrs(2, false), .error = "c2"},
          {.name = "operands", .inputs = {c, x}, .attrs = attrs(3, false), .error = "c3"},
          {.name = "row_dims", .inputs = {c, Wide({3, 3}, 2), w}, .attrs = attrs(3, false), .error = "c3"},
          {.name = "types", .inputs = {c, x, w}, .attrs = with(wrong, 1, 1), .error = "c4"}};
}

std::vector<Sample> CallSamples() {
  return {
      {.name = "plain", .inputs = {Wide({3}, 1), Wide({3}, 2)}, .attrs = {Body("body", ProductAndSine())}},
      {.name = "empty", .inputs = {Wide({0}, 1), Wide({0}, 2)}, .attrs = {Body("body", SumAndSecond())}},
      {.name = "operands", .inputs = {Wide({3}, 1)}, .attrs = {Body("body", SumAndSecond())}, .error = "c1"},
      {.name = "dims", .inputs = {Wide({3}, 1), Wide({2}, 2)}, .attrs = {Body("body", SumAndSecond())}, .error = "c1"}};
}

}  // namespace tenon::ir::ops
