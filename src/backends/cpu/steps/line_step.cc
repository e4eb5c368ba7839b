// Steps along one axis: argmax, argmin, top_k, cumsum, cumprod, one_hot; and iota. The data is outer x count x inner.
#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <string_view>

#include "backends/cpu/steps/steps.h"
#include "ir/numeric.h"

namespace tenon::cpu {
namespace {

using Dims = std::vector<std::int64_t>;

struct Around {
  std::int64_t outer = 1, count = 1, inner = 1;
};
Around SplitAt(const Dims& dims, std::int64_t axis) {
  Around a;
  const auto at = static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(dims.size()) : axis);
  for (std::size_t i = 0; i < dims.size(); ++i) (i < at ? a.outer : i == at ? a.count : a.inner) *= dims[i];
  return a;
}

// Calls f with a zero of the element type; false for dtypes without plain arithmetic.
template <class F>
bool Visit(DType t, F f) {
  switch (t) {
    case DType::kF32:
      f(float{});
      return true;
    case DType::kF64:
      f(double{});
      return true;
    case DType::kI8:
      f(std::int8_t{});
      return true;
    case DType::kU8:
      f(std::uint8_t{});
      return true;
    case DType::kI16:
      f(std::int16_t{});
      return true;
    case DType::kU16:
      f(std::uint16_t{});
      return true;
    case DType::kI32:
      f(std::int32_t{});
      return true;
    case DType::kU32:
      f(std::uint32_t{});
      return true;
    case DType::kI64:
      f(std::int64_t{});
      return true;
    case DType::kU64:
      f(std::uint64_t{});
      return true;
    default:
      return false;
  }
}
template <class T>
bool IsNan(T x) {
  return x != x;  // NOLINT(misc-redundant-expression): true of NaN alone, and T may be an integer
}

// A step made of a function on addresses.
class LineStep : public runtime::Step {
 public:
  using Run2 = std::function<void(const runtime::StepContext&)>;
  LineStep(std::vector<BufferId> in, std::vector<BufferId> out, std::string text, Run2 run)
      : text_(std::move(text)), run_(std::move(run)) {
    reads = std::move(in);
    writes = std::move(out);
  }
  Status Run(const runtime::StepContext& ctx) const override {
    run_(ctx);
    return {};
  }
  std::string Describe() const override { return text_; }

 private:
  std::string text_;
  Run2 run_;
};

// The extreme first, then its place: neither loop has a branch that depends on the order of the data.
template <class T>
void ArgLine(const T* x, std::int64_t stride, std::int64_t count, bool largest, bool last, std::int64_t* out) {
  T top = x[0];
  bool nan = IsNan(x[0]);
  if (largest) {
    for (std::int64_t n = 1; n < count; ++n) {
      const T v = x[n * stride];
      nan |= IsNan(v);
      top = v > top ? v : top;
    }
  } else {
    for (std::int64_t n = 1; n < count; ++n) {
      const T v = x[n * stride];
      nan |= IsNan(v);
      top = v < top ? v : top;
    }
  }
  const auto wanted = [&](std::int64_t n) { return nan ? IsNan(x[n * stride]) : x[n * stride] == top; };
  std::int64_t best = last ? count - 1 : 0;
  while (!wanted(best)) best += last ? -1 : 1;
  *out = best;
}

template <class T>
void TopK(const T* x, const Around& a, std::int64_t k, bool largest, T* values, std::int64_t* indices) {
  Dims order(static_cast<std::size_t>(a.count));
  for (std::int64_t o = 0; o < a.outer; ++o)
    for (std::int64_t i = 0; i < a.inner; ++i) {
      const auto at = [&](std::int64_t n) { return x[(o * a.count + n) * a.inner + i]; };
      std::iota(order.begin(), order.end(), 0);
      // Equal elements stand in the order of their positions.
      std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](std::int64_t p, std::int64_t q) {
        const T l = largest ? at(q) : at(p), r = largest ? at(p) : at(q);
        if (IsNan(r) ? !IsNan(l) : l < r) return true;
        if (IsNan(l) ? !IsNan(r) : r < l) return false;
        return p < q;
      });
      for (std::int64_t n = 0; n < k; ++n) {
        values[(o * k + n) * a.inner + i] = at(order[static_cast<std::size_t>(n)]);
        indices[(o * k + n) * a.inner + i] = order[static_cast<std::size_t>(n)];
      }
    }
}

// Sums go on in double for f32: the reference rounds once.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double,
                                std::conditional_t<std::is_floating_point_v<T>, T, std::uint64_t>>;
template <class T>
void Cumulate(const T* x, T* out, const Around& a, bool product, bool exclusive, bool reverse) {
  for (std::int64_t o = 0; o < a.outer; ++o)
    for (std::int64_t i = 0; i < a.inner; ++i) {
      Wide<T> total = product ? 1 : 0;
      for (std::int64_t step = 0; step < a.count; ++step) {
        const std::int64_t at = (o * a.count + (reverse ? a.count - 1 - step : step)) * a.inner + i;
        const Wide<T> v = static_cast<Wide<T>>(x[at]), next = product ? total * v : total + v;
        out[at] = static_cast<T>(exclusive ? total : next);
        total = next;
      }
    }
}

}  // namespace

Result<std::string> EmitLine(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const std::string_view op = n.op->name;
  const Value x = n.inputs[0], out{id, 0};
  const DType dtype = b.dtype(x);
  if (!Visit(dtype, [](auto) {})) return std::string("dtype " + std::string(dtype_name(dtype)));
  if (b.elements(x) == 0 || b.elements(out) == 0) return std::string("nothing to do");
  const Around a = SplitAt(b.dims(x), n.attrs.Int("axis"));
  const std::string text = std::string(op) + " " + b.graph().type(x).to_string();
  const BufferId in = b.In(x);
  for (std::int32_t k = 0; k < static_cast<std::int32_t>(n.outputs.size()); ++k) b.KeepApart({id, k});
  const BufferId to = b.Out(out);
  if (op == "argmax" || op == "argmin") {
    const bool largest = op == "argmax", last = n.attrs.Bool("select_last"), wide = b.dtype(out) == DType::kI64;
    b.Add(std::make_unique<LineStep>(std::vector{in}, std::vector{to}, text, [=](const runtime::StepContext& ctx) {
      Visit(dtype, [&](auto zero) {
        using T = decltype(zero);
        const T* data = ctx.get<T>(in);
        for (std::int64_t o = 0; o < a.outer; ++o)
          for (std::int64_t i = 0; i < a.inner; ++i) {
            std::int64_t best = 0;
            ArgLine(data + o * a.count * a.inner + i, a.inner, a.count, largest, last, &best);
            if (wide)
              ctx.get<std::int64_t>(to)[o * a.inner + i] = best;
            else
              ctx.get<std::int32_t>(to)[o * a.inner + i] = static_cast<std::int32_t>(best);
          }
      });
    }));
  } else if (op == "top_k") {
    const bool largest = n.attrs.Bool("largest");
    const std::int64_t k = n.attrs.Int("k") < 0 ? a.count : n.attrs.Int("k");
    const BufferId indices = b.Out({id, 1});
    b.Add(std::make_unique<LineStep>(
        std::vector{in}, std::vector{to, indices}, text, [=](const runtime::StepContext& ctx) {
          Visit(dtype, [&](auto zero) {
            using T = decltype(zero);
            TopK(ctx.get<T>(in), a, k, largest, ctx.get<T>(to), ctx.get<std::int64_t>(indices));
          });
        }));
  } else {  // cumsum, cumprod
    const bool product = op == "cumprod", exclusive = n.attrs.Bool("exclusive"), reverse = n.attrs.Bool("reverse");
    b.Add(std::make_unique<LineStep>(std::vector{in}, std::vector{to}, text, [=](const runtime::StepContext& ctx) {
      Visit(dtype, [&](auto zero) {
        using T = decltype(zero);
        Cumulate(ctx.get<T>(in), ctx.get<T>(to), a, product, exclusive, reverse);
      });
    }));
  }
  return std::string();
}

Result<std::string> EmitOneHot(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value x = n.inputs[0], out{id, 0};
  const DType index = b.dtype(x), dtype = b.dtype(out);
  if (!Visit(index, [](auto) {}) || (!Visit(dtype, [](auto) {}) && dtype != DType::kBool))
    return std::string("these dtypes");
  const Around a = SplitAt(b.dims(out), n.attrs.Int("axis"));
  const Literal on = ir::ScalarLiteral(n.attrs.Float("on_value"), dtype),
                off = ir::ScalarLiteral(n.attrs.Float("off_value"), dtype);
  const BufferId in = b.In(x);
  b.KeepApart(out);
  const BufferId to = b.Out(out);
  b.Add(std::make_unique<LineStep>(std::vector{in}, std::vector{to}, "one_hot " + b.graph().type(out).to_string(),
                                   [=](const runtime::StepContext& ctx) {
                                     Visit(dtype == DType::kBool ? DType::kU8 : dtype, [&](auto zero) {
                                       using T = decltype(zero);
                                       T* y = ctx.get<T>(to);
                                       T high, low;
                                       std::memcpy(&high, on.raw().data(), sizeof high);
                                       std::memcpy(&low, off.raw().data(), sizeof low);
                                       std::fill(y, y + a.outer * a.count * a.inner, low);
                                       Visit(index, [&](auto first) {
                                         using I = decltype(first);
                                         const I* at = ctx.get<I>(in);
                                         for (std::int64_t o = 0; o < a.outer; ++o)
                                           for (std::int64_t i = 0; i < a.inner; ++i) {
                                             const I given = at[o * a.inner + i];
                                             if constexpr (std::is_signed_v<I>) {
                                               if (given < 0) continue;
                                             }
                                             if (static_cast<std::uint64_t>(given) >=
                                                 static_cast<std::uint64_t>(a.count))
                                               continue;
                                             y[(o * a.count + static_cast<std::int64_t>(given)) * a.inner + i] = high;
                                           }
                                       });
                                     });
                                   }));
  return std::string();
}

Result<std::string> EmitIota(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value out{id, 0};
  const DType dtype = b.dtype(out);
  if (!Visit(dtype, [](auto) {})) return std::string("dtype " + std::string(dtype_name(dtype)));
  const Dims dims = b.dims(out);
  if (dims.empty() || b.elements(out) == 0) return std::string("nothing to count");
  const Around a = SplitAt(dims, n.attrs.Int("axis"));
  b.KeepApart(out);
  const BufferId to = b.Out(out);
  b.Add(std::make_unique<LineStep>(std::vector<BufferId>{}, std::vector{to}, "iota " + b.graph().type(out).to_string(),
                                   [=](const runtime::StepContext& ctx) {
                                     Visit(dtype, [&](auto zero) {
                                       using T = decltype(zero);
                                       T* y = ctx.get<T>(to);
                                       for (std::int64_t o = 0; o < a.outer; ++o)
                                         for (std::int64_t k = 0; k < a.count; ++k)
                                           for (std::int64_t i = 0; i < a.inner; ++i) *y++ = static_cast<T>(k);
                                     });
                                   }));
  return std::string();
}

}  // namespace tenon::cpu
