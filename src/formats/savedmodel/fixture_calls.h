// The recorded calls of a fixture: io.npz holds "in.SIGNATURE.INPUT" and "out.SIGNATURE.OUTPUT"; "SIGNATURE#2" is the
// second call of that signature. Calls come in the order of the file, which matters when the model has state.
#pragma once
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/zip.h"
#include "ir/module.h"
#include "tensor/npz.h"

namespace tenon::savedmodel {

struct RecordedCall {
  std::string signature;
  std::map<std::string, Literal> inputs, outputs;
};

/// KEY|bfloat16 holds the bits as uint16; text that ends in NUL is KEY|bytes and KEY|lengths.
inline Literal Recorded(const std::map<std::string, Literal>& arrays, std::string& key, const Literal& value) {
  const std::size_t bar = key.find('|');
  if (bar == std::string::npos) return value;
  const std::string kind = key.substr(bar + 1), bare = key.substr(0, bar);
  key = bare;
  if (kind == "bytes") {
    const Literal& lengths = arrays.at(bare + "|lengths");
    std::vector<std::string> texts;
    std::size_t at = 0;
    for (std::int64_t i = 0; i < lengths.size(); ++i) {
      const auto n = static_cast<std::size_t>(lengths.at(i));
      texts.emplace_back(reinterpret_cast<const char*>(value.raw().data()) + at, n);
      at += n;
    }
    return Literal::from_strings(lengths.dims(), std::move(texts));
  }
  const std::map<std::string, DType> kinds = {
      {"bfloat16", DType::kBF16}, {"float8_e4m3fn", DType::kF8E4M3FN}, {"float8_e5m2", DType::kF8E5M2}};
  return Literal::from_buffer(kinds.at(kind), value.dims(), value.buffer()).value();
}

inline std::vector<RecordedCall> RecordedCalls(const std::string& folder) {
  const std::map<std::string, Literal> arrays = npy::ReadNpz(folder + "/io.npz").value();
  const std::unique_ptr<base::ZipReader> zip = base::ZipReader::Open(folder + "/io.npz").value();
  std::vector<RecordedCall> calls;
  std::map<std::string, std::size_t> by_name;
  for (const base::ZipEntry& entry : zip->entries()) {
    const std::string key = entry.name.substr(0, entry.name.size() - 4);  // without .npy
    if (key.ends_with("|lengths")) continue;
    const std::size_t first = key.find('.'), second = key.find('.', first + 1);
    const std::string call = key.substr(first + 1, second - first - 1);
    if (by_name.emplace(call, calls.size()).second) calls.push_back({call.substr(0, call.find('#')), {}, {}});
    std::string bare = key;
    const Literal value = Recorded(arrays, bare, arrays.at(key));
    const std::string port = bare.substr(second + 1);
    (key.starts_with("in.") ? calls[by_name[call]].inputs : calls[by_name[call]].outputs).insert_or_assign(port, value);
  }
  return calls;
}

/// Empty when `got` is `wanted` within the tolerance of its dtype, else what differs.
inline std::string Difference(const Literal& got, const Literal& wanted, double tolerance) {
  if (got.dtype() != wanted.dtype() || got.dims() != wanted.dims())
    return "got " + got.to_string(0) + ", expected " + wanted.to_string(0);
  if (got.dtype() == DType::kString) return got.strings() == wanted.strings() ? "" : "strings differ";
  if (!is_float(got.dtype()) && !is_complex(got.dtype())) return identical(got, wanted) ? "" : "integers differ";
  if (got.dtype() == DType::kF16) tolerance = std::max(tolerance, 5e-3);
  if (got.dtype() == DType::kBF16) tolerance = std::max(tolerance, 3e-2);
  double worst = 0;
  for (std::int64_t i = 0; i < got.size(); ++i) {
    const double g = got.at(i), w = wanted.at(i);
    if (std::isnan(g) && std::isnan(w)) continue;
    if (g == w) continue;
    const double error = std::fabs(g - w) / std::max(1.0, std::fabs(w));
    if (!(error <= worst)) worst = error;
    if (std::isnan(error)) return "NaN differs at " + std::to_string(i);
  }
  return worst <= tolerance ? "" : "differs by " + std::to_string(worst);
}

/// Runs every call in order on the reference backend; empty when all outputs agree.
inline std::string RunCalls(const ir::Module& module, const std::vector<RecordedCall>& calls, double tolerance) {
  for (const RecordedCall& call : calls) {
    const Result<const ir::Function*> found =
        module.Signature(call.signature == "graph" ? "serving_default" : call.signature);
    if (!found.ok()) return found.status().message();
    const ir::Function& function = **found;
    std::vector<Literal> inputs;
    for (const std::string& name : function.input_names) {
      const auto input = call.inputs.find(name);
      if (input == call.inputs.end()) return call.signature + ": no recorded input " + name;
      inputs.push_back(input->second);
    }
    const Result<std::vector<Literal>> outputs = ir::RunFunction(module, function, std::move(inputs));
    if (!outputs.ok()) return call.signature + ": " + outputs.status().message();
    std::size_t compared = 0;
    for (std::size_t i = 0; i < outputs->size(); ++i) {
      const auto wanted = call.outputs.find(function.output_names[i]);
      if (wanted == call.outputs.end()) continue;
      ++compared;
      const std::string difference = Difference((*outputs)[i], wanted->second, tolerance);
      if (!difference.empty()) return call.signature + "." + function.output_names[i] + ": " + difference;
    }
    if (compared != call.outputs.size()) return call.signature + ": not every recorded output is an output";
  }
  return "";
}

}  // namespace tenon::savedmodel
