// Attributes of a node: a small ordered map from name to a value of one of thirteen kinds.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tenon/types.h"

namespace tenon::ir {

class Graph;
using GraphPtr = std::shared_ptr<const Graph>;  // a closed sub-graph

enum class AttrKind : std::uint8_t {
  kBool,
  kInt,
  kFloat,
  kString,
  kDType,
  kDims,
  kLiteral,
  kGraph,
  kInts,
  kFloats,
  kStrings,
  kDTypes,
  kGraphs,
};
std::string_view AttrKindName(AttrKind kind);

/// The alternatives stand in the order of AttrKind. kDims may hold symbols of the graph; kInts are plain numbers.
using Attr =
    std::variant<bool, std::int64_t, double, std::string, DType, Shape, Literal, GraphPtr, std::vector<std::int64_t>,
                 std::vector<double>, std::vector<std::string>, std::vector<DType>, std::vector<GraphPtr>>;
inline AttrKind KindOf(const Attr& attr) { return static_cast<AttrKind>(attr.index()); }
/// Same kind and same value (literals bit for bit, graphs by structure).
bool SameAttr(const Attr& a, const Attr& b);

/// Sorted by name. The typed getters are for names that the op's record declares: a missing one or another kind is our
/// own bug and throws kInternal.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string_view, Attr>> items) {
    for (const auto& [name, value] : items) Set(name, value);
  }
  const Attr* Find(std::string_view name) const;
  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  void Set(std::string_view name, Attr value);
  void Erase(std::string_view name);
  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }

  bool Bool(std::string_view name) const { return Get<bool>(name); }
  std::int64_t Int(std::string_view name) const { return Get<std::int64_t>(name); }
  double Float(std::string_view name) const { return Get<double>(name); }
  const std::string& String(std::string_view name) const { return Get<std::string>(name); }
  DType Dtype(std::string_view name) const { return Get<DType>(name); }
  const Shape& Dims(std::string_view name) const { return Get<Shape>(name); }
  const Literal& Lit(std::string_view name) const { return Get<Literal>(name); }
  const Graph& Body(std::string_view name) const { return *Get<GraphPtr>(name); }
  const std::vector<std::int64_t>& Ints(std::string_view name) const { return Get<std::vector<std::int64_t>>(name); }
  const std::vector<double>& Floats(std::string_view name) const { return Get<std::vector<double>>(name); }
  const std::vector<std::string>& Strings(std::string_view name) const { return Get<std::vector<std::string>>(name); }

  friend bool operator==(const Attrs& a, const Attrs& b);

 private:
  template <class T>
  const T& Get(std::string_view name) const {
    const Attr* found = Find(name);
    const T* value = found == nullptr ? nullptr : std::get_if<T>(found);
    if (value == nullptr) Missing(name);
    return *value;
  }
  [[noreturn]] static void Missing(std::string_view name);
  std::vector<std::pair<std::string, Attr>> items_;
};

}  // namespace tenon::ir
