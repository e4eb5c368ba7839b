// Every sample of every op's record against its golden (tests/goldens/<op>.npz): what NumPy, SciPy or PyTorch give in
// float64, made by tools/goldens/make.py.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>

#include "base/file.h"
#include "ir/eval.h"
#include "ir/numeric.h"
#include "ir/op_table.h"
#include "tensor/npz.h"

namespace tenon {
namespace {

using ir::OpDef;
using ir::Sample;

// TENON_GOLDENS names another folder of goldens.
std::string GoldenPath(const OpDef& op) {
  const char* folder = std::getenv("TENON_GOLDENS");
  return (folder != nullptr ? folder : std::string(TENON_SOURCE_DIR) + "/tests/goldens") + "/" + std::string(op.name) +
         ".npz";
}

/// The relative distance that an output may have from the golden rounded to its dtype. The reference computes in double
/// and rounds once, so one unit in the last place on either side is all there is, in f32 and narrower; in f64 the two
/// libraries' functions differ by a few.
double Tolerance(const OpDef& op, const Sample& sample, DType dtype) {
  double unit = std::numeric_limits<double>::epsilon() * 8;
  if (dtype == DType::kF32 || dtype == DType::kC64) unit = std::numeric_limits<float>::epsilon();
  if (dtype == DType::kF16) unit = 1.0 / 1024;
  if (dtype == DType::kBF16) unit = 1.0 / 128;
  if (op.Is(ir::kExact)) unit = 0;
  return std::max(unit, sample.tolerance);
}

/// Whether two numbers agree: both NaN, the same (infinities too), or near relative to `scale`.
bool Near(double got, double want, double tolerance, double scale) {
  if (std::isnan(want)) return std::isnan(got);
  if (got == want) return true;
  return std::isfinite(want) && std::fabs(got - want) <= tolerance * std::max(std::fabs(want), scale);
}

/// The first difference, or nothing.
std::string Difference(const OpDef& op, const Sample& sample, const Literal& got, const Literal& golden) {
  if (got.dims() != golden.dims())
    return "got dims " + got.shape().to_string() + ", the golden has " + golden.shape().to_string();
  if (got.dtype() == DType::kString || golden.dtype() == DType::kString)
    return got.dtype() == golden.dtype() && got.strings() == golden.strings() ? "" : "the strings differ";
  const double tolerance = Tolerance(op, sample, got.dtype());
  const auto report = [&](std::size_t i, auto a, auto b) {
    return "element " + std::to_string(i) + ": got " + std::to_string(a) + ", the golden is " + std::to_string(b);
  };
  if (is_complex(got.dtype())) {
    const auto a = ir::ToComplex(got), b = ir::ToComplex(*ir::Convert(golden, got.dtype()));
    for (std::size_t i = 0; i < a.size(); ++i)
      if (!Near(a[i].real(), b[i].real(), tolerance, std::abs(b[i])) ||
          !Near(a[i].imag(), b[i].imag(), tolerance, std::abs(b[i])))
        return report(i, a[i].real(), b[i].real()) + " (real parts)";
    return "";
  }
  if (!is_float(got.dtype())) {
    const auto a = ir::ToInts(got), b = ir::ToInts(golden);
    for (std::size_t i = 0; i < a.size(); ++i)
      if (a[i] != b[i]) return report(i, a[i], b[i]);
    return "";
  }
  const auto a = ir::ToDoubles(got), exact = ir::ToDoubles(golden);
  auto b = ir::ToDoubles(*ir::Convert(golden, got.dtype()));
  for (std::size_t i = 0; i < b.size(); ++i)
    if (std::isinf(exact[i])) b[i] = exact[i];  // also where the dtype's conversion saturates
  double scale = 0;  // sums are compared relative to the largest output: single ones may cancel
  if (op.Is(ir::kAccumulates))
    for (const double v : b) scale = std::isfinite(v) ? std::max(scale, std::fabs(v)) : scale;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!Near(a[i], b[i], tolerance, scale)) return report(i, a[i], b[i]);
  return "";
}

void CheckSample(const OpDef& op, const Sample& sample, const std::map<std::string, Literal>& goldens) {
  SCOPED_TRACE(std::string(op.name) + "/" + sample.name);
  std::vector<ir::Datum> inputs;
  std::vector<const ir::Datum*> pointers;
  for (const auto& input : sample.inputs) inputs.push_back(input ? ir::Datum(*input) : ir::Datum());
  for (std::size_t i = 0; i < inputs.size(); ++i) pointers.push_back(sample.inputs[i] ? &inputs[i] : nullptr);
  const auto outputs = ir::EvalOp(op, pointers, sample.attrs);
  ASSERT_TRUE(outputs.ok()) << outputs.status().message();
  for (std::size_t i = 0; i < outputs->size(); ++i) {
    const auto& output = (*outputs)[i];
    if (!output.tensor) continue;
    const auto golden = goldens.find(sample.name + "/out" + std::to_string(i));
    ASSERT_NE(golden, goldens.end()) << "no golden of output " << i << ": run tools/goldens/make.py " << op.name;
    EXPECT_EQ(Difference(op, sample, output.literal(), golden->second), "") << "output " << i;
  }
}

class Goldens : public testing::TestWithParam<const ir::OpFamily*> {};

TEST_P(Goldens, AgreeWithTheReference) {
  for (const OpDef& op : GetParam()->ops) {
    if (op.samples == nullptr) continue;
    const auto goldens = npy::ReadNpz(GoldenPath(op));
    ASSERT_TRUE(goldens.ok()) << goldens.status().message() << ": run tools/goldens/make.py " << op.name;
    std::set<std::string> known;
    for (const Sample& sample : op.samples()) {
      if (!sample.error.empty()) continue;
      known.insert(sample.name);
      CheckSample(op, sample, *goldens);
    }
    for (const auto& [key, literal] : *goldens)
      EXPECT_TRUE(known.contains(key.substr(0, key.rfind('/'))))
          << op.name << ": the golden " << key << " has no sample: run tools/goldens/make.py " << op.name;
  }
}

std::vector<const ir::OpFamily*> Families() {
  std::vector<const ir::OpFamily*> families;
  for (const ir::OpFamily& family : ir::OpFamilies()) families.push_back(&family);
  return families;
}

INSTANTIATE_TEST_SUITE_P(Ops, Goldens, testing::ValuesIn(Families()),
                         [](const auto& family) { return std::string(family.param->name); });

}  // namespace
}  // namespace tenon
