// Checks 1 and 10: inference against what is computed, and the errors of error samples.
#include "conformance.h"
#include "ir/infer.h"
#include "ir/numeric.h"

namespace tenon::conformance {
namespace {

enum class Known { kDims, kDistinctSymbols, kSharedSymbols, kNothing };

ir::Output TypeOf(const Literal& x, std::size_t input, Known known, bool value) {
  ir::Output out;
  std::vector<Dim> dims;
  for (std::size_t a = 0; a < x.dims().size(); ++a) {
    const std::string n = std::to_string(x.dims()[a]);
    switch (known) {
      case Known::kDims:
        dims.emplace_back(x.dims()[a]);
        break;
      case Known::kDistinctSymbols:
        dims.push_back(Dim::symbol("i" + std::to_string(input) + "a" + std::to_string(a) + "_" + n));
        break;
      default:
        dims.push_back(Dim::symbol("shared_" + n));
    }
  }
  out.type = known == Known::kNothing ? ir::Type::TensorOfUnknownRank(x.dtype())
                                      : ir::Type::Tensor(x.dtype(), Shape(std::move(dims)));
  if (value && is_integer(x.dtype()) && x.rank() <= 1 && x.size() <= 64) {
    std::vector<Dim> elements;
    for (const std::int64_t v : ir::ToInts(x)) elements.emplace_back(v);
    out.symbolic = std::move(elements);
  }
  return out;
}

// A symbol of ours ends in the number that it stands for.
std::optional<Dim> Lookup(std::string_view name) {
  const bool ours = name.starts_with("shared_") || (name.starts_with("i") && name.find('_') != std::string_view::npos);
  if (!ours) return std::nullopt;
  return Dim(std::stoll(std::string(name.substr(name.rfind('_') + 1))));
}

Result<std::vector<ir::Output>> InferCase(const Case& c, Known known, bool value) {
  std::vector<ir::Output> types;
  std::vector<const ir::Output*> pointers;
  types.reserve(c.inputs.size());
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i]) types.push_back(TypeOf(*c.inputs[i], i, known, value));
    pointers.push_back(c.inputs[i] ? &types.back() : nullptr);
  }
  ir::Attrs attrs = c.sample->attrs;
  return ir::Infer(*c.op, pointers, attrs);
}

void Compare(const std::vector<ir::Output>& inferred, const std::vector<ir::Datum>& computed, std::string_view what) {
  ASSERT_EQ(inferred.size(), computed.size()) << what;
  for (std::size_t i = 0; i < inferred.size(); ++i) {
    const ir::Type type = inferred[i].type.Substitute(Lookup), real = computed[i].type();
    if (type == real) continue;
    const bool open = !type.is_static() && type.Accepts(real);
    EXPECT_TRUE(open) << what << ", output " << i << ": inferred " << inferred[i].type.to_string() << " (that is "
                      << type.to_string() << "), computed " << real.to_string();
  }
  for (std::size_t i = 0; i < inferred.size(); ++i) {
    if (!inferred[i].symbolic || !computed[i].tensor) continue;
    const std::vector<std::int64_t> real = ir::ToInts(computed[i].literal());
    ASSERT_EQ(inferred[i].symbolic->size(), real.size()) << what << ", symbolic value of output " << i;
    for (std::size_t k = 0; k < real.size(); ++k)
      EXPECT_NE(Dim::equal((*inferred[i].symbolic)[k].substitute(Lookup), real[k]), Truth::kNo)
          << what << ", symbolic value of output " << i << ", element " << k;
  }
}

}  // namespace

void CheckInfer(const Op& op) {
  for (const Case& c : op.cases) {
    SCOPED_TRACE(c.name());
    const auto computed = Reference(c);
    ASSERT_TRUE(computed.ok()) << computed.status().message();
    const auto inferred = InferCase(c, Known::kDims, true);
    ASSERT_TRUE(inferred.ok()) << inferred.status().message();
    Compare(*inferred, *computed, "concrete dims");
    for (std::size_t i = 0; i < inferred->size() && i < computed->size(); ++i) {
      const bool by_data = !(*inferred)[i].type.is_static() && (*inferred)[i].type.is_tensor();
      EXPECT_TRUE(!by_data || (*inferred)[i].type.has_rank())
          << "output " << i << ": the rank follows from concrete inputs";
    }
  }
}

void CheckSymbolicInfer(const Op& op) {
  for (const Case& c : op.cases) {
    if (!c.own) continue;
    SCOPED_TRACE(c.name());
    const auto computed = Reference(c);
    ASSERT_TRUE(computed.ok()) << computed.status().message();
    const std::pair<Known, std::string_view> kinds[] = {{Known::kDistinctSymbols, "a symbol for every dim"},
                                                        {Known::kSharedSymbols, "one symbol for equal dims"},
                                                        {Known::kNothing, "unknown ranks"}};
    for (const auto& [known, what] : kinds)
      for (const bool value : {true, false}) {
        const auto inferred = InferCase(c, known, value);
        ASSERT_TRUE(inferred.ok()) << what << (value ? "" : ", values unknown") << ": " << inferred.status().message();
        Compare(*inferred, *computed, what);
      }
  }
}

void CheckErrors(const Op& op) {
  for (const ir::Sample& s : op.samples) {
    if (s.error.empty()) continue;
    SCOPED_TRACE(s.name);
    Case c{.op = op.def, .sample = &s, .inputs = s.inputs};
    const auto result = Reference(c);
    ASSERT_FALSE(result.ok()) << "the call succeeds, expected the error " << s.error;
    const std::string message(result.status().message());
    // "run": found by the reference at run time, without a number.
    const std::string start = std::string(op.def->name) + (s.error == "run" ? ": " : "_" + s.error + ": ");
    EXPECT_TRUE(message.starts_with(start)) << "got \"" << message << "\", expected \"" << start << "…\"";
    EXPECT_NE(result.status().code(), Code::kInternal) << message;
    // Without dims nothing may crash; the error may come later.
    static_cast<void>(InferCase(c, Known::kDistinctSymbols, true));
    static_cast<void>(InferCase(c, Known::kNothing, false));
  }
}

}  // namespace tenon::conformance
