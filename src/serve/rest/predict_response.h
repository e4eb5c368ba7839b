// The body of a :predict reply, from the outputs of a signature to JSON.
#pragma once
#include <span>
#include <string>

#include "serve/core/servable.h"
#include "serve/rest/predict_request.h"

namespace tenon::serve {

/// Appends the body. `outputs` stand in the order of signature.outputs.
///   row form:      {"predictions": [row, …]}; a row is a value (one output) or {"alias": value, …}. Every output must
///                  have a first dimension, and all the same one.
///   columnar form: {"outputs": value} or {"outputs": {"alias": value, …}}.
/// Elements of a string output whose alias ends in "_bytes" are {"b64": "…"}. half and bfloat16 are written as float.
/// kInvalidArgument with TensorFlow Serving's message otherwise; `out` is then unspecified.
Status WritePredictResponse(const Signature& signature, std::span<const Literal> outputs, PredictForm form,
                            std::string& out);

/// {"error": "message"}
void WriteErrorResponse(std::string_view message, std::string& out);

}  // namespace tenon::serve
