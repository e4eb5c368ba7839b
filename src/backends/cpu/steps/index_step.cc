// Steps that read or add at indices. Indices are i32 or i64, negative ones count from the end; one out of range is a
// run-time error that names it.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "backends/cpu/steps/steps.h"

namespace tenon::cpu {
namespace {

using Dims = std::vector<std::int64_t>;

std::int64_t Product(std::span<const std::int64_t> d) {
  std::int64_t n = 1;
  for (const std::int64_t v : d) n *= v;
  return n;
}
Dims RowMajor(const Dims& dims) {
  Dims s(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) s[i - 1] = s[i] * dims[i];
  return s;
}

// Rows of x: what stands behind one index is `inner` elements, and there are `count` tuples of `depth` indices for each
// of `outer` blocks. Tuple t of block o reads block_base(o) + sum(index_k * stride_k).
struct Plan2 {
  std::int64_t outer = 1, count = 1, depth = 1, inner = 1;
  std::int64_t x_block = 0;             // elements from block to block in x
  std::int64_t index_block_repeat = 1;  // consecutive blocks that share their indices
  Dims limits, strides;                 // by position in the tuple
};

template <class I>
Status Offsets(std::string_view op, const Plan2& p, const I* indices, std::int64_t* offsets) {
  for (std::int64_t t = 0; t < p.count; ++t) {
    std::int64_t at = 0;
    for (std::int64_t k = 0; k < p.depth; ++k) {
      const auto d = static_cast<std::size_t>(k);
      const std::int64_t given = static_cast<std::int64_t>(indices[t * p.depth + k]);
      const std::int64_t i = given < 0 ? given + p.limits[d] : given;
      if (i < 0 || i >= p.limits[d])
        return Status(Code::kInvalidArgument, std::string(op) + ": got index " + std::to_string(given) +
                                                  ", expected one in [" + std::to_string(-p.limits[d]) + ", " +
                                                  std::to_string(p.limits[d]) + ")");
      at += i * p.strides[d];
    }
    offsets[t] = at;
  }
  return {};
}

template <class T>
void AddRow(T* to, const T* from, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<T>(to[i] + from[i]);
}

class IndexStep : public runtime::Step {
 public:
  IndexStep(std::string_view op, Plan2 p, DType dtype, bool wide, bool scatter, BufferId x, BufferId indices,
            BufferId updates, BufferId out, BufferId offsets, std::int64_t x_elements, std::string text)
      : op_(op),
        p_(std::move(p)),
        dtype_(dtype),
        wide_(wide),
        scatter_(scatter),
        x_(x),
        indices_(indices),
        updates_(updates),
        out_(out),
        offsets_(offsets),
        x_elements_(x_elements),
        text_(std::move(text)) {
    reads = {x, indices};
    if (updates >= 0) reads.push_back(updates);
    writes = {out, offsets};
    if (scatter && x != updates) may_overlay.emplace_back(x, out);
  }
  std::string Describe() const override { return text_; }

  Status Run(const runtime::StepContext& ctx) const override {
    const std::size_t size = static_cast<std::size_t>(dtype_bits(dtype_) / 8);
    const auto* x = ctx.get<std::byte>(x_);
    auto* out = ctx.get<std::byte>(out_);
    auto* offsets = ctx.get<std::int64_t>(offsets_);
    if (scatter_ && x != out) std::memcpy(out, x, static_cast<std::size_t>(x_elements_) * size);
    const std::size_t row = static_cast<std::size_t>(p_.inner) * size;
    for (std::int64_t o = 0; o < p_.outer; ++o) {
      if (o % p_.index_block_repeat == 0) {
        const std::int64_t first = o / p_.index_block_repeat * p_.count * p_.depth;
        const Status status = wide_ ? Offsets(op_, p_, ctx.get<std::int64_t>(indices_) + first, offsets)
                                    : Offsets(op_, p_, ctx.get<std::int32_t>(indices_) + first, offsets);
        if (!status.ok()) return status;
      }
      const std::int64_t base = o * p_.x_block;
      if (!scatter_) {
        std::byte* to = out + static_cast<std::size_t>(o * p_.count) * row;
        const std::byte* from = x + static_cast<std::size_t>(base) * size;
        Pick(to, from, offsets, size, row);
        continue;
      }
      if (op_ == "scatter_nd") {  // in order: the last of equal places stays
        const std::byte* from = ctx.get<std::byte>(updates_) + static_cast<std::size_t>(o * p_.count) * row;
        std::byte* to = out + static_cast<std::size_t>(base) * size;
        for (std::int64_t t = 0; t < p_.count; ++t)
          std::memcpy(to + static_cast<std::size_t>(offsets[t]) * size, from + static_cast<std::size_t>(t) * row, row);
        continue;
      }
      switch (dtype_) {
        case DType::kF32:
          Scatter<float>(ctx, out, o, base, offsets);
          break;
        case DType::kF64:
          Scatter<double>(ctx, out, o, base, offsets);
          break;
        case DType::kI32:
        case DType::kU32:
          Scatter<std::uint32_t>(ctx, out, o, base, offsets);
          break;
        default:
          Scatter<std::uint64_t>(ctx, out, o, base, offsets);
          break;
      }
    }
    return {};
  }

 private:
  // Rows of one element are moved as such: a copy of unknown length costs more than the element.
  template <class T>
  void PickElements(std::byte* to, const std::byte* from, const std::int64_t* offsets) const {
    for (std::int64_t t = 0; t < p_.count; ++t)
      reinterpret_cast<T*>(to)[t] = reinterpret_cast<const T*>(from)[offsets[t]];
  }
  void Pick(std::byte* to, const std::byte* from, const std::int64_t* offsets, std::size_t size,
            std::size_t row) const {
    if (row == size && reinterpret_cast<std::uintptr_t>(from) % size == 0) {
      if (size == 4) return PickElements<std::uint32_t>(to, from, offsets);
      if (size == 8) return PickElements<std::uint64_t>(to, from, offsets);
    }
    for (std::int64_t t = 0; t < p_.count; ++t)
      std::memcpy(to + static_cast<std::size_t>(t) * row, from + static_cast<std::size_t>(offsets[t]) * size, row);
  }
  template <class T>
  void Scatter(const runtime::StepContext& ctx, std::byte* out, std::int64_t o, std::int64_t base,
               const std::int64_t* offsets) const {
    const T* from = ctx.get<T>(updates_) + o * p_.count * p_.inner;
    T* to = reinterpret_cast<T*>(out) + base;
    for (std::int64_t t = 0; t < p_.count; ++t) AddRow(to + offsets[t], from + t * p_.inner, p_.inner);
  }

  std::string_view op_;
  Plan2 p_;
  DType dtype_;
  bool wide_, scatter_;
  BufferId x_, indices_, updates_, out_, offsets_;
  std::int64_t x_elements_;
  std::string text_;
};

}  // namespace

Result<std::string> EmitIndex(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const std::string_view op = n.op->name;
  const bool scatter = op.starts_with("scatter");
  const Value x = n.inputs[0], indices = n.inputs[1], out{id, 0};
  const DType dtype = b.dtype(x);
  if (dtype == DType::kString || dtype_bits(dtype) % 8 != 0) return std::string("elements that are no whole bytes");
  if (op == "scatter_nd" && n.attrs.String("reduction") != "none") return std::string("a reduction");
  if (scatter && op != "scatter_nd" && dtype != DType::kF32 && dtype != DType::kF64 && dtype != DType::kI32 &&
      dtype != DType::kI64 && dtype != DType::kU32 && dtype != DType::kU64)
    return std::string("no addition for this dtype");
  const Dims xd = b.dims(x), id_dims = b.dims(indices), xs = RowMajor(xd);
  Plan2 p;
  if (op == "gather" || op == "scatter_add") {
    const auto rank = static_cast<std::int64_t>(xd.size());
    const std::int64_t batch = n.attrs.Int("batch_dims"), a = n.attrs.Int("axis");
    const auto axis = static_cast<std::size_t>(a < 0 ? a + rank : a);
    const auto batches =
        static_cast<std::size_t>(batch < 0 ? batch + static_cast<std::int64_t>(id_dims.size()) : batch);
    const std::span<const std::int64_t> d(xd), i(id_dims);
    const std::int64_t middle = Product(d.subspan(batches, axis - batches));
    p.outer = Product(d.first(batches)) * middle;
    p.index_block_repeat = std::max<std::int64_t>(middle, 1);
    p.count = Product(i.subspan(batches));
    p.inner = Product(d.subspan(axis + 1));
    p.limits = {xd[axis]}, p.strides = {p.inner};
    p.x_block = xd[axis] * p.inner;
  } else if (op == "gather_nd" || op == "scatter_nd_add" || op == "scatter_nd") {
    p.depth = id_dims.back();
    p.count = Product(std::span(id_dims).first(id_dims.size() - 1));
    p.inner = Product(std::span(xd).subspan(static_cast<std::size_t>(p.depth)));
    for (std::int64_t k = 0; k < p.depth; ++k)
      p.limits.push_back(xd[static_cast<std::size_t>(k)]), p.strides.push_back(xs[static_cast<std::size_t>(k)]);
  } else {
    return std::string("not an index operation");
  }
  if (b.elements(out) == 0 || (scatter && b.elements(indices) == 0)) return std::string("nothing to read or add");
  const BufferId xb = scatter ? b.In(x) : b.InBytes(x), ib = b.In(indices), ub = scatter ? b.In(n.inputs[2]) : -1;
  if (!scatter || b.OverlaysInput(out, indices) || b.OverlaysInput(out, n.inputs.back())) b.KeepApart(out);
  const BufferId ob = b.Out(out), scratch = b.Scratch(static_cast<std::size_t>(p.count) * sizeof(std::int64_t));
  std::string text =
      std::string(op) + " " + b.graph().type(x).to_string() + " at " + b.graph().type(indices).to_string();
  b.Add(std::make_unique<IndexStep>(op, std::move(p), dtype, b.dtype(indices) == DType::kI64, scatter, xb, ib, ub, ob,
                                    scratch, b.elements(x), std::move(text)));
  return std::string();
}

namespace {

// take_along_axis and its gradient: element by element.
class AlongStep : public runtime::Step {
 public:
  AlongStep(bool scatter, DType dtype, bool wide, Dims x, Dims indices, std::size_t axis, BufferId xb, BufferId ib,
            BufferId ub, BufferId ob, BufferId position, std::string text)
      : scatter_(scatter),
        dtype_(dtype),
        wide_(wide),
        x_dims_(std::move(x)),
        index_dims_(std::move(indices)),
        axis_(axis),
        x_(xb),
        indices_(ib),
        updates_(ub),
        out_(ob),
        position_(position),
        text_(std::move(text)) {
    reads = {xb, ib};
    if (ub >= 0) reads.push_back(ub);
    writes = {ob, position};
    if (scatter && xb != ub) may_overlay.emplace_back(xb, ob);
    strides_ = RowMajor(x_dims_);
  }
  std::string Describe() const override { return text_; }
  Status Run(const runtime::StepContext& ctx) const override {
    switch (dtype_bits(dtype_)) {
      case 8:
        return Typed<std::uint8_t>(ctx);
      case 16:
        return Typed<std::uint16_t>(ctx);
      case 32:
        return dtype_ == DType::kF32 ? Typed<float>(ctx) : Typed<std::uint32_t>(ctx);
      default:
        return dtype_ == DType::kF64 ? Typed<double>(ctx) : Typed<std::uint64_t>(ctx);
    }
  }

 private:
  template <class T>
  Status Typed(const runtime::StepContext& ctx) const {
    const T* x = ctx.get<T>(x_);
    T* out = ctx.get<T>(out_);
    if (scatter_ && x != out) std::memcpy(out, x, static_cast<std::size_t>(Product(x_dims_)) * sizeof(T));
    const std::int64_t total = Product(index_dims_), limit = x_dims_[axis_];
    const std::span<std::int64_t> at(ctx.get<std::int64_t>(position_), index_dims_.size());
    std::ranges::fill(at, 0);
    std::int64_t base = 0;  // of the position, without the axis
    for (std::int64_t i = 0; i < total; ++i) {
      const std::int64_t given = wide_ ? ctx.get<std::int64_t>(indices_)[i] : ctx.get<std::int32_t>(indices_)[i];
      const std::int64_t k = given < 0 ? given + limit : given;
      if (k < 0 || k >= limit)
        return Status(Code::kInvalidArgument, std::string(scatter_ ? "scatter_add_along_axis" : "take_along_axis") +
                                                  ": got index " + std::to_string(given) + ", expected one in [" +
                                                  std::to_string(-limit) + ", " + std::to_string(limit) + ")");
      const std::int64_t place = base + k * strides_[axis_];
      if (scatter_)
        out[place] = static_cast<T>(out[place] + ctx.get<T>(updates_)[i]);
      else
        out[i] = x[place];
      for (std::size_t d = at.size(); d-- > 0;) {
        if (d != axis_) base += strides_[d];
        if (++at[d] < index_dims_[d]) break;
        if (d != axis_) base -= at[d] * strides_[d];
        at[d] = 0;
      }
    }
    return {};
  }
  bool scatter_;
  DType dtype_;
  bool wide_;
  Dims x_dims_, index_dims_, strides_;
  std::size_t axis_;
  BufferId x_, indices_, updates_, out_, position_;
  std::string text_;
};

}  // namespace

Result<std::string> EmitAlong(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const bool scatter = n.op->name == "scatter_add_along_axis";
  const Value x = n.inputs[0], indices = n.inputs[1], out{id, 0};
  const DType dtype = b.dtype(x);
  const int bits = dtype_bits(dtype);
  if (dtype == DType::kString || bits % 8 != 0 || bits > 64 || is_complex(dtype)) return std::string("this dtype");
  if (scatter && dtype != DType::kF32 && dtype != DType::kF64 && dtype != DType::kI32 && dtype != DType::kI64)
    return std::string("no addition for this dtype");
  if (b.elements(indices) == 0) return std::string("nothing to do");
  const Dims xd = b.dims(x);
  const std::int64_t a = n.attrs.Int("axis");
  const auto axis = static_cast<std::size_t>(a < 0 ? a + static_cast<std::int64_t>(xd.size()) : a);
  const BufferId xb = scatter ? b.In(x) : b.InBytes(x), ib = b.In(indices), ub = scatter ? b.In(n.inputs[2]) : -1;
  if (!scatter || b.OverlaysInput(out, indices) || b.OverlaysInput(out, n.inputs.back())) b.KeepApart(out);
  const BufferId ob = b.Out(out), position = b.Scratch(xd.size() * sizeof(std::int64_t));
  b.Add(std::make_unique<AlongStep>(scatter, dtype, b.dtype(indices) == DType::kI64, xd, b.dims(indices), axis, xb, ib,
                                    ub, ob, position, std::string(n.op->name) + " " + b.graph().type(x).to_string()));
  return std::string();
}

}  // namespace tenon::cpu
