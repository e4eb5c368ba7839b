// Dims as polynomials over atoms. An atom is a symbol or one of floor_div, ceil_div, mod, min, max, broadcast of two
// dims. A polynomial is a sorted list of terms, each a coefficient and a sorted list of atoms (powers are repeats).
// Division by a number c > 0 is normal when every coefficient of the dividend is in [0, c), has no divisor in common
// with c, and the dividend is no division itself: floor_div(n - 1, 2) + 1 and ceil_div(n, 2) are floor_div(n + 1, 2),
// floor_div(floor_div(n, 2), 2) is floor_div(n, 4).
#include <algorithm>
#include <atomic>
#include <charconv>
#include <numeric>
#include <ostream>
#include <set>

#include "tenon/types.h"

namespace tenon {

namespace {
enum class AtomKind : std::uint8_t { kSymbol, kFloorDiv, kCeilDiv, kMod, kMin, kMax, kBroadcast };
constexpr std::string_view kAtomNames[] = {"", "floor_div", "ceil_div", "mod", "min", "max", "broadcast"};

// Limits on what a hostile expression can make us hold.
constexpr std::size_t kMaxTerms = 4096;
constexpr std::size_t kMaxAtomText = 16384;

struct Atom {
  AtomKind kind = AtomKind::kSymbol;
  std::string name;  // of a symbol
  std::string text;  // as printed: the sort key, equal iff the atoms are equal
  Dim a, b;          // operands of a call
};
using AtomPtr = std::shared_ptr<const Atom>;
bool atom_less(const AtomPtr& x, const AtomPtr& y) { return x->text < y->text; }
struct Term {
  std::int64_t coefficient = 0;
  std::vector<AtomPtr> atoms;
};
int compare_atoms(const std::vector<AtomPtr>& x, const std::vector<AtomPtr>& y) {
  // Higher degree first, then by text, so that the constant comes last.
  if (x.size() != y.size()) return x.size() > y.size() ? -1 : 1;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (const int c = x[i]->text.compare(y[i]->text); c != 0) return c;
  return 0;
}
[[noreturn]] void overflow(std::int64_t a, const char* op, std::int64_t b) {
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
bool divides(std::int64_t b, std::int64_t a) { return b == -1 || a % b == 0; }

bool plain_symbol(std::string_view s) {
  if (s.empty() || !(std::isalpha(static_cast<unsigned char>(s[0])) || s[0] == '_')) return false;
  return std::all_of(s.begin(), s.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.'; });
}
std::string symbol_text(const std::string& s) {
  if (plain_symbol(s)) return s;
  std::string out = "'";
  for (const char c : s) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}
}  // namespace

struct DimExpr {
  std::vector<Term> terms;  // sorted, no zero coefficients

  static std::vector<Term> terms_of(const Dim& d) {
    if (d.expr_) return d.expr_->terms;
    if (d.n_ == 0) return {};
    return {Term{d.n_, {}}};
  }
  static Dim make(std::vector<Term> terms) {
    std::sort(terms.begin(), terms.end(),
              [](const Term& x, const Term& y) { return compare_atoms(x.atoms, y.atoms) < 0; });
    std::vector<Term> merged;
    for (Term& t : terms) {
      if (!merged.empty() && compare_atoms(merged.back().atoms, t.atoms) == 0)
        merged.back().coefficient = add(merged.back().coefficient, t.coefficient);
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
  static Dim atom(AtomKind kind, const Dim& a, const Dim& b) {
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
  /// For the operands of a commutative call.
  static Dim sorted_atom(AtomKind kind, const Dim& a, const Dim& b) {
    return a.to_string() < b.to_string() ? atom(kind, a, b) : atom(kind, b, a);
  }
  static const DimExpr* get(const Dim& d) { return d.expr_.get(); }
  /// Nothing when a - b is beyond 64 bits.
  static std::optional<Dim> subtract(const Dim& a, const Dim& b) {
    try {
      return a - b;
    } catch (const Error&) {
      return std::nullopt;
    }
  }
  /// Known to be a >= b.
  static bool at_least(const Dim& a, const Dim& b) {
    const std::optional<Dim> d = subtract(a, b);
    return d && non_negative(*d);
  }
  static bool non_negative(const Dim& d);
  static bool non_negative(const Atom& atom);
  static Dim divide_by_number(const Dim& a, std::int64_t b);
};

// Known to be >= 0: what symbols with coefficients >= 0 can make.
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

namespace {
// Fresh symbols are d0_, d1_, …; a symbol read from a text with such a name moves the counter past it.
std::atomic<std::int64_t> next_symbol{0};
void reserve(std::string_view name) {
  if (name.size() < 3 || name.front() != 'd' || name.back() != '_') return;
  std::int64_t n = 0;
  const char* end = name.data() + name.size() - 1;
  const auto [at, error] = std::from_chars(name.data() + 1, end, n);
  if (error != std::errc() || at != end || n < 0 || n >= (std::int64_t{1} << 62)) return;
  std::int64_t next = next_symbol.load();
  while (next <= n && !next_symbol.compare_exchange_weak(next, n + 1)) {
  }
}
}  // namespace

Dim Dim::symbol(std::string name) {
  if (name.empty()) fail(Code::kInvalidArgument, "Dim: a symbol needs a name");
  reserve(name);
  auto made = std::make_shared<Atom>();
  made->text = symbol_text(name);
  made->name = std::move(name);
  return DimExpr::make({Term{1, {std::move(made)}}});
}

Dim Dim::any() { return symbol("d" + std::to_string(next_symbol++) + "_"); }

Dim operator+(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return add(a.n_, b.n_);
  std::vector<Term> terms = DimExpr::terms_of(a);
  const std::vector<Term> more = DimExpr::terms_of(b);
  terms.insert(terms.end(), more.begin(), more.end());
  return DimExpr::make(std::move(terms));
}

Dim operator*(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return multiply(a.n_, b.n_);
  std::vector<Term> terms;
  const std::vector<Term> left = DimExpr::terms_of(a), right = DimExpr::terms_of(b);
  if (left.size() * right.size() > kMaxTerms)
    fail(Code::kResourceExhausted, "Dim: a product has more than " + std::to_string(kMaxTerms) + " terms");
  for (const Term& x : left)
    for (const Term& y : right) {
      Term t{multiply(x.coefficient, y.coefficient), x.atoms};
      t.atoms.insert(t.atoms.end(), y.atoms.begin(), y.atoms.end());
      std::sort(t.atoms.begin(), t.atoms.end(), atom_less);
      terms.push_back(std::move(t));
    }
  return DimExpr::make(std::move(terms));
}

Dim operator-(const Dim& a, const Dim& b) {
  if (a.is_symbolic() || b.is_symbolic()) return a + Dim(-1) * b;
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a.n_, b.n_, &difference)) overflow(a.n_, " - ", b.n_);
  return difference;
}

bool operator==(const Dim& a, const Dim& b) { return Dim::equal(a, b) == Truth::kYes; }

Truth Dim::equal(const Dim& a, const Dim& b) {
  if (a.expr_ == b.expr_) return a.expr_ || a.n_ == b.n_ ? Truth::kYes : Truth::kNo;
  if (!a.expr_ && !b.expr_) return a.n_ == b.n_ ? Truth::kYes : Truth::kNo;
  const std::optional<Dim> difference = DimExpr::subtract(a, b);
  if (!difference) return a.to_string() == b.to_string() ? Truth::kYes : Truth::kUnknown;
  const Dim& d = *difference;
  if (!d.is_symbolic()) return d.n_ == 0 ? Truth::kYes : Truth::kNo;
  // A polynomial over atoms that are not negative, whose coefficients all have the sign of a constant term, is not
  // zero.
  const std::vector<Term>& terms = DimExpr::get(d)->terms;
  if (!terms.back().atoms.empty()) return Truth::kUnknown;
  for (const Term& t : terms) {
    if ((t.coefficient < 0) != (terms.back().coefficient < 0)) return Truth::kUnknown;
    for (const AtomPtr& atom : t.atoms)
      if (!DimExpr::non_negative(*atom)) return Truth::kUnknown;
  }
  return Truth::kNo;
}

// b > 0. Takes out what is divisible: floor((b*q + r) / b) = q + floor(r / b).
Dim DimExpr::divide_by_number(const Dim& a, std::int64_t b) {
  std::vector<Term> quotient, rest;
  std::int64_t common = b, constant = 0;
  for (const Term& t : terms_of(a)) {
    const std::int64_t q = floor_divide(t.coefficient, b), r = floor_modulo(t.coefficient, b);
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
      return make(std::move(quotient)) + Dim::floor_div(inner.a + Dim(multiply(c, constant)), multiply(b, c));
    }
  }
  if (constant != 0) rest.push_back({constant, {}});
  const Dim dividend = make(std::move(rest));
  return make(std::move(quotient)) + (b == 1 ? dividend : atom(AtomKind::kFloorDiv, dividend, b));
}

Dim Dim::floor_div(const Dim& a, const Dim& b) {
  if (!b.is_symbolic() && b.n_ == 0) fail(Code::kInvalidArgument, "Dim: " + a.to_string() + " divided by 0");
  if (!a.is_symbolic() && !b.is_symbolic()) return floor_divide(a.n_, b.n_);
  if (!b.is_symbolic()) return b.n_ > 0 ? DimExpr::divide_by_number(a, b.n_) : floor_div(Dim(-1) * a, Dim(-1) * b);
  if (a == b) return Dim(1);
  if (const std::vector<Term>& divisor = DimExpr::get(b)->terms; divisor.size() == 1) {
    // Divide each term by a single-term divisor when it divides all of them.
    std::vector<Term> terms = DimExpr::terms_of(a);
    const auto divide = [&](Term& t) {
      if (!divides(divisor[0].coefficient, t.coefficient)) return false;
      t.coefficient = floor_divide(t.coefficient, divisor[0].coefficient);
      for (const AtomPtr& atom : divisor[0].atoms) {
        const auto it =
            std::find_if(t.atoms.begin(), t.atoms.end(), [&](const AtomPtr& x) { return x->text == atom->text; });
        if (it == t.atoms.end()) return false;
        t.atoms.erase(it);
      }
      return true;
    };
    if (std::all_of(terms.begin(), terms.end(), divide)) return DimExpr::make(std::move(terms));
  }
  return DimExpr::atom(AtomKind::kFloorDiv, a, b);
}

Dim Dim::ceil_div(const Dim& a, const Dim& b) {
  if (!b.is_symbolic() && b.n_ < 0) return ceil_div(Dim(-1) * a, Dim(-1) * b);
  if (!b.is_symbolic()) return floor_div(a + Dim(b.n_ == 0 ? 0 : b.n_ - 1), b);
  const Dim exact = floor_div(a, b);
  const std::vector<Term> terms = DimExpr::terms_of(exact);
  const bool is_division = terms.size() == 1 && terms[0].atoms.size() == 1 &&
                           terms[0].atoms[0]->kind == AtomKind::kFloorDiv && terms[0].atoms[0]->b == b;
  return is_division ? DimExpr::atom(AtomKind::kCeilDiv, a, b) : exact;
}

Dim Dim::mod(const Dim& a, const Dim& b) {
  if (!b.is_symbolic() && b.n_ == 0) fail(Code::kInvalidArgument, "Dim: " + a.to_string() + " modulo 0");
  if (!a.is_symbolic() && !b.is_symbolic()) return floor_modulo(a.n_, b.n_);
  if (a == b) return Dim(0);
  if (b.is_symbolic()) return DimExpr::atom(AtomKind::kMod, a, b);
  if (b.n_ < 0) return Dim(-1) * mod(Dim(-1) * a, Dim(-1) * b);
  std::vector<Term> rest = DimExpr::terms_of(a);
  for (Term& t : rest) t.coefficient = floor_modulo(t.coefficient, b.n_);
  const Dim reduced = DimExpr::make(std::move(rest));
  return reduced.is_symbolic() ? DimExpr::atom(AtomKind::kMod, reduced, b) : reduced;
}

Dim Dim::min(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return std::min(a.n_, b.n_);
  if (DimExpr::at_least(a, b)) return b;
  if (DimExpr::at_least(b, a)) return a;
  return DimExpr::sorted_atom(AtomKind::kMin, a, b);
}

Dim Dim::max(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return std::max(a.n_, b.n_);
  if (DimExpr::at_least(a, b)) return a;
  if (DimExpr::at_least(b, a)) return b;
  return DimExpr::sorted_atom(AtomKind::kMax, a, b);
}

Dim Dim::broadcast(const Dim& a, const Dim& b) {
  if (a == b) return a;
  if (!a.is_symbolic() && a.n_ == 1) return b;
  if (!b.is_symbolic() && b.n_ == 1) return a;
  if (!a.is_symbolic() && !b.is_symbolic())
    fail(Code::kInvalidArgument, "Dim: cannot broadcast " + a.to_string() + " with " + b.to_string());
  if (!a.is_symbolic()) return a;  // a > 1 or 0: b is 1 or equal, checked at run time
  if (!b.is_symbolic()) return b;
  return DimExpr::sorted_atom(AtomKind::kBroadcast, a, b);
}

std::int64_t Dim::value() const {
  if (is_symbolic()) fail(Code::kFailedPrecondition, "Dim " + to_string() + ": symbolic, known only at run time");
  return n_;
}

std::optional<std::int64_t> Dim::try_value() const {
  if (is_symbolic()) return std::nullopt;
  return n_;
}

Dim Dim::substitute(const std::function<std::optional<Dim>(std::string_view)>& lookup) const {
  if (!expr_) return *this;
  Dim sum = 0;
  for (const Term& t : expr_->terms) {
    Dim product = t.coefficient;
    for (const AtomPtr& atom : t.atoms) {
      if (atom->kind == AtomKind::kSymbol) {
        const std::optional<Dim> other = lookup(atom->name);
        product = product * (other ? *other : Dim::symbol(atom->name));
        continue;
      }
      const Dim a = atom->a.substitute(lookup), b = atom->b.substitute(lookup);
      switch (atom->kind) {
        case AtomKind::kFloorDiv:
          product = product * floor_div(a, b);
          break;
        case AtomKind::kCeilDiv:
          product = product * ceil_div(a, b);
          break;
        case AtomKind::kMod:
          product = product * mod(a, b);
          break;
        case AtomKind::kMin:
          product = product * min(a, b);
          break;
        case AtomKind::kMax:
          product = product * max(a, b);
          break;
        default:
          product = product * broadcast(a, b);
          break;
      }
    }
    sum = sum + product;
  }
  return sum;
}

Result<std::int64_t> Dim::evaluate(const std::function<std::optional<std::int64_t>(std::string_view)>& lookup) const {
  if (!expr_) return n_;
  std::string missing;
  try {
    const Dim d = substitute([&](std::string_view name) -> std::optional<Dim> {
      if (const std::optional<std::int64_t> v = lookup(name)) return Dim(*v);
      if (missing.empty()) missing = name;
      return std::nullopt;
    });
    if (!missing.empty() || d.is_symbolic())
      return Status(Code::kFailedPrecondition, "Dim " + to_string() + ": no value for symbol " + missing);
    return d.value();
  } catch (const Error& e) {
    return e.status();
  }
}

std::vector<std::string> Dim::symbols() const {
  std::set<std::string> names;
  if (expr_)
    for (const Term& t : expr_->terms)
      for (const AtomPtr& atom : t.atoms) {
        if (atom->kind == AtomKind::kSymbol) {
          names.insert(atom->name);
        } else {
          for (const Dim* d : {&atom->a, &atom->b})
            for (std::string& s : d->symbols()) names.insert(std::move(s));
        }
      }
  return {names.begin(), names.end()};
}

std::string_view Dim::symbol_name() const {
  if (!expr_ || expr_->terms.size() != 1) return {};
  const Term& t = expr_->terms[0];
  if (t.coefficient != 1 || t.atoms.size() != 1 || t.atoms[0]->kind != AtomKind::kSymbol) return {};
  return t.atoms[0]->name;
}

std::string Dim::to_string() const {
  if (!expr_) return std::to_string(n_);
  std::string out;
  for (const Term& t : expr_->terms) {
    std::string product;
    if (t.atoms.empty() || t.coefficient != 1) product = std::to_string(t.coefficient);
    if (!out.empty()) {
      const bool negative = t.coefficient < 0;
      out += negative ? " - " : " + ";
      if (negative) product.erase(0, 1);
      if (product == "1" && !t.atoms.empty()) product.clear();
    }
    for (const AtomPtr& atom : t.atoms) {
      if (!product.empty()) product += "*";
      product += atom->text;
    }
    out += product;
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const Dim& dim) { return out << dim.to_string(); }

}  // namespace tenon
