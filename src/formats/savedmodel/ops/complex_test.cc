// Complex numbers with infinite and NaN parts are taken apart and put together as TensorFlow does it.
#include <cmath>
#include <complex>
#include <limits>

#include "formats/savedmodel/ops/small_graph_test_util.h"
#include "ir/numeric.h"
#include "ir/op_def.h"

namespace tenon::savedmodel {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();
using Numbers = std::vector<std::complex<double>>;

void ExpectNumbers(const std::vector<double>& got, const std::vector<double>& wanted, const std::string& what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool same = got[i] == wanted[i] || (std::isnan(got[i]) && std::isnan(wanted[i]));
    EXPECT_TRUE(same || std::fabs(got[i] - wanted[i]) < 1e-6) << what << " " << i << ": " << got[i];
  }
}
std::vector<double> Part(const Literal& x, bool imaginary) {
  std::vector<double> out;
  for (const std::complex<double>& z : ir::ToComplex(x)) out.push_back(imaginary ? z.imag() : z.real());
  return out;
}

TEST(ComplexTest, PartsOfInfiniteNumbers) {
  const Numbers all{{kInf, 2}, {1, kInf}, {kInf, kInf}, {-kInf, kNaN}, {kNaN, 1}, {3, -4}, {0, kNaN}, {0, 0}};
  SmallGraph g;
  const std::string x = g.Input(ir::FromComplex(DType::kC64, {8}, all));
  const Result<std::vector<Literal>> out = g.Run(
      {g.Add("Real", {x}), g.Add("Imag", {x}), g.Add("ComplexAbs", {x}), g.Add("Angle", {x}), g.Add("Conj", {x})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  ExpectNumbers(ir::ToDoubles((*out)[0]), {kInf, 1, kInf, -kInf, kNaN, 3, 0, 0}, "Real");
  ExpectNumbers(ir::ToDoubles((*out)[1]), {2, kInf, kInf, kNaN, 1, -4, kNaN, 0}, "Imag");
  ExpectNumbers(ir::ToDoubles((*out)[2]), {kInf, kInf, kInf, kInf, kNaN, 5, kNaN, 0}, "ComplexAbs");
  ExpectNumbers(ir::ToDoubles((*out)[3]), {0, 1.5707964, 0.7853982, kNaN, kNaN, -0.9272952, kNaN, 0}, "Angle");
  ExpectNumbers(Part((*out)[4], false), {kInf, 1, kInf, -kInf, kNaN, 3, 0, 0}, "Conj");
  ExpectNumbers(Part((*out)[4], true), {-2, -kInf, -kInf, kNaN, -1, 4, kNaN, 0}, "Conj");
}

TEST(ComplexTest, NumbersOfInfiniteParts) {
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    SmallGraph g;
    const std::string re = g.Input(ir::FromDoubles(dtype, {5}, {1, kInf, 0, -2, kNaN}));
    const std::string im = g.Input(ir::FromDoubles(dtype, {5}, {kInf, 1, kNaN, -kInf, 3}));
    const std::string z = g.Add("Complex", {re, im});
    const Result<std::vector<Literal>> out = g.Run({z, g.Add("Imag", {z}), g.Add("ComplexAbs", {z})});
    ASSERT_TRUE(out.ok()) << out.status().message();
    ExpectNumbers(Part((*out)[0], false), {1, kInf, 0, -2, kNaN}, "Complex");
    ExpectNumbers(Part((*out)[0], true), {kInf, 1, kNaN, -kInf, 3}, "Complex");
    ExpectNumbers(ir::ToDoubles((*out)[1]), {kInf, 1, kNaN, -kInf, 3}, "Imag");
    ExpectNumbers(ir::ToDoubles((*out)[2]), {kInf, kInf, kNaN, kInf, kNaN}, "ComplexAbs");
  }
}

// A model may write what Complex makes, but for what stands where a part is infinite.
TEST(ComplexTest, AChoiceOfTheModelsOwnStays) {
  for (const double other : {0.0, kInf}) {
    SmallGraph g;
    const std::string re = g.Input(Literal::from<float>({2}, {1, 2})),
                      im = g.Input(Literal::from<float>({2}, {3, -HUGE_VALF}));
    const auto complex = [&](const std::string& x) { return g.Add("Cast", {x}, {g.Type("DstT", DType::kC64)}); };
    const std::string i = g.Constant(ir::FromComplex(DType::kC64, {}, {{0, 1}})),
                      none = g.Constant(ir::FromComplex(DType::kC64, {}, {{0, other}}));
    const std::string chosen = g.Add("SelectV2", {g.Add("IsFinite", {im}), g.Add("Mul", {complex(im), i}), none});
    const Result<std::vector<Literal>> out = g.Run({g.Add("Imag", {g.Add("AddV2", {complex(re), chosen})})});
    ASSERT_TRUE(out.ok()) << out.status().message();
    ExpectNumbers(ir::ToDoubles((*out)[0]), {3, other}, "Imag");
  }
}

TEST(ComplexTest, TheMagnitudeOfATransformNeedsNoComplexNumbers) {
  SmallGraph g;
  const std::string signal = g.Input(Literal::from<float>({1, 4}, {1, 2, 3, 5}));
  const std::string length = g.Constant(Literal::from<std::int32_t>({1}, {4}));
  const std::string size = g.Add("ComplexAbs", {g.Add("RFFT", {signal, length})});
  const Result<ir::Module> module = g.Load({size});
  ASSERT_TRUE(module.ok()) << module.status().message();
  for (const ir::Node& node : (*module->Signature())->graph.nodes())
    for (const ir::Output& output : node.outputs) EXPECT_FALSE(is_complex(output.type.dtype())) << node.op->name;
  const Result<std::vector<Literal>> out = g.Run({size});
  ASSERT_TRUE(out.ok()) << out.status().message();
  ExpectNumbers(ir::ToDoubles((*out)[0]), {11, std::sqrt(13.0), 3}, "ComplexAbs");
}

}  // namespace
}  // namespace tenon::savedmodel
