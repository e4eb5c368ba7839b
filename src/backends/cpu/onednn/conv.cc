// Convolution and its gradients by oneDNN, f32.
//
// Data stays channels-last: the library's AVX-512 kernels take nhwc in all three directions at the speed of its blocked
// layouts, so activations need no reorder; only kernels are brought into its own order (once, when they are constants).
// Channels-first data is reordered around the primitive.
#include "backends/cpu/onednn/kernels.h"
#include "backends/cpu/onednn/primitive.h"
#include "backends/cpu/steps/window.h"

namespace tenon::cpu {
namespace {

using onednn::Desc;
using Dims = std::vector<std::int64_t>;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;

// Data and kernel of one convolution in oneDNN's terms: dims in the order N C spatial, G O I spatial.
struct Problem {
  Dims src, weights, dst;                    // logical dims
  Desc src_given, weights_given, dst_given;  // as the graph holds them
  Desc src_want, dst_want;                   // channels-last, for the primitive
  Dims strides, dilations, low, high;
  std::string text;
};

// The logical dims of data, its layout as given, and the channels-last one.
void Data(const Dims& dims, const Layout& layout, Dims* logical, Desc* given, Desc* last) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<std::int64_t>(dims[i], 1);
  std::vector<int> order = {layout.batch, layout.channel};
  order.insert(order.end(), layout.spatial.begin(), layout.spatial.end());
  Dims given_strides;
  for (const int a : order)
    logical->push_back(dims[static_cast<std::size_t>(a)]),
        given_strides.push_back(strides[static_cast<std::size_t>(a)]);
  *given = onednn::Strided(*logical, given_strides);
  Dims last_strides(dims.size());
  std::int64_t step = (*logical)[1];
  last_strides[1] = 1;
  for (std::size_t i = dims.size(); i-- > 2;) last_strides[i] = step, step *= (*logical)[i];
  last_strides[0] = step;
  *last = onednn::Strided(*logical, last_strides);
}

std::string Text(const Dims& d) {
  std::string out;
  for (const std::int64_t v : d) out += (out.empty() ? "" : "x") + std::to_string(v);
  return out;
}

Problem MakeProblem(const ir::Attrs& attrs, const Dims& x, const Dims& kernel, const Dims& y) {
  Problem p;
  const Layout data = DataLayout(attrs.String("layout")), taps = KernelLayout(attrs.String("kernel_layout"));
  Data(x, data, &p.src, &p.src_given, &p.src_want);
  Data(y, data, &p.dst, &p.dst_given, &p.dst_want);
  const std::int64_t groups = attrs.Int("groups");
  Dims steps(kernel.size(), 1), window, strides;
  for (std::size_t i = kernel.size(); i-- > 1;) steps[i - 1] = steps[i] * kernel[i];
  const auto o = static_cast<std::size_t>(taps.batch), c = static_cast<std::size_t>(taps.channel);
  if (groups > 1) p.weights.push_back(groups), strides.push_back(kernel[o] / groups * steps[o]);
  p.weights.push_back(kernel[o] / groups), strides.push_back(steps[o]);
  p.weights.push_back(kernel[c]), strides.push_back(steps[c]);
  for (const int a : taps.spatial) {
    p.weights.push_back(kernel[static_cast<std::size_t>(a)]), strides.push_back(steps[static_cast<std::size_t>(a)]);
    window.push_back(kernel[static_cast<std::size_t>(a)]);
  }
  p.weights_given = onednn::Strided(p.weights, strides);
  for (const WindowAxis& a : ResolveWindows(attrs, data, x, y, window, false)) {
    p.strides.push_back(a.stride), p.dilations.push_back(a.dilation - 1), p.low.push_back(a.low),
        p.high.push_back(a.high);
  }
  p.text = Text(x) + " * " + Text(kernel) + (groups > 1 ? " groups " + std::to_string(groups) : "");
  return p;
}

bool Empty(const Problem& p) {
  for (const Dims* d : {&p.src, &p.weights, &p.dst})
    for (const std::int64_t n : *d)
      if (n == 0) return true;
  return false;
}

dnnl::convolution_forward::primitive_desc Forward(const Problem& p, const Desc& bias, const dnnl::primitive_attr& attr,
                                                  bool training) {
  const auto kind = training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const Desc weights = onednn::Any(p.weights);
  const auto desc = bias.is_zero() ? dnnl::convolution_forward::desc(kind, kDirect, p.src_want, weights, p.dst_want,
                                                                     p.strides, p.dilations, p.low, p.high)
                                   : dnnl::convolution_forward::desc(kind, kDirect, p.src_want, weights, bias,
                                                                     p.dst_want, p.strides, p.dilations, p.low, p.high);
  return {desc, attr, onednn::Engine()};
}

// A result that the primitive writes in `made` and the graph wants in `given`.
struct Result2 {
  BufferId buffer;
  bool reorder;
};
Result2 Target(PlanBuilder& b, Value out, const Desc& made, const Desc& given) {
  b.KeepApart(out);
  if (made == given) return {b.Out(out), false};
  return {b.Scratch(made.get_size()), true};
}
void FinishTarget(PlanBuilder& b, Value out, const Result2& target, const Desc& made, const Desc& given) {
  if (target.reorder) b.Add(onednn::MakeReorderStep(made, target.buffer, given, b.Out(out)));
}
onednn::Arg Scratchpad(PlanBuilder& b, const Desc& desc) {
  return {DNNL_ARG_SCRATCHPAD, desc, b.Scratch(desc.get_size()), true};
}

}  // namespace

Result<std::string> EmitConv(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value x = n.inputs[0], kernel = n.inputs[1], out{id, 0};
  const Value bias = n.inputs.size() > 2 ? n.inputs[2] : Value();
  if (b.dtype(x) != DType::kF32) return std::string("not f32");
  const Problem p = MakeProblem(n.attrs, b.dims(x), b.dims(kernel), b.dims(out));
  if (Empty(p)) return std::string("nothing to compute");
  const std::string activation = n.attrs.Has("activation") ? n.attrs.String("activation") : std::string();
  return onednn::Guard([&]() -> Result<std::string> {
    dnnl::primitive_attr attr = onednn::Attributes();
    if (activation == "relu") {
      dnnl::post_ops ops;
      ops.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
      attr.set_post_ops(ops);
    }
    const Desc bd = bias.valid() ? onednn::Plain({p.dst[1]}) : Desc();
    const auto pd = Forward(p, bd, attr, false);
    if (!onednn::Acceptable(pd.impl_info_str())) return "only " + std::string(pd.impl_info_str());
    std::vector<onednn::Arg> args = {
        {DNNL_ARG_SRC, p.src_want, onednn::InLayout(b, x, p.src_given, p.src_want), false},
        {DNNL_ARG_WEIGHTS, pd.weights_desc(), onednn::InLayout(b, kernel, p.weights_given, pd.weights_desc()), false}};
    if (bias.valid()) args.push_back({DNNL_ARG_BIAS, bd, b.In(bias), false});
    const Result2 target = Target(b, out, p.dst_want, p.dst_given);
    args.push_back({DNNL_ARG_DST, p.dst_want, target.buffer, true});
    args.push_back(Scratchpad(b, pd.scratchpad_desc()));
    b.Add(onednn::MakePrimitiveStep(dnnl::convolution_forward(pd), std::move(args),
                                    "conv " + p.text + " " + pd.impl_info_str() + (bias.valid() ? " +bias" : "") +
                                        (activation.empty() ? "" : " " + activation)));
    FinishTarget(b, out, target, p.dst_want, p.dst_given);
    return std::string();
  });
}

Result<std::string> EmitConvInputGrad(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value dy = n.inputs[0], kernel = n.inputs[1], out{id, 0};
  if (b.dtype(dy) != DType::kF32) return std::string("not f32");
  const Problem p = MakeProblem(n.attrs, b.dims(out), b.dims(kernel), b.dims(dy));
  if (Empty(p)) return std::string("nothing to compute");
  return onednn::Guard([&]() -> Result<std::string> {
    const auto forward = Forward(p, Desc(), onednn::Attributes(), true);
    const dnnl::convolution_backward_data::desc desc(kDirect, p.src_want, onednn::Any(p.weights), p.dst_want, p.strides,
                                                     p.dilations, p.low, p.high);
    const dnnl::convolution_backward_data::primitive_desc pd(desc, onednn::Attributes(), onednn::Engine(), forward);
    if (!onednn::Acceptable(pd.impl_info_str())) return "only " + std::string(pd.impl_info_str());
    std::vector<onednn::Arg> args = {
        {DNNL_ARG_DIFF_DST, p.dst_want, onednn::InLayout(b, dy, p.dst_given, p.dst_want), false},
        {DNNL_ARG_WEIGHTS, pd.weights_desc(), onednn::InLayout(b, kernel, p.weights_given, pd.weights_desc()), false}};
    const Result2 target = Target(b, out, p.src_want, p.src_given);
    args.push_back({DNNL_ARG_DIFF_SRC, p.src_want, target.buffer, true});
    args.push_back(Scratchpad(b, pd.scratchpad_desc()));
    b.Add(onednn::MakePrimitiveStep(dnnl::convolution_backward_data(pd), std::move(args),
                                    "conv_input_grad " + p.text + " " + pd.impl_info_str()));
    FinishTarget(b, out, target, p.src_want, p.src_given);
    return std::string();
  });
}

Result<std::string> EmitConvKernelGrad(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value dy = n.inputs[0], x = n.inputs[1], out{id, 0};
  if (b.dtype(dy) != DType::kF32) return std::string("not f32");
  const Problem p = MakeProblem(n.attrs, b.dims(x), b.dims(out), b.dims(dy));
  if (Empty(p)) return std::string("nothing to compute");
  return onednn::Guard([&]() -> Result<std::string> {
    const auto forward = Forward(p, Desc(), onednn::Attributes(), true);
    const dnnl::convolution_backward_weights::desc desc(kDirect, p.src_want, onednn::Any(p.weights), p.dst_want,
                                                        p.strides, p.dilations, p.low, p.high);
    const dnnl::convolution_backward_weights::primitive_desc pd(desc, onednn::Attributes(), onednn::Engine(), forward);
    if (!onednn::Acceptable(pd.impl_info_str())) return "only " + std::string(pd.impl_info_str());
    std::vector<onednn::Arg> args = {
        {DNNL_ARG_DIFF_DST, p.dst_want, onednn::InLayout(b, dy, p.dst_given, p.dst_want), false},
        {DNNL_ARG_SRC, p.src_want, onednn::InLayout(b, x, p.src_given, p.src_want), false}};
    const Result2 target = Target(b, out, pd.diff_weights_desc(), p.weights_given);
    args.push_back({DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc(), target.buffer, true});
    args.push_back(Scratchpad(b, pd.scratchpad_desc()));
    b.Add(onednn::MakePrimitiveStep(dnnl::convolution_backward_weights(pd), std::move(args),
                                    "conv_kernel_grad " + p.text + " " + pd.impl_info_str()));
    FinishTarget(b, out, target, pd.diff_weights_desc(), p.weights_given);
    return std::string();
  });
}

}  // namespace tenon::cpu
