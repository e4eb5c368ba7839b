// The body of a :predict request, from JSON to the inputs of a signature.
//
//   {"signature_name": "…", "instances": [row, …]}   row form: each row is a value (one input) or {"alias": value, …}
//   {"signature_name": "…", "inputs": value}         columnar form: a value (one input) or {"alias": value, …}
//
// A value is a scalar, a nested list of equal lengths, or {"b64": "…"} for the bytes of a string.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "serve/core/byte_budget.h"
#include "serve/core/servable.h"

namespace tenon::serve {

enum class PredictForm { kRow, kColumnar };

struct PredictRequest {
  const Signature* signature = nullptr;  // of the servable that was given
  std::vector<Literal> inputs;           // in the order of signature->inputs
  PredictForm form = PredictForm::kRow;
};

/// Reads the whole body. `found` is the outcome of the look-up of the model, `servable` is null unless it is ok: an
/// error in the JSON text comes before a model that is not there. The messages and codes are those of TensorFlow
/// Serving, and those of JsonDocument::Parse for `budget`.
Result<PredictRequest> ReadPredictRequest(std::string_view body, const Status& found, const Servable* servable,
                                          ByteBudget* budget = nullptr);

/// The same for well-formed requests in the usual forms (numbers in lists of equal length, no key that nobody reads),
/// in one pass and without a document. nullopt for every other body: it says nothing about whether that body is right.
std::optional<PredictRequest> ReadPlainPredictRequest(std::string_view body, const Servable& servable);

}  // namespace tenon::serve
