#include "runtime/plan.h"

#include <algorithm>
#include <numeric>

namespace tenon::runtime {

BufferId Plan::AddBuffer(BufferKind kind, std::size_t bytes, std::int32_t index) {
  buffers.push_back({.bytes = bytes, .kind = kind, .index = index});
  return static_cast<BufferId>(buffers.size() - 1);
}

BufferId Plan::AddConstant(Buffer constant) {
  const BufferId id = AddBuffer(BufferKind::kConstant, constant.size(), static_cast<std::int32_t>(constants.size()));
  constants.push_back(std::move(constant));
  return id;
}

std::string Plan::Explain() const {
  std::string out = "plan:";
  for (const PlanPort& p : inputs) out += " " + std::string(dtype_name(p.dtype)) + Shape(std::span(p.dims)).to_string();
  out += "; " + std::to_string(steps.size()) + " steps, arena " + std::to_string(arena_bytes) + " bytes\n";
  for (const auto& step : steps) {
    out += "  " + step->Describe() + " (";
    for (const BufferId id : step->reads) out += "b" + std::to_string(id) + " ";
    out += "->";
    for (const BufferId id : step->writes) out += " b" + std::to_string(id);
    out += ")\n";
  }
  return out;
}

namespace {

struct Interval {
  int first = -1, last = -1;
};

std::vector<Interval> Lifetimes(const Plan& plan) {
  std::vector<Interval> life(plan.buffers.size());
  for (std::size_t s = 0; s < plan.steps.size(); ++s) {
    const auto touch = [&](BufferId id) {
      Interval& i = life[static_cast<std::size_t>(id)];
      if (i.first < 0) i.first = static_cast<int>(s);
      i.last = static_cast<int>(s);
    };
    for (const BufferId id : plan.steps[s]->reads) touch(id);
    for (const BufferId id : plan.steps[s]->writes) touch(id);
  }
  return life;
}

Status CheckWrittenFirst(const Plan& plan) {
  std::vector<bool> written(plan.buffers.size());
  for (std::size_t i = 0; i < plan.buffers.size(); ++i)
    written[i] = plan.buffers[i].kind == BufferKind::kInput || plan.buffers[i].kind == BufferKind::kConstant;
  for (const auto& step : plan.steps) {
    for (const BufferId id : step->reads)
      if (!written[static_cast<std::size_t>(id)])
        return Status(Code::kInternal, "plan: step \"" + step->Describe() + "\" reads buffer " + std::to_string(id) +
                                           " before any step writes it");
    for (const BufferId id : step->writes) written[static_cast<std::size_t>(id)] = true;
  }
  return {};
}

std::size_t RoundUp(std::size_t n) { return (n + 63) / 64 * 64; }

}  // namespace

Status PlanArena(Plan& plan, bool overlay) {
  if (Status status = CheckWrittenFirst(plan); !status.ok()) return status;
  std::vector<Interval> life = Lifetimes(plan);
  const std::size_t n = plan.buffers.size();
  // root[b]: the buffer whose place b takes. Overlaying joins the two lifetimes.
  std::vector<std::size_t> root(n);
  std::iota(root.begin(), root.end(), std::size_t{0});
  const auto find = [&](std::size_t b) {
    while (root[b] != b) b = root[b] = root[root[b]];
    return b;
  };
  const auto in_arena = [&](std::size_t b) { return plan.buffers[b].kind == BufferKind::kArena && life[b].first >= 0; };
  for (std::size_t s = 0; overlay && s < plan.steps.size(); ++s) {
    for (const auto& [read, write] : plan.steps[s]->may_overlay) {
      const std::size_t w = static_cast<std::size_t>(write), r = find(static_cast<std::size_t>(read));
      if (!in_arena(r) || !in_arena(w) || find(w) != w || r == w) continue;
      if (life[r].last != static_cast<int>(s) || life[w].first != static_cast<int>(s)) continue;
      if (RoundUp(plan.buffers[w].bytes) > RoundUp(plan.buffers[r].bytes)) continue;
      root[w] = r;
      life[r].last = life[w].last;
    }
  }
  std::vector<std::size_t> order;
  for (std::size_t b = 0; b < n; ++b)
    if (in_arena(b) && find(b) == b) order.push_back(b);
  std::ranges::stable_sort(order,
                           [&](std::size_t a, std::size_t b) { return plan.buffers[a].bytes > plan.buffers[b].bytes; });
  std::vector<std::size_t> placed;  // sorted by offset
  plan.arena_bytes = 0;
  for (const std::size_t b : order) {
    const std::size_t bytes = RoundUp(std::max<std::size_t>(plan.buffers[b].bytes, 1));
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      if (life[other].first > life[b].last || life[b].first > life[other].last) continue;
      const std::size_t start = plan.buffers[other].offset;
      if (offset + bytes <= start) break;
      offset = std::max(offset, start + RoundUp(std::max<std::size_t>(plan.buffers[other].bytes, 1)));
    }
    plan.buffers[b].offset = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + bytes);
    placed.insert(std::ranges::upper_bound(placed, offset, {}, [&](std::size_t p) { return plan.buffers[p].offset; }),
                  b);
  }
  for (std::size_t b = 0; b < n; ++b)
    if (in_arena(b)) plan.buffers[b].offset = plan.buffers[find(b)].offset;
  return {};
}

}  // namespace tenon::runtime
