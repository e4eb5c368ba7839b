// Runs a translated fixture and compares with the outputs that its framework computed. Included by tests only.
#pragma once
#include <cmath>
#include <map>
#include <string>

#include "formats/onnx/test_util.h"
#include "ir/module.h"
#include "ir/numeric.h"
#include "tensor/npz.h"

namespace tenon::onnx {

// What a fixture's arrays hold in another form: bfloat16 and float8 as bits.
inline Literal Reinterpret(const Literal& stored, DType dtype) {
  if (stored.dtype() == dtype || dtype == DType::kString) return stored;
  if (dtype_bits(dtype) == dtype_bits(stored.dtype()))
    return *Literal::from_buffer(dtype, stored.dims(), stored.buffer());
  return *ir::Convert(stored, dtype);
}

struct Tolerance {
  double absolute, relative;
};

inline Tolerance ToleranceFor(const std::string& name, DType dtype) {
  if (name.rfind("q_int4", 0) == 0) return {5e-3, 1e-3};
  if (name.find("half") != std::string::npos || name.find("float16") != std::string::npos || dtype == DType::kF16)
    return {2e-3, 1e-2};
  if (name.find("bfloat16") != std::string::npos || dtype == DType::kBF16) return {2e-2, 3e-2};
  if (name.find("_train_") != std::string::npos || name.find("batch_train") != std::string::npos ||
      name.rfind("linalg", 0) == 0)
    return {1e-4, 1e-4};
  if (dtype == DType::kF64) return {1e-12, 1e-12};
  return {1e-5, 1e-4};
}

// The first difference, or an empty text.
inline std::string Difference(const Literal& got, const Literal& wanted, Tolerance tolerance) {
  if (got.dims() != wanted.dims())
    return "shape " + got.shape().to_string() + ", expected " + wanted.shape().to_string();
  if (got.dtype() == DType::kString) return got.strings() == wanted.strings() ? "" : "strings differ";
  const std::vector<std::complex<double>> a = ir::ToComplex(got), b = ir::ToComplex(wanted);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool exact = !is_float(got.dtype()) && !is_complex(got.dtype());
    const bool same = a[i] == b[i] || (std::isnan(a[i].real()) && std::isnan(b[i].real()));
    if (same) continue;
    const double error = std::abs(a[i] - b[i]), bound = tolerance.absolute + tolerance.relative * std::abs(b[i]);
    if (exact || !(error <= bound))
      return "element " + std::to_string(i) + ": " + std::to_string(a[i].real()) + ", expected " +
             std::to_string(b[i].real());
  }
  return "";
}

// Runs one io file through `run` (vector of inputs -> Result of outputs); an empty text when all outputs agree.
template <class Run>
std::string RunFixture(const std::string& name, const ir::Function& function, const std::string& io, Run&& run) {
  const Result<std::map<std::string, Literal>> arrays = npy::ReadNpz(io);
  if (!arrays.ok()) return arrays.status().message();
  std::vector<Literal> inputs;
  for (std::size_t i = 0; i < function.num_inputs(); ++i) {
    const auto found = arrays->find("in." + function.input_names[i]);
    if (found == arrays->end()) return "no input " + function.input_names[i];
    if (!function.input_type(i).is_tensor()) return "input " + function.input_names[i] + " is no tensor";
    inputs.push_back(Reinterpret(found->second, function.input_type(i).dtype()));
  }
  const Result<std::vector<Literal>> outputs = run(std::move(inputs));
  if (!outputs.ok()) return outputs.status().message();
  for (std::size_t i = 0; i < outputs->size(); ++i) {
    const Literal& got = (*outputs)[i];
    const auto found = arrays->find("out." + function.output_names[i]);
    if (found == arrays->end()) return "no recorded output " + function.output_names[i];
    const std::string difference =
        Difference(got, Reinterpret(found->second, got.dtype()), ToleranceFor(name, got.dtype()));
    if (!difference.empty()) return function.output_names[i] + ": " + difference;
  }
  return "";
}

// The same on the reference evaluation.
inline std::string RunFixture(const std::string& name, const ir::Module& module, const std::string& io) {
  return RunFixture(name, module.functions[0], io, [&](std::vector<Literal> inputs) {
    return ir::RunFunction(module, module.functions[0], std::move(inputs));
  });
}

}  // namespace tenon::onnx
