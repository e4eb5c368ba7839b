#include "ir/attr.h"

#include <algorithm>
#include <bit>

#include "ir/graph.h"

namespace tenon::ir {

std::string_view AttrKindName(AttrKind kind) {
  static constexpr std::string_view kNames[] = {"bool",  "int",  "float",  "string",  "dtype",  "dims",  "literal",
                                                "graph", "ints", "floats", "strings", "dtypes", "graphs"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool SameAttr(const Attr& a, const Attr& b) {
  if (a.index() != b.index()) return false;
  if (const auto* x = std::get_if<Literal>(&a)) return identical(*x, std::get<Literal>(b));
  if (const auto* x = std::get_if<GraphPtr>(&a)) return SameGraph(**x, *std::get<GraphPtr>(b));
  if (const auto* x = std::get_if<std::vector<GraphPtr>>(&a))
    return std::equal(x->begin(), x->end(), std::get<std::vector<GraphPtr>>(b).begin(),
                      std::get<std::vector<GraphPtr>>(b).end(),
                      [](const GraphPtr& p, const GraphPtr& q) { return SameGraph(*p, *q); });
  if (const auto* x = std::get_if<double>(&a))
    return std::bit_cast<std::uint64_t>(*x) == std::bit_cast<std::uint64_t>(std::get<double>(b));
  if (const auto* x = std::get_if<bool>(&a)) return *x == std::get<bool>(b);
  if (const auto* x = std::get_if<std::int64_t>(&a)) return *x == std::get<std::int64_t>(b);
  if (const auto* x = std::get_if<std::string>(&a)) return *x == std::get<std::string>(b);
  if (const auto* x = std::get_if<DType>(&a)) return *x == std::get<DType>(b);
  if (const auto* x = std::get_if<Shape>(&a)) return *x == std::get<Shape>(b);
  if (const auto* x = std::get_if<std::vector<std::int64_t>>(&a)) return *x == std::get<std::vector<std::int64_t>>(b);
  if (const auto* x = std::get_if<std::vector<double>>(&a)) return *x == std::get<std::vector<double>>(b);
  if (const auto* x = std::get_if<std::vector<std::string>>(&a)) return *x == std::get<std::vector<std::string>>(b);
  return std::get<std::vector<DType>>(a) == std::get<std::vector<DType>>(b);
}

namespace {
auto Position(auto& items, std::string_view name) {
  return std::lower_bound(items.begin(), items.end(), name,
                          [](const auto& item, std::string_view wanted) { return item.first < wanted; });
}
}  // namespace

const Attr* Attrs::Find(std::string_view name) const {
  const auto it = Position(items_, name);
  return it != items_.end() && it->first == name ? &it->second : nullptr;
}

void Attrs::Set(std::string_view name, Attr value) {
  const auto it = Position(items_, name);
  if (it != items_.end() && it->first == name)
    it->second = std::move(value);
  else
    items_.emplace(it, std::string(name), std::move(value));
}

void Attrs::Erase(std::string_view name) {
  const auto it = Position(items_, name);
  if (it != items_.end() && it->first == name) items_.erase(it);
}

bool operator==(const Attrs& a, const Attrs& b) {
  return std::equal(a.items_.begin(), a.items_.end(), b.items_.begin(), b.items_.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && SameAttr(x.second, y.second); });
}

void Attrs::Missing(std::string_view name) {
  fail(Code::kInternal,
       "Attrs: no attribute \"" + std::string(name) + "\" of the asked kind; the op's record must declare it");
}

}  // namespace tenon::ir
