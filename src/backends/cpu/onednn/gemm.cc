// gemm by dnnl_sgemm, by a matmul primitive, or by our own thin kernels.
//
// Which one (measured, one core): sgemm has the lowest call cost and is as fast as the primitive from a few rows on;
// the primitive wins for fewer than 16 columns, and with weights that can be packed once; one row or one column is
// bound by reading the matrix, which a plain loop does best; below about 2000 multiply-adds calls cost more than the
// work.
#include <cstring>

#include "backends/cpu/kernels/dense_kernels.h"
#include "backends/cpu/onednn/kernels.h"
#include "backends/cpu/onednn/primitive.h"
#include "base/status_macros.h"
#include "compiler/internal_ops.h"

namespace tenon::cpu {
namespace {

struct Shape3 {
  std::int64_t batch = 1, m = 1, k = 1, n = 1;
  bool tx = false, ty = false;
  std::int64_t macs() const { return m * k * n; }
  std::string Text() const {
    return (batch > 1 ? std::to_string(batch) + "x(" : "") + std::to_string(m) + "x" + std::to_string(k) + "x" +
           std::to_string(n) + (tx ? " tx" : "") + (ty ? " ty" : "") + (batch > 1 ? ")" : "");
  }
};

constexpr std::int64_t kSmallMacs = 2048;  // up to here a call costs more than the work

enum class Method { kSmall, kRow, kColumn, kSgemm };

class GemmStep : public runtime::Step {
 public:
  struct Buffers {
    BufferId x = -1, y = -1, c = -1, bias = -1, factor = -1, z = -1;
  };
  GemmStep(Shape3 s, Buffers b, double alpha, float beta, bool relu, bool is_double, Method method)
      : s_(s), b_(b), alpha_(alpha), beta_(beta), relu_(relu), double_(is_double), method_(method) {
    for (const BufferId id : {b.x, b.y, b.c, b.bias, b.factor})
      if (id >= 0) reads.push_back(id);
    writes = {b.z};
    if (b.c >= 0 && b.c != b.x && b.c != b.y) may_overlay.emplace_back(b.c, b.z);
  }
  std::string Describe() const override {
    const char* name[] = {"small", "row", "column", "sgemm"};
    return "gemm " + s_.Text() + " " + name[static_cast<int>(method_)] + (b_.c >= 0 ? " +c" : "") +
           (b_.bias >= 0 ? " +bias" : "") + (relu_ ? " relu" : "");
  }

  Status Run(const runtime::StepContext& ctx) const override {
    if (double_) return RunDouble(ctx);
    const float* x = ctx.get<float>(b_.x);
    const float* y = ctx.get<float>(b_.y);
    float* z = ctx.get<float>(b_.z);
    const std::int64_t size = s_.m * s_.n;
    const float alpha = static_cast<float>(alpha_) * (b_.factor >= 0 ? *ctx.get<float>(b_.factor) : 1);
    float beta = 0;
    if (b_.c >= 0) {
      const float* c = ctx.get<float>(b_.c);
      if (c != z) std::memcpy(z, c, static_cast<std::size_t>(s_.batch * size) * sizeof(float));
      beta = beta_;
    }
    if (s_.k == 0) return NoTerms(ctx, z, beta);
    const DenseKernels& k = GetDenseKernels();
    const std::int64_t ldx = s_.tx ? s_.m : s_.k, ldy = s_.ty ? s_.k : s_.n;
    for (std::int64_t i = 0; i < s_.batch; ++i, x += s_.m * s_.k, y += s_.k * s_.n, z += size) {
      switch (method_) {
        case Method::kSmall:
          k.small(z, x, s_.tx ? 1 : ldx, s_.tx ? ldx : 1, y, s_.ty ? 1 : ldy, s_.ty ? ldy : 1, s_.m, s_.k, s_.n, alpha);
          break;
        case Method::kRow:  // m == 1
          if (s_.ty)
            k.gemv_dots(z, 1, x, y, ldy, s_.k, s_.n, alpha);
          else
            k.gemv_rows(z, x, 1, y, ldy, s_.k, s_.n, alpha);
          break;
        case Method::kColumn:  // n == 1
          if (s_.tx)
            k.gemv_rows(z, y, 1, x, ldx, s_.k, s_.m, alpha);
          else
            k.gemv_dots(z, 1, y, x, ldx, s_.k, s_.m, alpha);
          break;
        case Method::kSgemm:
          if (onednn::Sgemm(s_.tx, s_.ty, s_.m, s_.n, s_.k, alpha, x, ldx, y, ldy, beta, z, s_.n) != 0)
            return Status(Code::kInternal, "gemm: dnnl_sgemm failed for " + s_.Text());
          break;
      }
    }
    if (b_.bias >= 0 || relu_)
      k.bias_relu(ctx.get<float>(b_.z), b_.bias >= 0 ? ctx.get<float>(b_.bias) : nullptr, s_.batch * s_.m, s_.n, relu_);
    return {};
  }

 private:
  Status NoTerms(const runtime::StepContext& ctx, float* z, float beta) const {
    const std::int64_t n = s_.batch * s_.m * s_.n;
    for (std::int64_t i = 0; i < n; ++i) z[i] = beta == 0 ? 0 : z[i] * beta;
    if (b_.bias >= 0 || relu_)
      GetDenseKernels().bias_relu(z, b_.bias >= 0 ? ctx.get<float>(b_.bias) : nullptr, s_.batch * s_.m, s_.n, relu_);
    return {};
  }
  Status RunDouble(const runtime::StepContext& ctx) const {
    const double* x = ctx.get<double>(b_.x);
    const double* y = ctx.get<double>(b_.y);
    double* z = ctx.get<double>(b_.z);
    const std::int64_t ldx = s_.tx ? s_.m : s_.k, ldy = s_.ty ? s_.k : s_.n;
    for (std::int64_t i = 0; i < s_.batch; ++i)
      GetDenseKernels().small_f64(z + i * s_.m * s_.n, x + i * s_.m * s_.k, s_.tx ? 1 : ldx, s_.tx ? ldx : 1,
                                  y + i * s_.k * s_.n, s_.ty ? 1 : ldy, s_.ty ? ldy : 1, s_.m, s_.k, s_.n, alpha_);
    return {};
  }

  Shape3 s_;
  Buffers b_;
  double alpha_;
  float beta_;
  bool relu_, double_;
  Method method_;
};

Value InputAt(const ir::Node& n, std::size_t i) { return i < n.inputs.size() ? n.inputs[i] : Value(); }

Shape3 ShapeOf(PlanBuilder& b, const ir::Node& n) {
  Shape3 s;
  s.tx = n.attrs.Bool("transpose_x"), s.ty = n.attrs.Bool("transpose_y");
  const std::vector<std::int64_t> x = b.dims(n.inputs[0]), y = b.dims(n.inputs[1]);
  const std::size_t r = x.size();
  for (std::size_t i = 0; i + 2 < r; ++i) s.batch *= x[i];
  s.m = s.tx ? x[r - 1] : x[r - 2];
  s.k = s.tx ? x[r - 2] : x[r - 1];
  s.n = s.ty ? y[r - 2] : y[r - 1];
  return s;
}

}  // namespace

// The primitive, where it wins: few columns, or weights known now (packed once), without c and factor.
Result<std::string> EmitMatmulPrimitive(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Shape3 s = ShapeOf(b, n);
  const Value bias = InputAt(n, 3);
  if (b.dtype(n.inputs[0]) != DType::kF32) return std::string("not f32");
  if (InputAt(n, 2).valid() || InputAt(n, 4).valid() || n.attrs.Float("alpha") != 1)
    return std::string("c, factor or alpha given");
  const bool constant = b.ConstantOf(n.inputs[1]) != nullptr && s.batch == 1 && b.MayPack();
  // The first sgemm of a process makes the library's kernels, which takes it 30 ms; what a server runs needs none.
  const std::int64_t least = constant ? kSmallMacs + 1 : 8192;
  if (s.batch * s.macs() == 0 || s.m < 2 || s.n < 2 || s.macs() < least) return std::string("too small or thin");
  if (!constant && s.n >= 16 && !(s.batch > 1 && s.macs() < 262144)) return std::string("sgemm is as fast");
  return onednn::Guard([&]() -> Result<std::string> {
    using onednn::Desc;
    const bool batched = s.batch > 1;
    const auto matrix = [&](std::int64_t rows, std::int64_t cols, bool transposed) {
      std::vector<std::int64_t> dims = {rows, cols}, strides = transposed ? std::vector<std::int64_t>{1, rows}
                                                                          : std::vector<std::int64_t>{cols, 1};
      if (batched) dims.insert(dims.begin(), s.batch), strides.insert(strides.begin(), rows * cols);
      return onednn::Strided(dims, strides);
    };
    const Desc xd = matrix(s.m, s.k, s.tx), yd = matrix(s.k, s.n, s.ty), zd = matrix(s.m, s.n, false);
    const Desc wd = constant ? onednn::Any({s.k, s.n}) : yd;
    dnnl::primitive_attr attr = onednn::Attributes();
    const bool relu = n.attrs.String("activation") == "relu";
    if (relu) {
      dnnl::post_ops ops;
      ops.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
      attr.set_post_ops(ops);
    }
    const Desc bd = onednn::Plain(batched ? std::vector<std::int64_t>{1, 1, s.n} : std::vector<std::int64_t>{1, s.n});
    const dnnl::matmul::desc desc = bias.valid() ? dnnl::matmul::desc(xd, wd, bd, zd) : dnnl::matmul::desc(xd, wd, zd);
    const dnnl::matmul::primitive_desc pd(desc, attr, onednn::Engine());
    if (!onednn::Acceptable(pd.impl_info_str())) return std::string("only a ref implementation");
    const BufferId weights = onednn::InLayout(b, n.inputs[1], yd, pd.weights_desc());
    std::vector<onednn::Arg> args = {{DNNL_ARG_SRC, xd, b.In(n.inputs[0]), false},
                                     {DNNL_ARG_WEIGHTS, pd.weights_desc(), weights, false}};
    if (bias.valid()) args.push_back({DNNL_ARG_BIAS, bd, b.In(bias), false});
    b.KeepApart({id, 0});
    args.push_back({DNNL_ARG_DST, zd, b.Out({id, 0}), true});
    args.push_back({DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc(), b.Scratch(pd.scratchpad_desc().get_size()), true});
    b.Add(onednn::MakePrimitiveStep(dnnl::matmul(pd), std::move(args),
                                    "gemm " + s.Text() + " " + pd.impl_info_str() + (constant ? " packed" : "") +
                                        (bias.valid() ? " +bias" : "") + (relu ? " relu" : "")));
    return std::string();
  });
}

Result<std::string> EmitGemm(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const DType dtype = b.dtype(n.inputs[0]);
  const bool is_double = dtype == DType::kF64;
  if (dtype != DType::kF32 && !is_double) return std::string("neither f32 nor f64");
  const std::string& activation = n.attrs.String("activation");
  const Value c = InputAt(n, 2), bias = InputAt(n, 3), factor = InputAt(n, 4);
  if (!activation.empty() && activation != "relu") return std::string("an activation beside relu");
  if (is_double && (c.valid() || bias.valid() || factor.valid() || !activation.empty()))
    return std::string("f64 with c, bias, factor or activation");
  const Shape3 s = ShapeOf(b, n);
  Method method = Method::kSgemm;
  if (!c.valid()) {
    if (s.macs() <= kSmallMacs) method = Method::kSmall;
    if (s.m == 1 && s.macs() > 256) method = Method::kRow;
    if (s.n == 1 && s.m > 1 && s.macs() > 256) method = Method::kColumn;
  }
  GemmStep::Buffers buffers;
  // The library's vector loads take a matrix of weights wherever it starts.
  const auto matrix = [&](Value v) { return method == Method::kSgemm ? b.InBytes(v) : b.In(v); };
  buffers.x = matrix(n.inputs[0]), buffers.y = matrix(n.inputs[1]);
  if (c.valid()) buffers.c = b.In(c);
  if (bias.valid()) buffers.bias = b.In(bias);
  if (factor.valid()) buffers.factor = b.In(factor);
  const Value out{id, 0};
  for (const Value v : n.inputs)
    if (v.valid() && v != c && b.OverlaysInput(out, v)) b.KeepApart(out);
  buffers.z = b.Out(out);
  b.Add(std::make_unique<GemmStep>(s, buffers, n.attrs.Float("alpha"), static_cast<float>(n.attrs.Float("beta")),
                                   activation == "relu", is_double, method));
  return std::string();
}

}  // namespace tenon::cpu
