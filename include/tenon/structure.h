// Structure<T>: where the Tensors of a T are, for functions, loops, datasets and signatures.
#pragma once
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "tenon/tensor.h"

namespace tenon {

/// each(v, visitor) visits every Tensor of v, in order. Known: Tensor, vector, map, pair, tuple and structs of up to
/// six such members; specialise it for a type of your own.
template <class T>
struct Structure {};
template <class T>
concept Structured = requires(T& v) { Structure<T>::each(v, [](Tensor&) {}); };

template <>
struct Structure<Tensor> {
  static void each(auto& v, auto&& visitor) { visitor(v); }
};
template <Structured E>
struct Structure<std::vector<E>> {
  static void each(auto& v, auto&& visitor) {
    for (auto& e : v) Structure<E>::each(e, visitor);
  }
};
template <class K, Structured E>
struct Structure<std::map<K, E>> {
  static void each(auto& v, auto&& visitor) {
    for (auto& e : v) Structure<E>::each(e.second, visitor);
  }
};
template <Structured... E>
struct Structure<std::tuple<E...>> {
  static void each(auto& v, auto&& visitor) {
    std::apply([&](auto&... e) { (Structure<E>::each(e, visitor), ...); }, v);
  }
};
template <Structured A, Structured B>
struct Structure<std::pair<A, B>> : Structure<std::tuple<A, B>> {};

namespace structure_detail {
struct Any {
  template <class M>
  operator M() const;
};
template <class T, std::size_t... I>
constexpr bool TakesMembers(std::index_sequence<I...>) {
  return requires { T{((void)I, Any())...}; };
}
template <class T>
constexpr int MemberCount() {
  if constexpr (TakesMembers<T>(std::make_index_sequence<6>()))
    return 6;
  else if constexpr (TakesMembers<T>(std::make_index_sequence<5>()))
    return 5;
  else if constexpr (TakesMembers<T>(std::make_index_sequence<4>()))
    return 4;
  else if constexpr (TakesMembers<T>(std::make_index_sequence<3>()))
    return 3;
  else if constexpr (TakesMembers<T>(std::make_index_sequence<2>()))
    return 2;
  else
    return 1;
}
}  // namespace structure_detail

template <class T>
  requires std::is_aggregate_v<T>
struct Structure<T> {
  static void each(auto& v, auto&& visitor) {
    const auto visit = [&]<class... M>(M&... m) {
      static_assert((Structured<std::remove_const_t<M>> && ...),
                    "tenon::Structure: each member is a Tensor, or made of Tensors");
      (Structure<std::remove_const_t<M>>::each(m, visitor), ...);
    };
    constexpr int kMembers = structure_detail::MemberCount<T>();
    if constexpr (kMembers == 6) {
      auto& [a, b, c, d, e, f] = v;
      visit(a, b, c, d, e, f);
    } else if constexpr (kMembers == 5) {
      auto& [a, b, c, d, e] = v;
      visit(a, b, c, d, e);
    } else if constexpr (kMembers == 4) {
      auto& [a, b, c, d] = v;
      visit(a, b, c, d);
    } else if constexpr (kMembers == 3) {
      auto& [a, b, c] = v;
      visit(a, b, c);
    } else if constexpr (kMembers == 2) {
      auto& [a, b] = v;
      visit(a, b);
    } else {
      auto& [a] = v;
      visit(a);
    }
  }
};

/// Its Tensors, in order.
template <Structured T>
std::vector<Tensor> flatten(const T& v) {
  std::vector<Tensor> out;
  Structure<T>::each(v, [&](const Tensor& t) { out.push_back(t); });
  return out;
}
/// A copy of `like` (lengths, keys) with other Tensors; `in` has as many as flatten(like).
template <Structured T>
T rebuild(T like, std::span<const Tensor> in) {
  std::size_t i = 0;
  Structure<T>::each(like, [&](Tensor& t) { t = in[i++]; });
  return like;
}

}  // namespace tenon
