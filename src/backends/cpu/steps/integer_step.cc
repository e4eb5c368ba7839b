#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/integer_kernels.h"
#include "backends/cpu/steps/integer_product.h"
#include "runtime/parallel.h"

namespace tenon::cpu {
namespace {

std::size_t At(std::int64_t i) { return static_cast<std::size_t>(i); }

class IntegerStep : public runtime::Step {
 public:
  /// `panels`: those of all groups when y is a constant, else -1.
  IntegerStep(IntegerProduct p, BufferId x, BufferId y, BufferId panels, BufferId z, BufferId scratch, std::string text)
      : p_(std::move(p)), x_(x), y_(y), panels_(panels), z_(z), scratch_(scratch), text_(std::move(text)) {
    reads = {x, y};
    if (panels >= 0) reads.push_back(panels);
    writes = {z, scratch};
  }
  std::string Describe() const override { return text_; }

  // Rows at a time: their 16-bit form stays in the cache.
  static std::int64_t RowBlock(const IntegerProduct& p) {
    return std::clamp<std::int64_t>((1 << 17) / p.k / 8 * 8, 8, 64);
  }
  static std::int64_t Pairs(const IntegerProduct& p) { return (p.k + 1) / 2; }
  static std::int64_t Panels(const IntegerProduct& p) {
    const std::int64_t columns = GetIntegerKernels().columns;
    return (p.n + columns - 1) / columns;
  }
  static int Parts(const IntegerProduct& p) {
    const double work = static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
    const std::int64_t blocks = (p.m + RowBlock(p) - 1) / RowBlock(p);
    return static_cast<int>(
        std::clamp<std::int64_t>(static_cast<std::int64_t>(work / 1e5), 1, std::min<std::int64_t>(blocks, 16)));
  }
  // Bytes: the panels of one group, then for each part a row of i32, its rows of i16, and a tile of results.
  static std::size_t PanelBytes(const IntegerProduct& p) {
    return Round(At(Panels(p) * GetIntegerKernels().columns * Pairs(p)) * 4);
  }
  static std::size_t PartBytes(const IntegerProduct& p) {
    return Round(At(2 * Pairs(p)) * 4) + Round(At(RowBlock(p) * 2 * Pairs(p)) * 2) +
           Round(At(RowBlock(p) * GetIntegerKernels().columns) * 4);
  }
  static std::size_t ScratchBytes(const IntegerProduct& p) { return PanelBytes(p) + At(Parts(p)) * PartBytes(p); }

  // The columns of a group as panels [k / 2][column][k % 2]; false when an element does not fit.
  static bool Pack(const IntegerProduct& p, const std::int32_t* y, std::int16_t* to) {
    const std::int64_t columns = GetIntegerKernels().columns, pairs = Pairs(p);
    std::memset(to, 0, PanelBytes(p));
    std::uint32_t outside = 0;
    for (std::int64_t n = 0; n < p.n; ++n) {
      std::int16_t* panel = to + n / columns * columns * 2 * pairs + n % columns * 2;
      const std::int32_t* from = y + p.y_column[At(n)];
      for (std::int64_t k = 0; k < p.k; ++k) {
        const std::int32_t v = from[p.y_k[At(k)]];
        outside |= (static_cast<std::uint32_t>(v) + 32768U) >> 16;
        panel[k / 2 * 2 * columns + k % 2] = static_cast<std::int16_t>(v);
      }
    }
    return outside == 0;
  }

  Status Run(const runtime::StepContext& ctx) const override {
    const auto *x = ctx.get<std::int32_t>(x_), *y = ctx.get<std::int32_t>(y_);
    auto* z = ctx.get<std::int32_t>(z_);
    auto* scratch = ctx.get<std::byte>(scratch_);
    auto* panels = reinterpret_cast<std::int16_t*>(scratch);
    const int parts = Parts(p_);
    for (std::int64_t g = 0; g < p_.groups; ++g) {
      if (panels_ >= 0) panels = ctx.get<std::int16_t>(panels_) + At(g) * PanelBytes(p_) / 2;
      const bool narrow = panels_ >= 0 || Pack(p_, y + p_.y_group[At(g)], panels);
      runtime::ForEachPart(ctx.threads, parts, [&](int part) {
        std::byte* own = scratch + PanelBytes(p_) + At(part) * PartBytes(p_);
        const std::int64_t blocks = (p_.m + RowBlock(p_) - 1) / RowBlock(p_);
        for (std::int64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b)
          Rows(g, b * RowBlock(p_), std::min(RowBlock(p_), p_.m - b * RowBlock(p_)), x, y, z, panels, narrow, own);
      });
    }
    return {};
  }

 private:
  static std::size_t Round(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

  // Row m of x: the K elements, from x itself where they lie together.
  const std::int32_t* Row(std::int64_t g, std::int64_t m, const std::int32_t* x, std::int32_t* to) const {
    x += p_.x_group[At(g)];
    if (!p_.window) {
      x += p_.x_row[At(m)];
      if (contiguous_) return x;
      for (std::int64_t k = 0; k < p_.k; ++k) to[k] = x[p_.x_k[At(k)]];
      return to;
    }
    const IntegerWindow& w = *p_.window;
    x += m / p_.positions * w.image;
    const std::size_t rank = w.axes.size();
    std::int64_t place[8], tap[8] = {};
    std::int64_t rest = m % p_.positions;
    for (std::size_t a = rank; a-- > 0; rest /= w.axes[a].out) place[a] = rest % w.axes[a].out;
    for (std::int64_t k = 0; k < p_.k; k += w.channels) {
      std::int64_t at = 0;
      bool inside = true;
      for (std::size_t a = 0; a < rank; ++a) {
        const std::int64_t i = w.axes[a].position(place[a], tap[a]);
        inside = inside && i >= 0 && i < w.axes[a].in;
        at += i * w.steps[a];
      }
      if (!inside) {
        std::memset(to + k, 0, At(w.channels) * 4);
      } else if (w.channel_step == 1) {
        std::memcpy(to + k, x + at, At(w.channels) * 4);
      } else {
        for (std::int64_t c = 0; c < w.channels; ++c) to[k + c] = x[at + c * w.channel_step];
      }
      for (std::size_t a = rank; a-- > 0;) {
        if (++tap[a] < w.axes[a].window) break;
        tap[a] = 0;
      }
    }
    return to;
  }
  std::int32_t* Target(std::int64_t g, std::int64_t m, std::int32_t* z) const {
    return z + p_.z_group[At(g)] + m / p_.positions * p_.z_image + m % p_.positions * p_.z_row;
  }

  void Rows(std::int64_t g, std::int64_t first, std::int64_t count, const std::int32_t* x, const std::int32_t* y,
            std::int32_t* z, const std::int16_t* panels, bool narrow, std::byte* own) const {
    const IntegerKernels& kernels = GetIntegerKernels();
    const std::int64_t pairs = Pairs(p_), lda = 2 * pairs;
    auto* row = reinterpret_cast<std::int32_t*>(own);
    auto* rows = reinterpret_cast<std::int16_t*>(own + Round(At(lda) * 4));
    auto* tile = reinterpret_cast<std::int32_t*>(own + Round(At(lda) * 4) + Round(At(RowBlock(p_) * lda) * 2));
    for (std::int64_t m = 0; m < count; ++m) {
      std::int16_t* to = rows + m * lda;
      to[lda - 1] = 0;
      narrow = kernels.narrow(to, Row(g, first + m, x, row), p_.k) && narrow;
    }
    if (!narrow) return WideRows(g, first, count, x, y + p_.y_group[At(g)], z, row);
    for (std::int64_t panel = 0; panel < Panels(p_); ++panel) {
      const std::int64_t n0 = panel * kernels.columns, n1 = std::min(p_.n, n0 + kernels.columns);
      kernels.product(tile, rows, lda, panels + n0 * lda, pairs, count);
      for (std::int64_t m = 0; m < count; ++m) {
        const std::int32_t* from = tile + m * kernels.columns;
        std::int32_t* to = Target(g, first + m, z) + n0 * p_.z_column;
        if (p_.z_column == 1) {
          std::memcpy(to, from, At(n1 - n0) * 4);
        } else {
          for (std::int64_t n = n0; n < n1; ++n) to[(n - n0) * p_.z_column] = from[n - n0];
        }
      }
    }
  }
  void WideRows(std::int64_t g, std::int64_t first, std::int64_t count, const std::int32_t* x, const std::int32_t* y,
                std::int32_t* z, std::int32_t* row) const {
    for (std::int64_t m = first; m < first + count; ++m) {
      const std::int32_t* a = Row(g, m, x, row);
      for (std::int64_t n = 0; n < p_.n; ++n) {
        const std::int32_t* b = y + p_.y_column[At(n)];
        std::uint32_t sum = 0;
        for (std::int64_t k = 0; k < p_.k; ++k)
          sum += static_cast<std::uint32_t>(a[k]) * static_cast<std::uint32_t>(b[p_.y_k[At(k)]]);
        Target(g, m, z)[n * p_.z_column] = static_cast<std::int32_t>(sum);
      }
    }
  }

  IntegerProduct p_;
  bool contiguous_ = std::ranges::all_of(p_.x_k, [i = std::int64_t{0}](std::int64_t at) mutable { return at == i++; });
  BufferId x_, y_, panels_, z_, scratch_;
  std::string text_;
};
// The panels of all groups of a constant whose numbers fit; -1 else.
BufferId ConstantPanels(PlanBuilder& b, Value y, const IntegerProduct& p) {
  const Literal* literal = b.ConstantOf(y);
  if (literal == nullptr || !b.MayPack()) return -1;
  const auto pack = [&] {
    Buffer all = Buffer::allocate(At(p.groups) * IntegerStep::PanelBytes(p), false);
    for (std::int64_t g = 0; g < p.groups; ++g)
      if (!IntegerStep::Pack(
              p, literal->data<std::int32_t>().data() + p.y_group[At(g)],
              reinterpret_cast<std::int16_t*>(all.mutable_data()) + At(g) * IntegerStep::PanelBytes(p) / 2))
        return Buffer();
    return all;
  };
  // All places: other orders of the same axes, and other views of the same memory, may end at the same ones.
  std::string key = "panels " + std::to_string(p.groups) + " " + std::to_string(p.n) + " " + std::to_string(p.k) + " ";
  for (const Places* places : {&p.y_group, &p.y_column, &p.y_k})
    key.append(reinterpret_cast<const char*>(places->data()), places->size() * sizeof(std::int64_t));
  const Buffer panels = b.packed() != nullptr ? b.packed()->Get(literal->buffer(), key, pack) : pack();
  return panels.size() == 0 ? -1 : b.Constant(panels);
}

}  // namespace

std::string ProductText(const char* what, const IntegerProduct& p) {
  return std::string(what) + " i32 " + (p.groups > 1 ? std::to_string(p.groups) + "x" : "") + std::to_string(p.m) +
         "x" + std::to_string(p.n) + "x" + std::to_string(p.k);
}
void AddIntegerProduct(PlanBuilder& b, std::int32_t id, IntegerProduct p, const char* what) {
  const ir::Node& n = b.graph().node(id);
  b.KeepApart({id, 0});
  const BufferId x = b.In(n.inputs[0]), y = b.In(n.inputs[1]), panels = ConstantPanels(b, n.inputs[1], p),
                 z = b.Out({id, 0});
  const BufferId scratch = b.Scratch(IntegerStep::ScratchBytes(p));
  std::string text = ProductText(what, p);
  b.Add(std::make_unique<IntegerStep>(std::move(p), x, y, panels, z, scratch, std::move(text)));
}

}  // namespace tenon::cpu
