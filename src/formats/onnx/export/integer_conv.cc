#include "formats/onnx/export/integer_conv.h"

#include <algorithm>

#include "formats/onnx/data_type.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

// The constant that reshapes and casts make v of.
std::optional<Literal> ConstantBehind(const ir::Graph& graph, ir::Value v) {
  while (graph.node(v).op->name == "reshape" || graph.node(v).op->name == "cast") v = graph.node(v).inputs[0];
  if (graph.node(v).op->name != "constant") return std::nullopt;
  return graph.node(v).attrs.Lit("value");
}

// An i32 value that is `bytes` (u8) less `zero` (u8, one element; empty: nothing).
struct Bytes {
  std::string bytes, zero;
};
// Values that are a cast of bytes, less a zero point of their type or not. i8 is shifted up, since that is what ONNX
// Runtime reads.
std::optional<Bytes> AsBytes(OpWriter& w, ir::Value v) {
  const ir::Graph& graph = *w.env.graph;
  ir::Value less, wide = v;
  if (graph.node(v).op->name == "subtract") {
    wide = graph.node(v).inputs[0];
    less = graph.node(v).inputs[1];
  }
  if (graph.node(wide).op->name != "cast") return std::nullopt;
  // A zero point may have more dims than what it is taken from.
  if (wide != v &&
      (!graph.type(v).has_rank() || !graph.type(wide).has_rank() || graph.type(v).shape() != graph.type(wide).shape()))
    return std::nullopt;
  const ir::Value narrow = graph.node(wide).inputs[0];
  const DType dtype = graph.type(narrow).dtype();
  if (dtype != DType::kU8 && dtype != DType::kI8) return std::nullopt;
  const std::int64_t shift = dtype == DType::kI8 ? 128 : 0;
  std::optional<std::int64_t> known = 0;
  if (less.valid()) {
    known.reset();
    if (const std::optional<Literal> zeros = ConstantBehind(graph, less); zeros && zeros->size() > 0) {
      const std::vector<std::int64_t> all = ir::ToInts(*zeros);
      if (all.front() + shift < 0 || all.front() + shift > 255) return std::nullopt;
      if (std::all_of(all.begin(), all.end(), [&](std::int64_t z) { return z == all.front(); })) known = all.front();
    }
    ir::Value from = less;
    while (graph.node(from).op->name == "reshape") from = graph.node(from).inputs[0];
    const bool single = graph.type(less).is_static() && graph.type(less).shape().size() == Dim(1);
    const bool byte = graph.node(from).op->name == "cast" && graph.type(graph.node(from).inputs[0]).dtype() == dtype;
    if (!known && (!single || !byte)) return std::nullopt;
  }
  const auto raised = [&](ir::Value x) {
    const std::string name = w.x.Name(w.env, x);
    const std::string sum =
        shift == 0 ? name : w.Emit("Add", {name, w.Scalar(static_cast<double>(shift), DType::kI32)});
    return w.Emit("Cast", {sum}, {IntAttribute("to", kUint8)});
  };
  Bytes out;
  out.bytes = shift == 0 ? w.x.Name(w.env, narrow) : raised(wide);
  if (known && *known + shift != 0) out.zero = w.x.Constant(Literal::scalar(static_cast<std::uint8_t>(*known + shift)));
  if (!known) out.zero = w.Emit("Reshape", {raised(less), w.Ints1({})});
  return out;
}

struct Range {
  double low, high;
};
// Where the elements of an i32 value lie: of bytes and constants, less others of that kind or not.
std::optional<Range> RangeOf(const ir::Graph& graph, ir::Value v) {
  const auto simple = [&](ir::Value x) -> std::optional<Range> {
    while (graph.node(x).op->name == "reshape") x = graph.node(x).inputs[0];
    const ir::Node& node = graph.node(x);
    if (node.op->name == "constant") {
      Range range = {0, 0};
      for (const std::int64_t number : ir::ToInts(node.attrs.Lit("value"))) {
        range.low = std::min(range.low, static_cast<double>(number));
        range.high = std::max(range.high, static_cast<double>(number));
      }
      return range;
    }
    if (node.op->name != "cast") return std::nullopt;
    const DType narrow = graph.type(node.inputs[0]).dtype();
    if (narrow == DType::kU8) return Range{0, 255};
    if (narrow == DType::kI8) return Range{-128, 127};
    return std::nullopt;
  };
  if (graph.node(v).op->name != "subtract") return simple(v);
  const std::optional<Range> from = simple(graph.node(v).inputs[0]), less = simple(graph.node(v).inputs[1]);
  if (!from || !less) return std::nullopt;
  return Range{from->low - less->high, from->high - less->low};
}

// f32 where all sums are exact in it: while no product of bounds and taps exceeds 2^24.
DataTypeNumber ExactFloat(OpWriter& w) {
  const ir::Graph& graph = *w.env.graph;
  if (!w.ranked(1)) return kDouble;
  double taps = 1;
  for (int i = 1; i < w.shape(1).rank(); ++i) {
    if (w.shape(1)[i].is_symbolic()) return kDouble;
    taps *= static_cast<double>(w.shape(1)[i].value());
  }
  const std::optional<Range> x = RangeOf(graph, w.value(0)), kernel = RangeOf(graph, w.value(1));
  if (!x || !kernel) return kDouble;
  const auto most = [](const Range& range) { return std::max(-range.low, range.high); };
  return most(*x) * most(*kernel) * taps <= 0x1p24 ? kFloat : kDouble;
}

}  // namespace

Status WriteIntegerConv(OpWriter& w, std::vector<Attribute> attributes) {
  const std::optional<Bytes> x = AsBytes(w, w.value(0)), kernel = x ? AsBytes(w, w.value(1)) : std::nullopt;
  if (x && kernel) {
    w.Finish("ConvInteger", {x->bytes, kernel->bytes, x->zero, kernel->zero}, std::move(attributes));
    return {};
  }
  const DataTypeNumber exact = ExactFloat(w);
  const auto wide = [&](int i) { return w.Emit("Cast", {w.in(i)}, {IntAttribute("to", exact)}); };
  const std::string sums = w.Emit("Conv", {wide(0), wide(1)}, std::move(attributes));
  w.Finish("Cast", {sums}, {IntAttribute("to", kInt32)});
  return {};
}

}  // namespace tenon::onnx
