// Cases, wiring and comparison for the conformance harness.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "base/status_macros.h"
#include "conformance.h"
#include "ir/infer.h"
#include "ir/numeric.h"
#include "ir/op_table.h"

namespace tenon::conformance {
namespace {

using ir::DTypeSet;
using ir::Only;
using ir::Port;

const Port& PortOf(const ir::OpDef& op, std::size_t i) { return op.inputs[std::min(i, op.inputs.size() - 1)]; }

bool Holds(DTypeSet set, DType t) { return (set & Only(t)) != 0; }

// The dtype for a type variable that a sample's own dtype does not fit.
DType Default(DTypeSet set) {
  for (const DType t : {DType::kF32, DType::kI64, DType::kI32, DType::kBool, DType::kF64, DType::kString})
    if (Holds(set, t)) return t;
  for (int i = 0; i < kNumDTypes; ++i)
    if (Holds(set, static_cast<DType>(i))) return static_cast<DType>(i);
  return DType::kF32;
}

// The variable's dtype in the sample itself.
DType OwnDType(const ir::OpDef& op, const ir::Sample& s, std::string_view variable) {
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    const Port& port = PortOf(op, i);
    if (port.type != variable || !s.inputs[i]) continue;
    return Holds(port.dtypes, s.inputs[i]->dtype()) ? s.inputs[i]->dtype() : Default(port.dtypes);
  }
  return DType::kF32;
}

bool Computes(DType t) { return t != DType::kString; }

// The sample's inputs with `variable` in `dtype`, or nothing when a string stands in the way.
std::optional<Case> CaseOf(const ir::OpDef& op, const ir::Sample& s, std::string_view variable, DType dtype) {
  Case c{.op = &op, .sample = &s, .dtypes = std::string(variable) + "=" + std::string(dtype_name(dtype))};
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    if (!s.inputs[i]) {
      c.inputs.emplace_back();
      continue;
    }
    const Port& port = PortOf(op, i);
    const DType to = (port.flags & ir::kMixed) != 0 ? s.inputs[i]->dtype()
                     : port.type == variable        ? dtype
                                                    : OwnDType(op, s, port.type);
    if (to != s.inputs[i]->dtype() && !(Computes(to) && Computes(s.inputs[i]->dtype()))) return std::nullopt;
    c.inputs.emplace_back(ir::Convert(*s.inputs[i], to).value());
  }
  return c;
}

bool SameDTypes(const Case& a, const Case& b) {
  for (std::size_t i = 0; i < a.inputs.size(); ++i)
    if (a.inputs[i] && a.inputs[i]->dtype() != b.inputs[i]->dtype()) return false;
  return true;
}

void AddCases(Op& op, const ir::Sample& s, bool every_dtype) {
  std::optional<Case> own = CaseOf(*op.def, s, "", DType::kF32);
  if (!own) return;
  own->dtypes = "own";
  own->own = true;
  std::vector<Case> cases{*std::move(own)};
  if (!op.def->Is(ir::kControl) && !s.only_f32) {
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < op.def->inputs.size(); ++i) {
      const Port& port = op.def->inputs[i];
      if ((port.flags & (ir::kNonTensor | ir::kMixed)) != 0 || !seen.insert(port.type).second) continue;
      for (int t = 0; t < kNumDTypes; ++t) {
        const auto dtype = static_cast<DType>(t);
        if (!Holds(port.dtypes, dtype) || !Computes(dtype)) continue;
        if (!every_dtype && dtype != DType::kF32 && dtype != DType::kF64) continue;
        std::optional<Case> c = CaseOf(*op.def, s, port.type, dtype);
        if (c && std::none_of(cases.begin(), cases.end(), [&](const Case& other) { return SameDTypes(*c, other); }))
          cases.push_back(*std::move(c));
      }
    }
  }
  for (Case& c : cases) op.cases.push_back(std::move(c));
}

double Epsilon(DType t) {
  switch (t) {
    case DType::kF64:
    case DType::kC128:
      return 0x1p-52;
    case DType::kF16:
      return 0x1p-10;
    case DType::kBF16:
      return 0x1p-7;
    default:
      return 0x1p-23;
  }
}

std::string At(const Literal& l, std::int64_t flat) {
  std::string text = "[";
  std::vector<std::int64_t> index(l.dims().size());
  for (std::size_t i = index.size(); i-- > 0;) {
    index[i] = flat % l.dims()[i];
    flat /= l.dims()[i];
  }
  for (std::size_t i = 0; i < index.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(index[i]);
  return text + "]";
}

std::string Text(double v) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.17g", v);
  return buffer;
}

bool Close(double got, double want, const Tolerance& t) {
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want);
  if (got == want) return true;
  if (std::isinf(got) || std::isinf(want)) return false;
  return std::fabs(got - want) <= t.absolute + t.relative * std::fabs(want);
}

}  // namespace

Op MakeOp(const ir::OpDef& def, std::string_view family) {
  Op op{.def = &def, .family = family};
  if (def.samples != nullptr) op.samples = def.samples();
  bool first = true;
  for (const ir::Sample& s : op.samples) {
    if (!s.error.empty()) continue;
    AddCases(op, s, first);
    first = false;
  }
  return op;
}

Result<std::vector<ir::Datum>> Reference(const Case& c) {
  std::vector<ir::Datum> data;
  std::vector<const ir::Datum*> pointers;
  data.reserve(c.inputs.size());
  for (const auto& in : c.inputs) {
    if (in) data.emplace_back(*in);
    pointers.push_back(in ? &data.back() : nullptr);
  }
  return ir::EvalOp(*c.op, pointers, c.sample->attrs);
}

Result<Wired> Wire(const Case& c, const WireOptions& options) {
  Wired w;
  ir::Builder b(&w.graph);
  std::vector<ir::Value> args;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i]) {
      w.inputs.emplace_back();
      args.emplace_back();
      continue;
    }
    const Literal& x = *c.inputs[i];
    const bool transposed = options.form == InputForm::kTransposed && x.rank() >= 2;
    std::vector<std::int64_t> permutation;
    for (int a = x.rank() - 1; a >= 0; --a) permutation.push_back(a);
    Literal stored = x;
    if (transposed) {
      const ir::Datum in(x);
      const ir::Datum* pointer = &in;
      TENON_ASSIGN_OR_RETURN(const auto turned,
                             ir::EvalOp(ir::GetOp("transpose"), {&pointer, 1}, {{"permutation", permutation}}));
      stored = turned[0].literal();
    }
    std::vector<Dim> dims;
    for (int a = 0; a < stored.rank(); ++a)
      dims.push_back(options.form == InputForm::kSymbolic
                         ? Dim::symbol("d" + std::to_string(i) + "_" + std::to_string(a))
                         : Dim(stored.dims()[static_cast<std::size_t>(a)]));
    w.inputs.push_back(b.Input("in" + std::to_string(i), ir::Type::Tensor(stored.dtype(), Shape(std::move(dims)))));
    w.data.emplace_back(stored);
    ir::Value v = w.inputs.back();
    if (transposed) v = b.Transpose(v, permutation);
    const bool numbers = is_float(x.dtype()) && (ir::kFloatSet & Only(x.dtype())) != 0;
    if (options.surrounded && numbers) v = b.Add("neg", {b.Add("neg", {v})});
    args.push_back(v);
  }
  TENON_RETURN_IF_ERROR(b.status());
  ir::Attrs attrs = c.sample->attrs;
  if (options.lowered) {
    TENON_RETURN_IF_ERROR(ir::CompleteAttrs(*c.op, attrs));
    TENON_ASSIGN_OR_RETURN(w.outputs, ir::Lower(b, *c.op, args, attrs));
  } else {
    w.outputs = b.AddAll(*c.op, args, attrs);
  }
  if (options.surrounded)
    for (ir::Value& v : w.outputs)
      if (v.valid() && b.type(v).is_tensor() && (ir::kFloatSet & Only(b.dtype(v))) != 0) v = b(v) * 0.5 + 0.25;
  TENON_RETURN_IF_ERROR(b.status());
  w.graph.set_outputs(w.outputs);
  return w;
}

Tolerance ToleranceOf(const Case& c, const Literal& want) {
  const DType t = want.dtype();
  if (!is_float(t) && !is_complex(t)) return {};
  const double eps = Epsilon(t), extra = c.sample->tolerance * eps / 0x1p-23;
  if (c.op->Is(ir::kExact)) return {.relative = extra};
  Tolerance out{.relative = std::max(16 * eps, extra), .absolute = 2 * eps};
  if (c.op->Is(ir::kAccumulates)) {
    double terms = 1, scale = 1;
    for (const auto& in : c.inputs)
      if (in) terms = std::max(terms, static_cast<double>(in->size()));
    for (const double v : ir::ToDoubles(want))
      if (std::isfinite(v)) scale = std::max(scale, std::fabs(v));
    out.absolute = (4 + 2 * std::sqrt(terms)) * eps * scale;
  }
  return out;
}

std::string Difference(const Literal& got, const Literal& want, const Tolerance& tolerance) {
  if (got.dtype() != want.dtype() || got.dims() != want.dims())
    return "got " + got.to_string() + ", expected " + want.to_string();
  const DType t = got.dtype();
  if (!is_float(t) && !is_complex(t)) {
    if (identical(got, want)) return {};
    return "got " + got.to_string(16) + ", expected " + want.to_string(16);
  }
  const auto g = ir::ToComplex(got), w = ir::ToComplex(want);
  std::string text;
  int count = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    if (Close(g[i].real(), w[i].real(), tolerance) && Close(g[i].imag(), w[i].imag(), tolerance)) continue;
    if (++count > 3) continue;
    text += "at " + At(want, static_cast<std::int64_t>(i)) + " got " + Text(g[i].real()) + ", expected " +
            Text(w[i].real());
    if (is_complex(t)) text += " (imaginary " + Text(g[i].imag()) + ", " + Text(w[i].imag()) + ")";
    text += "; ";
  }
  if (count > 0)
    text += std::to_string(count) + " of " + std::to_string(g.size()) + " differ (relative " +
            Text(tolerance.relative) + ", absolute " + Text(tolerance.absolute) + ")";
  return text;
}

std::string Difference(const ir::Datum& got, const ir::Datum& want, const Tolerance& tolerance) {
  if (got.kind != want.kind) return "got " + got.type().to_string() + ", expected " + want.type().to_string();
  if (want.kind == ir::Type::Kind::kTensor) return Difference(got.literal(), want.literal(), tolerance);
  if (want.items == nullptr) return {};
  if (got.items->size() != want.items->size())
    return "got " + std::to_string(got.items->size()) + " items, expected " + std::to_string(want.items->size());
  for (std::size_t i = 0; i < want.items->size(); ++i)
    if (std::string text = Difference((*got.items)[i], (*want.items)[i], tolerance); !text.empty())
      return "item " + std::to_string(i) + ": " + text;
  return {};
}

void ExpectOutputs(const Case& c, const std::vector<ir::Datum>& got, const std::vector<ir::Datum>& want,
                   std::string_view what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const Tolerance tolerance = want[i].tensor ? ToleranceOf(c, want[i].literal()) : Tolerance();
    const std::string text = Difference(got[i], want[i], tolerance);
    EXPECT_TRUE(text.empty()) << what << ", output " << i << ": " << text;
  }
}

Literal Noise(std::vector<std::int64_t> dims, int seed) {
  return ir::Convert(ir::Random(std::move(dims), seed, -1, 1), DType::kF64).value();
}

}  // namespace tenon::conformance
