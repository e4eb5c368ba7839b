// What a symbolic Dim holds: a dim is a polynomial over atoms. An atom is a symbol or one of floor_div, ceil_div, mod,
// min, max, broadcast of two dims. A polynomial is a sorted list of terms, each a coefficient and a sorted list of
// atoms (powers are repeats). Division by a number c > 0 is normal when every coefficient of the dividend is in [0, c),
// has no divisor in common with c, and the dividend is no division itself: floor_div(n - 1, 2) + 1 and ceil_div(n, 2)
// are floor_div(n + 1, 2), floor_div(floor_div(n, 2), 2) is floor_div(n, 4).
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tenon/types.h"

namespace tenon {

struct DimExpr {
  enum class AtomKind : std::uint8_t { kSymbol, kFloorDiv, kCeilDiv, kMod, kMin, kMax, kBroadcast };
  struct Atom {
    AtomKind kind = AtomKind::kSymbol;
    std::string name;  // of a symbol
    std::string text;  // as printed: the sort key, equal iff the atoms are equal
    Dim a, b;          // operands of a call
  };
  using AtomPtr = std::shared_ptr<const Atom>;
  struct Term {
    std::int64_t coefficient = 0;
    std::vector<AtomPtr> atoms;
  };
  /// The most terms of a sum or product: what a hostile expression can make us hold.
  static constexpr std::size_t kMaxTerms = 4096;

  std::vector<Term> terms;  // sorted, no zero coefficients

  static std::vector<Term> terms_of(const Dim& d) {
    if (d.expr_) return d.expr_->terms;
    if (d.n_ == 0) return {};
    return {Term{d.n_, {}}};
  }
  static const DimExpr* get(const Dim& d) { return d.expr_.get(); }
  /// The sum of the terms, in any order. Throws kResourceExhausted beyond kMaxTerms.
  static Dim make(std::vector<Term> terms);
  /// A call. Throws kResourceExhausted when its text is too long.
  static Dim atom(AtomKind kind, const Dim& a, const Dim& b);
  /// For the operands of a commutative call.
  static Dim sorted_atom(AtomKind kind, const Dim& a, const Dim& b) {
    return a.to_string() < b.to_string() ? atom(kind, a, b) : atom(kind, b, a);
  }
  /// Nothing when a - b is beyond 64 bits.
  static std::optional<Dim> subtract(const Dim& a, const Dim& b);
  /// Known to be a >= b.
  static bool at_least(const Dim& a, const Dim& b);
  /// Known to be >= 0: what symbols with coefficients >= 0 can make.
  static bool non_negative(const Dim& d);
  static bool non_negative(const Atom& atom);
  /// floor(a / b) for b > 0.
  static Dim divide_by_number(const Dim& a, std::int64_t b);
};

/// 64-bit arithmetic that throws kInvalidArgument where it would overflow.
namespace checked {
[[noreturn]] void overflow(std::int64_t a, const char* op, std::int64_t b);
std::int64_t add(std::int64_t a, std::int64_t b);
std::int64_t multiply(std::int64_t a, std::int64_t b);
/// Rounded down; b is not 0.
std::int64_t floor_divide(std::int64_t a, std::int64_t b);
std::int64_t floor_modulo(std::int64_t a, std::int64_t b);
}  // namespace checked

}  // namespace tenon
