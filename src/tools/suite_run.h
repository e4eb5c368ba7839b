// One run of a function on values that need not be tensors, and whether two graphs compute the same.
#pragma once
#include <string>
#include <vector>

#include "ir/eval.h"
#include "ir/module.h"
#include "tenon/status.h"

namespace tenon::tools {

/// Compiles the function for a backend ("ref", "cpu") and runs it once. `inputs` are those of the function, without
/// what it reads. Backends take and give tensors: items of sequences and values of optionals go in and come out one by
/// one, as many as `wanted` (the expected outputs) has. kNotFound for the backend.
Result<std::vector<ir::Datum>> RunValues(const ir::Module& module, const ir::Function& function,
                                         std::vector<ir::Datum> inputs, const std::vector<ir::Datum>& wanted,
                                         const std::string& backend);

/// The same ops with the same attributes (literals bit for bit), wired alike, lead to the outputs: both give the same
/// bits for every input. Says no for graphs whose equality it does not see.
bool SameComputation(const ir::Graph& a, const ir::Graph& b);

}  // namespace tenon::tools
