// Symbols, arithmetic, evaluation and text of Dim, over the polynomials of dim_expr.h.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <ostream>
#include <set>

#include "tensor/dim_expr.h"

namespace tenon {

namespace {
using AtomKind = DimExpr::AtomKind;
using AtomPtr = DimExpr::AtomPtr;
using Term = DimExpr::Term;

bool atom_less(const AtomPtr& x, const AtomPtr& y) { return x->text < y->text; }
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
  auto made = std::make_shared<DimExpr::Atom>();
  made->text = symbol_text(name);
  made->name = std::move(name);
  return DimExpr::make({Term{1, {std::move(made)}}});
}

Dim Dim::any() { return symbol("d" + std::to_string(next_symbol++) + "_"); }

Dim operator+(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return checked::add(a.n_, b.n_);
  std::vector<Term> terms = DimExpr::terms_of(a);
  const std::vector<Term> more = DimExpr::terms_of(b);
  terms.insert(terms.end(), more.begin(), more.end());
  return DimExpr::make(std::move(terms));
}

Dim operator*(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return checked::multiply(a.n_, b.n_);
  std::vector<Term> terms;
  const std::vector<Term> left = DimExpr::terms_of(a), right = DimExpr::terms_of(b);
  if (left.size() * right.size() > DimExpr::kMaxTerms)
    fail(Code::kResourceExhausted, "Dim: a product has more than " + std::to_string(DimExpr::kMaxTerms) + " terms");
  for (const Term& x : left)
    for (const Term& y : right) {
      Term t{checked::multiply(x.coefficient, y.coefficient), x.atoms};
      t.atoms.insert(t.atoms.end(), y.atoms.begin(), y.atoms.end());
      std::sort(t.atoms.begin(), t.atoms.end(), atom_less);
      terms.push_back(std::move(t));
    }
  return DimExpr::make(std::move(terms));
}

Dim operator-(const Dim& a, const Dim& b) {
  if (a.is_symbolic() || b.is_symbolic()) return a + Dim(-1) * b;
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a.n_, b.n_, &difference)) checked::overflow(a.n_, " - ", b.n_);
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

Dim Dim::floor_div(const Dim& a, const Dim& b) {
  if (!b.is_symbolic() && b.n_ == 0) fail(Code::kInvalidArgument, "Dim: " + a.to_string() + " divided by 0");
  if (!a.is_symbolic() && !b.is_symbolic()) return checked::floor_divide(a.n_, b.n_);
  if (!b.is_symbolic()) return b.n_ > 0 ? DimExpr::divide_by_number(a, b.n_) : floor_div(Dim(-1) * a, Dim(-1) * b);
  if (a == b) return Dim(1);
  if (const std::vector<Term>& divisor = DimExpr::get(b)->terms; divisor.size() == 1) {
    // Divide each term by a single-term divisor when it divides all of them.
    std::vector<Term> terms = DimExpr::terms_of(a);
    const auto divide = [&](Term& t) {
      if (!divides(divisor[0].coefficient, t.coefficient)) return false;
      t.coefficient = checked::floor_divide(t.coefficient, divisor[0].coefficient);
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
  if (!a.is_symbolic() && !b.is_symbolic() && b.n_ > 0) return a.n_ / b.n_ + (a.n_ % b.n_ > 0 ? 1 : 0);
  if (!b.is_symbolic()) return floor_div(a + Dim(b.n_ == 0 ? 0 : b.n_ - 1), b);
  const Dim exact = floor_div(a, b);
  const std::vector<Term> terms = DimExpr::terms_of(exact);
  const bool is_division = terms.size() == 1 && terms[0].atoms.size() == 1 &&
                           terms[0].atoms[0]->kind == AtomKind::kFloorDiv && terms[0].atoms[0]->b == b;
  return is_division ? DimExpr::atom(AtomKind::kCeilDiv, a, b) : exact;
}

Dim Dim::mod(const Dim& a, const Dim& b) {
  if (!b.is_symbolic() && b.n_ == 0) fail(Code::kInvalidArgument, "Dim: " + a.to_string() + " modulo 0");
  if (!a.is_symbolic() && !b.is_symbolic()) return checked::floor_modulo(a.n_, b.n_);
  if (a == b) return Dim(0);
  if (b.is_symbolic()) return DimExpr::atom(AtomKind::kMod, a, b);
  if (b.n_ < 0) return Dim(-1) * mod(Dim(-1) * a, Dim(-1) * b);
  std::vector<Term> rest = DimExpr::terms_of(a);
  for (Term& t : rest) t.coefficient = checked::floor_modulo(t.coefficient, b.n_);
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
