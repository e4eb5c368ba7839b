// The lists of faults, one for each network or kind of model, and edits of weights that several have.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "verify_faults_plant.h"

namespace tenon::faults {

using Floats = std::vector<float>;
using Ints = std::vector<std::int64_t>;

/// Each element of Faults(): what goes wrong, the model, how it is planted.
#define TENON_FAULT(text, model, ...) {text, model, [](Planter & p) -> std::string __VA_ARGS__}

const std::vector<Fault>& CnnFaults();
const std::vector<Fault>& MlpFaults();
const std::vector<Fault>& SequenceFaults();
const std::vector<Fault>& ShapeFaults();
const std::vector<Fault>& FixtureFaults();

/// The first output of a node.
std::string Out(const onnx::Node& n);
/// The last two axes of a weight exchanged (they must be equal).
void TurnLastTwo(Floats& v, Ints& dims);
/// The first two axes of a weight exchanged (they must be equal).
void TurnFirstTwo(Floats& v, Ints& dims);
/// Blocks of rows of [1, blocks * hidden, …] in another order.
void PermuteBlocks(Floats& v, const std::vector<std::size_t>& order);
/// To the 11 bits of a half's significand.
float RoundToHalf(float x);
/// The attribute of a transpose.
onnx::Attribute Perm(Ints v);

}  // namespace tenon::faults
