#include "tensor/dim_expr.h"

#include <algorithm>
#include <numeric>

namespace tenon {

namespace checked {
void overflow(std::int64_t a, const char* op, std::int64_t b) {
  fail(Code::kInvalidArgument, "Dim: " + std::to_string(a) + op + std::to_string(b) + " is beyond 64 bits");
}
std::int64_t add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) overflow(a, " + ", b);
  return sum;
}
std::int64_t multiply(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) overflow(a, " * ", b);
  return product;
}
std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == -1) return multiply(a, -1);  // the one quotient that overflows
  const std::int64_t q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
}
std::int64_t floor_modulo(std::int64_t a, std::int64_t b) {
  if (b == -1) return 0;
  const std::int64_t r = a % b;
  return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}
}  // namespace checked

namespace {
constexpr std::string_view kAtomNames[] = {"", "floor_div", "ceil_div", "mod", "min", "max", "broadcast"};
constexpr std::size_t kMaxAtomText = 16384;

int compare_atoms(const std::vector<DimExpr::AtomPtr>& x, const std::vector<DimExpr::AtomPtr>& y) {
  // Higher degree first, then by text, so that the constant comes last.
  if (x.size() != y.size()) return x.size() > y.size() ? -1 : 1;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (const int c = x[i]->text.compare(y[i]->text); c != 0) return c;
  return 0;
}
}  // namespace

Dim DimExpr::make(std::vector<Term> terms) {
  std::sort(terms.begin(), terms.end(),
            [](const Term& x, const Term& y) { return compare_atoms(x.atoms, y.atoms) < 0; });
  std::vector<Term> merged;
  for (Term& t : terms) {
    if (!merged.empty() && compare_atoms(merged.back().atoms, t.atoms) == 0)
      merged.back().coefficient = checked::add(merged.back().coefficient, t.coefficient);
    else
      merged.push_back(std::move(t));
  }
  std::erase_if(merged, [](const Term& t) { return t.coefficient == 0; });
  if (merged.size() > kMaxTerms)
    fail(Code::kResourceExhausted, "Dim: a sum has more than " + std::to_string(kMaxTerms) + " terms");
  if (merged.empty()) return Dim(0);
  if (merged.size() == 1 && merged[0].atoms.empty()) return Dim(merged[0].coefficient);
  Dim d;
  d.expr_ = std::make_shared<const DimExpr>(DimExpr{std::move(merged)});
  return d;
}

Dim DimExpr::atom(AtomKind kind, const Dim& a, const Dim& b) {
  auto made = std::make_shared<Atom>();
  made->kind = kind;
  made->a = a;
  made->b = b;
  made->text = std::string(kAtomNames[static_cast<int>(kind)]) + "(" + a.to_string() + ", " + b.to_string() + ")";
  if (made->text.size() > kMaxAtomText)
    fail(Code::kResourceExhausted,
         "Dim: " + made->text.substr(0, 64) + "… has more than " + std::to_string(kMaxAtomText) + " characters");
  return make({Term{1, {std::move(made)}}});
}

std::optional<Dim> DimExpr::subtract(const Dim& a, const Dim& b) {
  try {
    return a - b;
  } catch (const Error&) {
    return std::nullopt;
  }
}
bool DimExpr::at_least(const Dim& a, const Dim& b) {
  const std::optional<Dim> d = subtract(a, b);
  return d && non_negative(*d);
}

bool DimExpr::non_negative(const Atom& atom) {
  switch (atom.kind) {
    case AtomKind::kSymbol:
      return true;
    case AtomKind::kMod:
      return !atom.b.is_symbolic() && atom.b.value() > 0;
    case AtomKind::kMax:
      return non_negative(atom.a) || non_negative(atom.b);
    default:
      return non_negative(atom.a) && non_negative(atom.b);
  }
}
bool DimExpr::non_negative(const Dim& d) {
  const std::vector<Term> terms = terms_of(d);
  return std::all_of(terms.begin(), terms.end(), [](const Term& t) {
    return t.coefficient >= 0 &&
           std::all_of(t.atoms.begin(), t.atoms.end(), [](const AtomPtr& x) { return non_negative(*x); });
  });
}

// Takes out what is divisible: floor((b*q + r) / b) = q + floor(r / b).
Dim DimExpr::divide_by_number(const Dim& a, std::int64_t b) {
  std::vector<Term> quotient, rest;
  std::int64_t common = b, constant = 0;
  for (const Term& t : terms_of(a)) {
    const std::int64_t q = checked::floor_divide(t.coefficient, b), r = checked::floor_modulo(t.coefficient, b);
    if (q != 0) quotient.push_back({q, t.atoms});
    if (r == 0) continue;
    if (t.atoms.empty()) {
      constant = r;
    } else {
      common = std::gcd(common, r);
      rest.push_back({r, t.atoms});
    }
  }
  if (rest.empty()) return make(std::move(quotient));
  for (Term& t : rest) t.coefficient /= common;
  constant /= common;
  b /= common;
  if (rest.size() == 1 && rest[0].coefficient == 1 && rest[0].atoms.size() == 1) {
    // floor((floor(x / c) + constant) / b) = floor((x + c*constant) / (b*c))
    const Atom& inner = *rest[0].atoms[0];
    if (inner.kind == AtomKind::kFloorDiv && !inner.b.is_symbolic()) {
      const std::int64_t c = inner.b.value();
      return make(std::move(quotient)) +
             Dim::floor_div(inner.a + Dim(checked::multiply(c, constant)), checked::multiply(b, c));
    }
  }
  if (constant != 0) rest.push_back({constant, {}});
  const Dim dividend = make(std::move(rest));
  return make(std::move(quotient)) + (b == 1 ? dividend : atom(AtomKind::kFloorDiv, dividend, b));
}

}  // namespace tenon
