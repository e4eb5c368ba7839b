// The fast Fourier transform written out, for short lengths.
#pragma once
#include "formats/onnx/node_context.h"

namespace tenon::onnx {

/// Whether a length is short (at most 32) and has no prime factor above 7.
bool WritesOut(std::int64_t length);

/// Transforms the last axis of a complex signal, its length one that WritesOut; sign is that of the exponent, every
/// result is multiplied with `scale`. Each step rounds to the dtype, as a library's transform does. Gives [..., length,
/// 2].
Ex WrittenOutTransform(NodeContext& n, Ex real, Ex imaginary, std::int64_t length, double sign, double scale);

}  // namespace tenon::onnx
