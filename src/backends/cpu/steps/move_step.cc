// Steps that move elements without looking at them: transpose, slice, concat, split, reverse, tile, pad, broadcast_to.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "backends/cpu/steps/move.h"
#include "backends/cpu/steps/steps.h"
#include "ir/numeric.h"
#include "runtime/parallel.h"

namespace tenon::cpu {
namespace {

using Dims = std::vector<std::int64_t>;

Dims RowMajor(const Dims& dims) {
  Dims s(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) s[i - 1] = s[i] * dims[i];
  return s;
}
std::int64_t Product(const Dims& d) {
  std::int64_t n = 1;
  for (const std::int64_t v : d) n *= v;
  return n;
}
std::size_t Bytes(DType t) { return static_cast<std::size_t>(dtype_bits(t) / 8); }
bool Movable(DType t) { return t != DType::kString && dtype_bits(t) % 8 == 0; }

class MoveStep : public runtime::Step {
 public:
  MoveStep(std::vector<Move> moves, std::size_t element, std::vector<BufferId> inputs, std::vector<BufferId> outputs,
           std::string text)
      : moves_(std::move(moves)),
        element_(element),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)),
        text_(std::move(text)) {
    reads = inputs_;
    writes = outputs_;
    for (Move& m : moves_) Collapse(m);
  }
  /// Writes `pattern` (one element) over output 0 first.
  void FillFirst(std::vector<std::byte> pattern, std::int64_t count) {
    fill_ = std::move(pattern), fill_count_ = count;
  }
  Status Run(const runtime::StepContext& ctx) const override {
    if (!fill_.empty()) Fill(ctx.get<std::byte>(outputs_[0]));
    for (const Move& m : moves_) {
      const std::byte* from =
          ctx.get<std::byte>(inputs_[static_cast<std::size_t>(m.input)]) + m.from * static_cast<std::int64_t>(element_);
      std::byte* to =
          ctx.get<std::byte>(outputs_[static_cast<std::size_t>(m.output)]) + m.to * static_cast<std::int64_t>(element_);
      RunMove(m, element_, from, to, ctx.threads);
    }
    return {};
  }
  std::string Describe() const override { return text_; }

 private:
  void Fill(std::byte* out) const {
    bool zero = true;
    for (const std::byte b : fill_) zero = zero && b == std::byte{0};
    if (zero) {
      std::memset(out, 0, static_cast<std::size_t>(fill_count_) * element_);
      return;
    }
    for (std::int64_t i = 0; i < fill_count_; ++i)
      std::memcpy(out + i * static_cast<std::int64_t>(element_), fill_.data(), element_);
  }
  std::vector<Move> moves_;
  std::size_t element_;
  std::vector<BufferId> inputs_, outputs_;
  std::string text_;
  std::vector<std::byte> fill_;
  std::int64_t fill_count_ = 0;
};

// Elements by tables: the offset in the source is the sum of one entry per axis.
class TableStep : public runtime::Step {
 public:
  TableStep(std::vector<Dims> tables, std::size_t element, BufferId from, BufferId to, std::string text)
      : tables_(std::move(tables)), element_(element), text_(std::move(text)) {
    reads = {from};
    writes = {to};
    const Dims& last = tables_.back();
    runs_ = std::adjacent_find(last.begin(), last.end(), [](std::int64_t a, std::int64_t b) { return b != a + 1; }) ==
            last.end();
  }
  Status Run(const runtime::StepContext& ctx) const override {
    const auto* from = ctx.get<std::byte>(reads[0]);
    auto* to = ctx.get<std::byte>(writes[0]);
    const auto size = static_cast<std::int64_t>(element_);
    const std::size_t outer = tables_.size() - 1;
    std::int64_t lines = 1;
    for (std::size_t i = 0; i < outer; ++i) lines *= static_cast<std::int64_t>(tables_[i].size());
    const Dims& last = tables_.back();
    for (std::int64_t line = 0; line < lines; ++line) {
      std::int64_t rest = line, base = 0;
      for (std::size_t i = outer; i-- > 0;) {
        const auto n = static_cast<std::int64_t>(tables_[i].size());
        base += tables_[i][static_cast<std::size_t>(rest % n)];
        rest /= n;
      }
      if (runs_) {
        std::memcpy(to, from + (base + last[0]) * size, last.size() * element_);
        to += last.size() * element_;
        continue;
      }
      for (const std::int64_t at : last) {
        std::memcpy(to, from + (base + at) * size, element_);
        to += size;
      }
    }
    return {};
  }
  std::string Describe() const override { return text_; }

 private:
  std::vector<Dims> tables_;
  std::size_t element_;
  bool runs_ = false;
  std::string text_;
};

std::string TextOf(PlanBuilder& b, std::string_view op, Value v) {
  return std::string(op) + " " + b.graph().type(v).to_string();
}

// Source positions along one axis of a padded tensor: -1 where the value is filled in.
Result<Dims> PadTable(std::string_view mode, std::int64_t low, std::int64_t high, std::int64_t n) {
  Dims t;
  for (std::int64_t i = -low; i < n + high; ++i) {
    std::int64_t at = i;
    if (i < 0 || i >= n) {
      if (mode == "edge")
        at = i < 0 ? 0 : n - 1;
      else if (mode == "wrap")
        at = ((i % n) + n) % n;
      else if (mode == "reflect") {
        const std::int64_t period = std::max<std::int64_t>(2 * (n - 1), 1);
        at = ((i % period) + period) % period;
        at = at >= n ? period - at : at;
      } else if (mode == "symmetric") {
        at = ((i % (2 * n)) + 2 * n) % (2 * n);
        at = at >= n ? 2 * n - 1 - at : at;
      } else {
        return Status(Code::kInternal, "pad: mode \"" + std::string(mode) + "\"");
      }
    }
    t.push_back(at);
  }
  return t;
}

}  // namespace

Result<std::string> EmitMove(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const std::string_view op = n.op->name;
  const Value out{id, 0};
  const DType dtype = b.dtype(out);
  if (!Movable(dtype)) return std::string("elements that are no whole bytes");
  const auto outputs = static_cast<std::int32_t>(n.outputs.size());
  std::vector<Move> moves;
  const Dims od = outputs == 1 ? b.dims(out) : Dims();
  std::vector<std::byte> fill;
  const auto axis_of = [&](std::size_t rank) {
    const std::int64_t a = n.attrs.Int("axis");
    return static_cast<std::size_t>(a < 0 ? a + static_cast<std::int64_t>(rank) : a);
  };
  if (op == "transpose") {
    const Dims xd = b.dims(n.inputs[0]), xs = RowMajor(xd);
    Dims perm = n.attrs.Ints("permutation");
    if (perm.empty())
      for (std::size_t i = xd.size(); i-- > 0;) perm.push_back(static_cast<std::int64_t>(i));
    Move m{.dims = od, .to_strides = RowMajor(od)};
    for (const std::int64_t p : perm)
      m.from_strides.push_back(xs[static_cast<std::size_t>(p < 0 ? p + static_cast<std::int64_t>(xd.size()) : p)]);
    moves.push_back(std::move(m));
  } else if (op == "slice") {
    const Dims xs = RowMajor(b.dims(n.inputs[0])), starts = n.attrs.Dims("starts").values();
    const Dims& steps = n.attrs.Ints("strides");
    Move m{.dims = od, .to_strides = RowMajor(od)};
    for (std::size_t i = 0; i < od.size(); ++i) {
      m.from += starts[i] * xs[i];
      m.from_strides.push_back(xs[i] * (steps.empty() ? 1 : steps[i]));
    }
    moves.push_back(std::move(m));
  } else if (op == "concat") {
    const std::size_t axis = axis_of(od.size());
    const Dims os = RowMajor(od);
    std::int64_t at = 0;
    for (std::size_t i = 0; i < n.inputs.size(); ++i) {
      const Dims xd = b.dims(n.inputs[i]);
      moves.push_back({.input = static_cast<int>(i),
                       .to = at * os[axis],
                       .dims = xd,
                       .from_strides = RowMajor(xd),
                       .to_strides = os});
      at += xd[axis];
    }
  } else if (op == "split") {
    const Dims xd = b.dims(n.inputs[0]), xs = RowMajor(xd);
    const std::size_t axis = axis_of(xd.size());
    std::int64_t at = 0;
    for (std::int32_t k = 0; k < outputs; ++k) {
      const Dims yd = b.dims({id, k});
      moves.push_back({.output = k, .from = at * xs[axis], .dims = yd, .from_strides = xs, .to_strides = RowMajor(yd)});
      at += yd[axis];
    }
  } else if (op == "reverse") {
    const Dims xs = RowMajor(od);
    Move m{.dims = od, .from_strides = xs, .to_strides = xs};
    for (const std::int64_t a : n.attrs.Ints("axes")) {
      const auto i = static_cast<std::size_t>(a < 0 ? a + static_cast<std::int64_t>(od.size()) : a);
      m.from += (od[i] - 1) * xs[i];
      m.from_strides[i] = -xs[i];
    }
    moves.push_back(std::move(m));
  } else if (op == "broadcast_to") {
    const Dims xd = b.dims(n.inputs[0]), xs = RowMajor(xd);
    Move m{.dims = od, .from_strides = Dims(od.size(), 0), .to_strides = RowMajor(od)};
    const std::size_t lead = od.size() - xd.size();
    for (std::size_t i = 0; i < xd.size(); ++i)
      if (xd[i] != 1) m.from_strides[lead + i] = xs[i];
    moves.push_back(std::move(m));
  } else if (op == "pad" && n.attrs.String("mode") == "constant") {
    const Dims xd = b.dims(n.inputs[0]), os = RowMajor(od), low = n.attrs.Dims("low").values();
    Move m{.dims = xd, .from_strides = RowMajor(xd), .to_strides = os};
    for (std::size_t i = 0; i < low.size(); ++i) {
      if (low[i] < 0 || n.attrs.Dims("high")[static_cast<int>(i)].value() < 0) return std::string("negative padding");
      m.to += low[i] * os[i];
    }
    moves.push_back(std::move(m));
    const Literal value = ir::ScalarLiteral(n.attrs.Float("value"), dtype);
    fill.assign(value.raw().begin(), value.raw().end());
  } else if (op == "pad") {
    const Dims xd = b.dims(n.inputs[0]), xs = RowMajor(xd), low = n.attrs.Dims("low").values(),
               high = n.attrs.Dims("high").values();
    if (b.elements(out) == 0 || b.elements(n.inputs[0]) == 0 || xd.empty()) return std::string("nothing to pad");
    std::vector<Dims> tables;
    for (std::size_t i = 0; i < xd.size(); ++i) {
      if (low[i] < 0 || high[i] < 0) return std::string("negative padding");
      const Result<Dims> table = PadTable(n.attrs.String("mode"), low[i], high[i], xd[i]);
      if (!table.ok()) return table.status();
      tables.push_back(*table);
      for (std::int64_t& t : tables.back()) t *= xs[i];
    }
    b.KeepApart(out);
    const BufferId from = b.In(n.inputs[0]);
    b.Add(std::make_unique<TableStep>(std::move(tables), Bytes(dtype), from, b.Out(out), TextOf(b, op, out)));
    return std::string();
  } else {
    return std::string("not a movement");
  }
  std::vector<BufferId> ins, outs;
  for (const Value v : n.inputs) {
    ins.push_back(b.In(v));
    if (op != "concat") break;  // further inputs are shapes, known by now
  }
  for (std::int32_t k = 0; k < outputs; ++k) {
    b.KeepApart({id, k});
    outs.push_back(b.Out({id, k}));
  }
  std::erase_if(moves, [](const Move& m) { return Product(m.dims) == 0; });
  auto step = std::make_unique<MoveStep>(std::move(moves), Bytes(dtype), std::move(ins), std::move(outs),
                                         TextOf(b, op, n.inputs[0]));
  if (!fill.empty()) step->FillFirst(std::move(fill), Product(od));
  b.Add(std::move(step));
  return std::string();
}

}  // namespace tenon::cpu
