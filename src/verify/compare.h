// Comparison of two functions on one set of inputs.
#pragma once
#include <functional>

#include "ir/module.h"
#include "verify/difference.h"

namespace tenon::verify {

/// How the float run is computed: values in the order of the function's inputs and outputs.
using Runner = std::function<Result<std::vector<Literal>>(std::vector<Literal>)>;

struct Side {
  const ir::Module* module;
  const ir::Function* function;
  Runner run;
};

/// Values for the function's inputs: random ones, with every free dim `free_dim`; floats of standard deviation `scale`.
Result<std::vector<Literal>> RandomInputs(const ir::Function& function, std::uint64_t seed, std::int64_t free_dim = 2,
                                          double scale = 1);

/// Adds one sample to the report. `inputs` in the order of expected's inputs. input_map[i] is the input of `got` that
/// takes input i of `expected`, output_map likewise.
Status AddSample(Report& report, const Side& expected, const Side& got, const std::vector<Literal>& inputs,
                 const std::vector<std::size_t>& input_map, const std::vector<std::size_t>& output_map, bool layers);

/// Positions of `names` among `others`: by name when all are found, else in order; kInvalidArgument when the counts
/// differ.
Result<std::vector<std::size_t>> Match(const std::vector<std::string>& names, const std::vector<std::string>& others,
                                       const char* what);

}  // namespace tenon::verify
