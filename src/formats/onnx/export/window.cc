// Convolutions and poolings. ONNX has channels first only; channels-last ops are written between
// transposes, and what stays inside of a chain of them never goes back (Exporter::WriteChannelsFirst).
#include <algorithm>

#include "formats/onnx/data_type.h"
#include "formats/onnx/export/families.h"
#include "formats/onnx/export/integer_conv.h"

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

Status Conv(OpWriter& w) {
  const std::size_t spatial = Spatial(w);
  std::vector<Attribute> attributes = WindowAttributes(w, spatial, OrOnes(w.attrs().Ints("strides"), spatial));
  attributes.push_back(IntsAttribute("dilations", OrOnes(w.attrs().Ints("dilations"), spatial)));
  attributes.push_back(IntAttribute("group", w.attrs().Int("groups")));
  const bool last = ChannelsLast(w.attrs().String("layout"));
  if (!last && w.dtype(0) == DType::kI32 && w.attrs().String("kernel_layout").starts_with("OI"))
    return WriteIntegerConv(w, std::move(attributes));
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
const ExportRow kRows[] = {
    {"conv", 13, Conv},
    {"conv_input_grad", 13, ConvInputGrad},
    {"max_pool", 13, Pool, "MaxPool"},
    {"max_pool_gather", 13, MaxPoolGather},
    {"avg_pool", 13, Pool, "AveragePool"},
    {"global_average_pool", 13, GlobalAveragePool},
};

}  // namespace
const std::span<const ExportRow> kExportWindow = kRows;
}  // namespace tenon::onnx
