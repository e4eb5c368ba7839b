// Convolutions, poolings and normalisations. ONNX has channels first only; channels-last ops are written between
// transposes, and what stays inside of a chain of them never goes back (Exporter::WriteChannelsFirst).
#include <algorithm>

#include "formats/onnx/data_type.h"
#include "formats/onnx/export/families.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

bool ChannelsLast(const std::string& layout) { return layout.size() > 2 && layout[1] != 'C'; }

std::string AutoPad(const std::string& ours) {
  return ours == "same_upper"   ? "SAME_UPPER"
         : ours == "same_lower" ? "SAME_LOWER"
         : ours == "valid"      ? "VALID"
                                : "NOTSET";
}

// [low0, high0, …] as [low0, …, high0, …]; zeros when the list is empty.
Ints OnnxPads(const Ints& padding, std::size_t spatial) {
  Ints pads(2 * spatial, 0);
  for (std::size_t i = 0; i < padding.size() / 2; ++i) {
    pads[i] = padding[2 * i];
    pads[spatial + i] = padding[2 * i + 1];
  }
  return pads;
}

Ints OrOnes(const Ints& list, std::size_t count) { return list.empty() ? Ints(count, 1) : list; }

std::vector<Attribute> WindowAttributes(OpWriter& w, std::size_t spatial, const Ints& strides) {
  const ir::Attrs& a = w.attrs();
  std::vector<Attribute> out;
  const std::string& auto_pad = a.String("auto_pad");
  if (auto_pad == "explicit") {
    out.push_back(IntsAttribute("pads", OnnxPads(a.Ints("padding"), spatial)));
  } else {
    out.push_back(StringAttribute("auto_pad", AutoPad(auto_pad)));
  }
  out.push_back(IntsAttribute("strides", strides));
  return out;
}

// A kernel as [out, in, spatial…]; stored that way when it is a weight.
std::string Kernel(OpWriter& w, int i) {
  const std::string& layout = w.attrs().String("kernel_layout");
  std::string target = "OI";
  for (const char c : layout)
    if (c != 'O' && c != 'I') target += c;
  Ints permutation;
  for (const char c : target) permutation.push_back(static_cast<std::int64_t>(layout.find(c)));
  if (std::is_sorted(permutation.begin(), permutation.end())) return w.in(i);
  return w.x.Transposed(w.in(i), permutation);
}

std::size_t Spatial(OpWriter& w) { return w.attrs().String("layout").size() - 2; }

// Before opset 22 convolutions and poolings take no bfloat16: there they work on f32.
bool IsWidened(OpWriter& w) { return w.opset() < 22 && w.out_type().dtype() == DType::kBF16; }
std::string EmitWidened(OpWriter& w, std::string op, Names inputs, std::vector<Attribute> attributes) {
  for (std::string& name : inputs) name = w.Emit("Cast", {name}, {IntAttribute("to", kFloat)});
  return w.Emit(std::move(op), std::move(inputs), std::move(attributes));
}
// A node whose result, as its operands, has its channels first.
void Write(OpWriter& w, bool last, std::string op, Names inputs, std::vector<Attribute> attributes) {
  const std::vector<Attribute> narrow = {IntAttribute("to", kBfloat16)};
  const bool widened = IsWidened(w);
  if (!last && !widened) {
    w.Finish(std::move(op), std::move(inputs), std::move(attributes));
  } else if (!last) {
    w.Finish("Cast", {EmitWidened(w, std::move(op), std::move(inputs), std::move(attributes))}, narrow);
  } else {
    const std::string y =
        widened ? w.Emit("Cast", {EmitWidened(w, std::move(op), std::move(inputs), std::move(attributes))}, narrow)
                : w.Emit(std::move(op), std::move(inputs), std::move(attributes));
    w.x.SetChannelsFirst(w.env, {w.id, 0}, y, w.out());
  }
}

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

// Conv is for floats: of bytes it is ConvInteger. Other i32 numbers are added up as f32 where that is exact, else as
// f64: right as long as the sums fit in i32; where ours wrap around, the cast back is undefined in ONNX.
Status IntegerConv(OpWriter& w, std::vector<Attribute> attributes) {
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

Status Conv(OpWriter& w) {
  const std::size_t spatial = Spatial(w);
  std::vector<Attribute> attributes = WindowAttributes(w, spatial, OrOnes(w.attrs().Ints("strides"), spatial));
  attributes.push_back(IntsAttribute("dilations", OrOnes(w.attrs().Ints("dilations"), spatial)));
  attributes.push_back(IntAttribute("group", w.attrs().Int("groups")));
  const bool last = ChannelsLast(w.attrs().String("layout"));
  if (!last && w.dtype(0) == DType::kI32 && w.attrs().String("kernel_layout").starts_with("OI"))
    return IntegerConv(w, std::move(attributes));
  const std::string x = last ? w.x.ChannelsFirst(w.env, w.value(0)) : w.in(0);
  const std::string kernel = Kernel(w, 1);
  Write(w, last, "Conv", {x, kernel}, std::move(attributes));
  return {};
}

// The gradient of a convolution by its input. What the padding leaves over is output_padding.
Status ConvInputGrad(OpWriter& w) {
  const std::size_t spatial = Spatial(w);
  const std::string& layout = w.attrs().String("layout");
  const bool last = ChannelsLast(layout);
  if (!w.ranked(0) || !w.ranked(1) || !w.ranked(2)) return w.Unsupported("an input of unknown rank");
  const Ints strides = OrOnes(w.attrs().Ints("strides"), spatial),
             dilations = OrOnes(w.attrs().Ints("dilations"), spatial);
  const std::string &kernel_layout = w.attrs().String("kernel_layout"), &auto_pad = w.attrs().String("auto_pad");
  Ints pads = OnnxPads(auto_pad == "explicit" ? w.attrs().Ints("padding") : Ints(), spatial), extra;
  std::string axes;
  for (const char c : layout)
    if (c != 'N' && c != 'C') axes += c;
  for (std::size_t i = 0; i < spatial; ++i) {
    const auto at = static_cast<int>(layout.find(axes[i]));
    const Dim kernel = w.shape(1)[static_cast<int>(kernel_layout.find(axes[i]))];
    const Dim whole = strides[i] * (w.shape(0)[at] - 1) + (kernel - 1) * dilations[i] + 1;
    Dim left = whole - w.shape(2)[at];  // to be cut off
    if (left.is_symbolic()) return w.Unsupported("a transposed convolution whose padding depends on run-time dims");
    std::int64_t cut = left.value();
    if (auto_pad.rfind("same", 0) == 0 && cut > 0) {
      pads[i] = auto_pad == "same_upper" ? cut / 2 : cut - cut / 2;
      pads[spatial + i] = cut - pads[i];
    }
    cut -= pads[i] + pads[spatial + i];
    if (cut > 0 || -cut >= std::max(strides[i], dilations[i]))
      return w.Unsupported("this output size of a transposed convolution");
    extra.push_back(-cut);
  }
  std::vector<Attribute> attributes = {
      IntsAttribute("pads", pads), IntsAttribute("strides", strides), IntsAttribute("dilations", dilations),
      IntAttribute("group", w.attrs().Int("groups")), IntsAttribute("output_padding", extra)};
  const std::string x = last ? w.x.ChannelsFirst(w.env, w.value(0)) : w.in(0), kernel = Kernel(w, 1);
  Write(w, last, "ConvTranspose", {x, kernel}, std::move(attributes));
  return {};
}

Status Pool(OpWriter& w) {
  const Ints& window = w.attrs().Ints("window");
  const Ints& strides = w.attrs().Ints("strides");
  const Ints dilations = OrOnes(w.attrs().Ints("dilations"), window.size());
  std::vector<Attribute> attributes = WindowAttributes(w, window.size(), strides.empty() ? window : strides);
  attributes.push_back(IntsAttribute("kernel_shape", window));
  attributes.push_back(IntAttribute("ceil_mode", w.attrs().Bool("ceil_mode") ? 1 : 0));
  const bool dilated = std::any_of(dilations.begin(), dilations.end(), [](std::int64_t d) { return d != 1; });
  if (w.row.theirs == "AveragePool") {
    attributes.push_back(IntAttribute("count_include_pad", w.attrs().Bool("count_include_pad") ? 1 : 0));
    if (dilated && w.opset() < 19) return w.Unsupported("a dilated average pooling");
  }
  if (dilated) attributes.push_back(IntsAttribute("dilations", dilations));
  const bool last = ChannelsLast(w.attrs().String("layout"));
  const std::string x = last ? w.x.ChannelsFirst(w.env, w.value(0)) : w.in(0);
  Write(w, last, std::string(w.row.theirs), {x}, std::move(attributes));
  return {};
}

// The elements of v at MaxPool's indices.
Status MaxPoolGather(OpWriter& w) {
  if (ChannelsLast(w.attrs().String("layout"))) return w.Unsupported("channels last");
  const Ints& window = w.attrs().Ints("window");
  const Ints& strides = w.attrs().Ints("strides");
  std::vector<Attribute> attributes = WindowAttributes(w, window.size(), strides.empty() ? window : strides);
  attributes.push_back(IntsAttribute("kernel_shape", window));
  attributes.push_back(IntAttribute("ceil_mode", w.attrs().Bool("ceil_mode") ? 1 : 0));
  attributes.push_back(IntsAttribute("dilations", OrOnes(w.attrs().Ints("dilations"), window.size())));
  const Names pooled = w.x.EmitAll("MaxPool", {w.in(1)}, std::move(attributes), {"", ""});
  w.Finish("Gather", {w.Emit("Reshape", {w.in(0), w.Ints1({-1})}), pooled[1]});
  return {};
}

Status GlobalAveragePool(OpWriter& w) {
  const bool last = ChannelsLast(w.attrs().String("layout")), keep = w.attrs().Bool("keep_dims");
  if (last && keep) return w.Lower();
  const std::string x = last ? w.x.ChannelsFirst(w.env, w.value(0)) : w.in(0);
  if (keep) {
    Write(w, false, "GlobalAveragePool", {x}, {});
  } else if (IsWidened(w)) {
    const std::string mean = EmitWidened(w, "GlobalAveragePool", {x}, {});
    w.Finish("Cast", {w.Emit("Flatten", {mean}, {IntAttribute("axis", 1)})}, {IntAttribute("to", kBfloat16)});
  } else {
    w.Finish("Flatten", {w.Emit("GlobalAveragePool", {x})}, {IntAttribute("axis", 1)});
  }
  return {};
}

// The channel vector, or one that does nothing.
std::string Channel(OpWriter& w, int i, double otherwise, const Dim& channels) {
  if (w.has(i)) return w.in(i);
  const Ints dims = {channels.value()};
  const Literal filled =
      ir::FromDoubles(w.dtype(0), dims, std::vector<double>(static_cast<std::size_t>(channels.value()), otherwise));
  return w.x.Constant(filled);
}

Status BatchNorm(OpWriter& w) {
  if (!w.ranked(0)) return w.Lower();
  const int rank = w.shape(0).rank();
  std::int64_t axis = w.attrs().Int("axis");
  if (axis < 0) axis += rank;
  const Dim channels = w.shape(0)[static_cast<int>(axis)];
  const bool last = axis == rank - 1 && rank >= 3 && rank <= 5;
  if ((axis != 1 && !last) || rank < 2 || (channels.is_symbolic() && (!w.has(3) || !w.has(4)))) return w.Lower();
  const Names rest = {Channel(w, 3, 1, channels), Channel(w, 4, 0, channels), w.in(1), w.in(2)};
  Names inputs = {last && axis != 1 ? w.x.ChannelsFirst(w.env, w.value(0)) : w.in(0)};
  inputs.insert(inputs.end(), rest.begin(), rest.end());
  std::vector<Attribute> attributes = {FloatAttribute("epsilon", w.attrs().Float("epsilon"))};
  if (last && axis != 1) {
    w.x.SetChannelsFirst(w.env, {w.id, 0}, w.Emit("BatchNormalization", std::move(inputs), std::move(attributes)),
                         w.out());
  } else {
    w.Finish("BatchNormalization", std::move(inputs), std::move(attributes));
  }
  return {};
}

// The statistics of this batch are what a momentum of 0 leaves of the running ones.
Status BatchNormTraining(OpWriter& w) {
  if (!w.ranked(0) || w.opset() < 14) return w.Lower();
  const int rank = w.shape(0).rank();
  const std::int64_t axis = w.attrs().Int("axis");
  const Dim channels = rank < 2 ? Dim::any() : w.shape(0)[1];
  if (rank < 2 || (axis < 0 ? axis + rank : axis) != 1 || channels.is_symbolic()) return w.Lower();
  const std::string zeros = w.x.Constant(
      ir::FromDoubles(w.dtype(0), {channels.value()}, std::vector<double>(static_cast<std::size_t>(channels.value()))));
  w.x.EmitAll("BatchNormalization", {w.in(0), Channel(w, 1, 1, channels), Channel(w, 2, 0, channels), zeros, zeros},
              {FloatAttribute("epsilon", w.attrs().Float("epsilon")), FloatAttribute("momentum", 0),
               IntAttribute("training_mode", 1)},
              {w.out(0), w.out(1), w.out(2)});
  return {};
}

// The scale of a norm over the axes from `axis` on, ones when the op has none; empty when their number is not known
// or above a million.
std::string ScaleFrom(OpWriter& w) {
  if (w.has(1)) return w.in(1);
  std::int64_t axis = w.attrs().Int("axis");
  if (axis < 0) axis += w.shape(0).rank();
  Ints dims;
  std::int64_t count = 1;
  for (auto i = static_cast<int>(axis); i < w.shape(0).rank(); ++i) {
    const Dim& dim = w.shape(0)[i];
    if (dim.is_symbolic() || dim.value() > 1000000) return {};
    dims.push_back(dim.value());
    count *= dims.back();
    if (count > 1000000) return {};
  }
  return w.x.Constant(
      ir::FromDoubles(w.dtype(0), std::move(dims), std::vector<double>(static_cast<std::size_t>(count), 1)));
}

// Statistics are of f32 unless this says f64.
void AddStashType(OpWriter& w, std::vector<Attribute>* attributes) {
  if (w.dtype(0) == DType::kF64) attributes->push_back(IntAttribute("stash_type", kDouble));
}

Status LayerNorm(OpWriter& w) {
  if (w.opset() < 17 || !w.ranked(0)) return w.Lower();
  const std::string scale = ScaleFrom(w);
  if (scale.empty()) return w.Lower();
  std::vector<Attribute> attributes = {IntAttribute("axis", w.attrs().Int("axis")),
                                       FloatAttribute("epsilon", w.attrs().Float("epsilon"))};
  AddStashType(w, &attributes);
  w.Finish("LayerNormalization", {w.in(0), scale, w.in(2)}, std::move(attributes));
  return {};
}

// Instance norms are an operator of their own; that of groups has a scale for each channel since opset 21.
Status GroupNorm(OpWriter& w) {
  if (!w.ranked(0) || w.shape(0).rank() < 3) return w.Lower();
  const int rank = w.shape(0).rank();
  std::int64_t axis = w.attrs().Int("axis");
  if (axis < 0) axis += rank;
  const Dim channels = w.shape(0)[static_cast<int>(axis)];
  const std::int64_t groups = w.attrs().Int("groups");
  const bool instance = groups < 0 || channels == Dim(groups), last = axis == rank - 1 && rank <= 5;
  if ((axis != 1 && !last) || (channels.is_symbolic() && (!w.has(1) || !w.has(2)))) return w.Lower();
  if (!instance && w.opset() < 21) return w.Lower();
  if (instance && w.opset() < 22 && w.dtype(0) == DType::kBF16) return w.Lower();
  const bool turned = axis != 1;
  Names inputs = {turned ? w.x.ChannelsFirst(w.env, w.value(0)) : w.in(0), Channel(w, 1, 1, channels),
                  Channel(w, 2, 0, channels)};
  std::vector<Attribute> attributes = {FloatAttribute("epsilon", w.attrs().Float("epsilon"))};
  if (!instance) {
    attributes.push_back(IntAttribute("num_groups", groups));
    AddStashType(w, &attributes);
  }
  const char* op = instance ? "InstanceNormalization" : "GroupNormalization";
  if (!turned) {
    w.Finish(op, std::move(inputs), std::move(attributes));
  } else {
    w.x.SetChannelsFirst(w.env, {w.id, 0}, w.Emit(op, std::move(inputs), std::move(attributes)), w.out());
  }
  return {};
}

Status RmsNorm(OpWriter& w) {
  if (w.opset() < 23 || !w.ranked(0)) return w.Lower();
  const std::string scale = ScaleFrom(w);
  if (scale.empty()) return w.Lower();
  std::vector<Attribute> attributes = {IntAttribute("axis", w.attrs().Int("axis")),
                                       FloatAttribute("epsilon", w.attrs().Float("epsilon"))};
  AddStashType(w, &attributes);
  w.Finish("RMSNormalization", {w.in(0), scale}, std::move(attributes));
  return {};
}

Status Softmax(OpWriter& w) {
  w.Finish(std::string(w.row.theirs), {w.in(0)}, {IntAttribute("axis", w.attrs().Int("axis"))});
  return {};
}

const ExportRow kRows[] = {
    {"conv", 13, Conv},
    {"conv_input_grad", 13, ConvInputGrad},
    {"max_pool", 13, Pool, "MaxPool"},
    {"max_pool_gather", 13, MaxPoolGather},
    {"avg_pool", 13, Pool, "AveragePool"},
    {"global_average_pool", 13, GlobalAveragePool},
    {"batch_norm", 13, BatchNorm},
    {"batch_norm_training", 13, BatchNormTraining},
    {"layer_norm", 13, LayerNorm},
    {"group_norm", 13, GroupNorm},
    {"rms_norm", 13, RmsNorm},
    {"softmax", 13, Softmax, "Softmax"},
    {"log_softmax", 13, Softmax, "LogSoftmax"},
};

}  // namespace
const std::span<const ExportRow> kExportNeural = kRows;
}  // namespace tenon::onnx
