// The body of a :classify or :regress request: examples from JSON to serialized tf.train.Example messages.
//
//   {"signature_name": "…", "context": {feature: value}, "examples": [{feature: value, …}, …]}
//
// A value is a scalar or a flat list of one kind: integers and true/false become an int64 list, numbers with a point or
// exponent (and NaN, Infinity) a float list, strings and {"b64": "…"} a bytes list.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "serve/core/byte_budget.h"
#include "tenon/status.h"

namespace tenon::serve {

struct ExamplesRequest {
  std::string signature_name;
  /// Serialized, at least one. The features of the context stand before those of each example, so that the example's
  /// win.
  std::vector<std::string> examples;
};

/// `method` is "classify" or "regress", for the messages, which are those of TensorFlow Serving (kInvalidArgument), and
/// those of JsonDocument::Parse for `budget`.
Result<ExamplesRequest> ReadExamplesRequest(std::string_view body, std::string_view method,
                                            ByteBudget* budget = nullptr);

}  // namespace tenon::serve
