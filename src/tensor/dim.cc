// Dims as polynomials over atoms. An atom is a symbol or one of floor_div, ceil_div, mod, min, max, broadcast of two
// dims. A polynomial is a sorted list of terms, each a coefficient and a sorted list of atoms (powers are repeats).
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <ostream>
#include <set>

#include "tenon/types.h"

namespace tenon {

namespace {
enum class AtomKind : std::uint8_t { kSymbol, kFloorDiv, kCeilDiv, kMod, kMin, kMax, kBroadcast };
constexpr std::string_view kAtomNames[] = {"", "floor_div", "ceil_div", "mod", "min", "max", "broadcast"};

struct Atom {
  AtomKind kind = AtomKind::kSymbol;
  std::string text;  // the symbol's name, or the printed call: the sort key, equal iff the atoms are equal
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
std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  const std::int64_t q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
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
        merged.back().coefficient += t.coefficient;
      else
        merged.push_back(std::move(t));
    }
    std::erase_if(merged, [](const Term& t) { return t.coefficient == 0; });
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
    return make({Term{1, {std::move(made)}}});
  }
  static const DimExpr* get(const Dim& d) { return d.expr_.get(); }
};

Dim Dim::symbol(std::string name) {
  auto made = std::make_shared<Atom>();
  made->text = std::move(name);
  return DimExpr::make({Term{1, {std::move(made)}}});
}

Dim Dim::any() {
  static std::atomic<std::int64_t> next{0};
  return symbol("d" + std::to_string(next++) + "_");
}

Dim operator+(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return a.n_ + b.n_;
  std::vector<Term> terms = DimExpr::terms_of(a);
  const std::vector<Term> more = DimExpr::terms_of(b);
  terms.insert(terms.end(), more.begin(), more.end());
  return DimExpr::make(std::move(terms));
}

Dim operator*(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return a.n_ * b.n_;
  std::vector<Term> terms;
  for (const Term& x : DimExpr::terms_of(a))
    for (const Term& y : DimExpr::terms_of(b)) {
      Term t{x.coefficient * y.coefficient, x.atoms};
      t.atoms.insert(t.atoms.end(), y.atoms.begin(), y.atoms.end());
      std::sort(t.atoms.begin(), t.atoms.end(), atom_less);
      terms.push_back(std::move(t));
    }
  return DimExpr::make(std::move(terms));
}

Dim operator-(const Dim& a, const Dim& b) { return a + Dim(-1) * b; }

bool operator==(const Dim& a, const Dim& b) { return Dim::equal(a, b) == Truth::kYes; }

Truth Dim::equal(const Dim& a, const Dim& b) {
  if (a.expr_ == b.expr_) return a.expr_ || a.n_ == b.n_ ? Truth::kYes : Truth::kNo;
  const Dim d = a - b;
  if (!d.is_symbolic()) return d.n_ == 0 ? Truth::kYes : Truth::kNo;
  // Symbols and atoms are not negative where their operands are not, so a polynomial whose coefficients all have the
  // sign of a non-zero constant term cannot be zero.
  const std::vector<Term>& terms = DimExpr::get(d)->terms;
  if (!terms.back().atoms.empty()) return Truth::kUnknown;
  for (const Term& t : terms) {
    if ((t.coefficient < 0) != (terms.back().coefficient < 0)) return Truth::kUnknown;
    for (const AtomPtr& atom : t.atoms)
      if (atom->kind != AtomKind::kSymbol) return Truth::kUnknown;
  }
  return Truth::kNo;
}

Dim Dim::floor_div(const Dim& a, const Dim& b) {
  if (!b.is_symbolic() && b.n_ == 0) fail(Code::kInvalidArgument, "Dim: " + a.to_string() + " divided by 0");
  if (!a.is_symbolic() && !b.is_symbolic()) return floor_divide(a.n_, b.n_);
  if (!b.is_symbolic() && b.n_ == 1) return a;
  if (a == b) return Dim(1);
  std::vector<Term> terms = DimExpr::terms_of(a);
  if (!b.is_symbolic()) {
    bool exact = true;
    for (const Term& t : terms) exact = exact && t.coefficient % b.n_ == 0;
    if (exact) {
      for (Term& t : terms) t.coefficient /= b.n_;
      return DimExpr::make(std::move(terms));
    }
  } else if (const std::vector<Term>& divisor = DimExpr::get(b)->terms; divisor.size() == 1) {
    // Divide each term by a single-term divisor when it divides all of them.
    bool exact = true;
    for (Term& t : terms) {
      exact = exact && t.coefficient % divisor[0].coefficient == 0;
      if (!exact) break;
      t.coefficient /= divisor[0].coefficient;
      for (const AtomPtr& atom : divisor[0].atoms) {
        const auto it =
            std::find_if(t.atoms.begin(), t.atoms.end(), [&](const AtomPtr& x) { return x->text == atom->text; });
        if (it == t.atoms.end()) {
          exact = false;
          break;
        }
        t.atoms.erase(it);
      }
    }
    if (exact) return DimExpr::make(std::move(terms));
  }
  return DimExpr::atom(AtomKind::kFloorDiv, a, b);
}

Dim Dim::ceil_div(const Dim& a, const Dim& b) {
  if (!b.is_symbolic() && b.n_ == 0) fail(Code::kInvalidArgument, "Dim: " + a.to_string() + " divided by 0");
  if (!a.is_symbolic() && !b.is_symbolic()) return -floor_divide(-a.n_, b.n_);
  const Dim exact = floor_div(a, b);
  const DimExpr* e = DimExpr::get(exact);
  const bool is_division = e && std::any_of(e->terms.begin(), e->terms.end(), [](const Term& t) {
                             return std::any_of(t.atoms.begin(), t.atoms.end(),
                                                [](const AtomPtr& x) { return x->kind == AtomKind::kFloorDiv; });
                           });
  return is_division ? DimExpr::atom(AtomKind::kCeilDiv, a, b) : exact;
}

Dim Dim::mod(const Dim& a, const Dim& b) {
  if (!b.is_symbolic() && b.n_ == 0) fail(Code::kInvalidArgument, "Dim: " + a.to_string() + " modulo 0");
  if (!a.is_symbolic() && !b.is_symbolic()) return a.n_ - b.n_ * floor_divide(a.n_, b.n_);
  if (a == b || (!b.is_symbolic() && b.n_ == 1)) return Dim(0);
  return DimExpr::atom(AtomKind::kMod, a, b);
}

Dim Dim::min(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return std::min(a.n_, b.n_);
  if (a == b) return a;
  return a.to_string() < b.to_string() ? DimExpr::atom(AtomKind::kMin, a, b) : DimExpr::atom(AtomKind::kMin, b, a);
}

Dim Dim::max(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) return std::max(a.n_, b.n_);
  if (a == b) return a;
  // A lone symbol is never below 0.
  if (!a.symbol_name().empty() && !b.is_symbolic() && b.n_ <= 0) return a;
  if (!b.symbol_name().empty() && !a.is_symbolic() && a.n_ <= 0) return b;
  return a.to_string() < b.to_string() ? DimExpr::atom(AtomKind::kMax, a, b) : DimExpr::atom(AtomKind::kMax, b, a);
}

Dim Dim::broadcast(const Dim& a, const Dim& b) {
  if (a == b) return a;
  if (!a.is_symbolic() && a.n_ == 1) return b;
  if (!b.is_symbolic() && b.n_ == 1) return a;
  if (!a.is_symbolic()) return a;  // a > 1 or 0: b is 1 or equal, checked at run time
  if (!b.is_symbolic()) return b;
  return a.to_string() < b.to_string() ? DimExpr::atom(AtomKind::kBroadcast, a, b)
                                       : DimExpr::atom(AtomKind::kBroadcast, b, a);
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
        product = product * lookup(atom->text).value_or(Dim::symbol(atom->text));
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
          names.insert(atom->text);
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
  return t.atoms[0]->text;
}

namespace {
bool plain_symbol(std::string_view s) {
  if (s.empty() || !(std::isalpha(static_cast<unsigned char>(s[0])) || s[0] == '_')) return false;
  return std::all_of(s.begin(), s.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.'; });
}
std::string symbol_text(const std::string& s) { return plain_symbol(s) ? s : "'" + s + "'"; }
}  // namespace

std::string Dim::to_string() const {
  if (!expr_) return std::to_string(n_);
  std::string out;
  for (const Term& t : expr_->terms) {
    std::int64_t c = t.coefficient;
    if (!out.empty()) {
      out += c < 0 ? " - " : " + ";
      c = std::abs(c);
    }
    std::string product;
    if (t.atoms.empty() || c != 1) product = std::to_string(c);
    for (const AtomPtr& atom : t.atoms) {
      if (!product.empty()) product += "*";
      product += atom->kind == AtomKind::kSymbol ? symbol_text(atom->text) : atom->text;
    }
    out += product;
  }
  return out;
}

namespace {
// sum := product (('+'|'-') product)*, product := factor ('*' factor)*,
// factor := number | name | 'quoted name' | function(sum, sum) | (sum)
class DimParser {
 public:
  explicit DimParser(std::string_view text) : text_(text) {}
  Dim parse() {
    Dim d = sum(0);
    skip();
    if (at_ != text_.size()) error("end");
    return d;
  }

 private:
  [[noreturn]] void error(std::string_view expected) const {
    fail(Code::kInvalidArgument,
         "Dim \"" + std::string(text_) + "\": expected " + std::string(expected) + " at offset " + std::to_string(at_));
  }
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Dim sum(int depth) {
    if (depth > 100) error("at most 100 levels");
    Dim d = product(depth);
    for (;;) {
      if (take('+'))
        d = d + product(depth);
      else if (take('-'))
        d = d - product(depth);
      else
        return d;
    }
  }
  Dim product(int depth) {
    Dim d = factor(depth);
    while (take('*')) d = d * factor(depth);
    return d;
  }
  Dim factor(int depth) {
    if (take('(')) {
      Dim d = sum(depth + 1);
      if (!take(')')) error(")");
      return d;
    }
    skip();
    const std::size_t start = at_;
    if (take('-')) {
      skip();
      if (at_ < text_.size() && !std::isdigit(static_cast<unsigned char>(text_[at_])))
        return Dim(-1) * factor(depth + 1);
    }
    if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) {
      std::int64_t n = 0;
      const auto [end, ec] = std::from_chars(text_.data() + start, text_.data() + text_.size(), n);
      if (ec != std::errc()) error("a 64-bit number");
      at_ = static_cast<std::size_t>(end - text_.data());
      return n;
    }
    if (take('\'')) {
      const std::size_t end = text_.find('\'', at_);
      if (end == std::string_view::npos) error("'");
      std::string name(text_.substr(at_, end - at_));
      at_ = end + 1;
      return Dim::symbol(std::move(name));
    }
    std::size_t end = at_;
    while (end < text_.size() && plain_symbol(text_.substr(at_, end - at_ + 1))) ++end;
    if (end == at_) error("a number, a name or (");
    std::string name(text_.substr(at_, end - at_));
    at_ = end;
    if (!take('(')) return Dim::symbol(std::move(name));
    const Dim a = sum(depth + 1);
    if (!take(',')) error(",");
    const Dim b = sum(depth + 1);
    if (!take(')')) error(")");
    if (name == "floor_div") return Dim::floor_div(a, b);
    if (name == "ceil_div") return Dim::ceil_div(a, b);
    if (name == "mod") return Dim::mod(a, b);
    if (name == "min") return Dim::min(a, b);
    if (name == "max") return Dim::max(a, b);
    if (name == "broadcast") return Dim::broadcast(a, b);
    error("floor_div, ceil_div, mod, min, max or broadcast before (");
  }
  std::string_view text_;
  std::size_t at_ = 0;
};
}  // namespace

Result<Dim> Dim::parse(std::string_view text) {
  try {
    return DimParser(text).parse();
  } catch (const Error& e) {
    return e.status();
  }
}

std::ostream& operator<<(std::ostream& out, const Dim& dim) { return out << dim.to_string(); }

}  // namespace tenon
