// PredictionLog: requests as warm-up files and request logs keep them (tensorflow.serving, one message a TFRecord).
//
//   PredictionLog: log_metadata 1; one of classify_log 2, regress_log 3, multi_inference_log 4, session_run_log 5,
//     predict_log 6, predict_streamed_log 7; each {request 1, response 2}
//   PredictRequest: model_spec 1, inputs 2 map<string, TensorProto>, output_filter 3; PredictResponse: outputs 1,
//     model_spec 2
//   ClassificationRequest, RegressionRequest: model_spec 1, input 2; MultiInferenceRequest: tasks 1 {model_spec 1,
//     method_name 2}, input 2
//   Input: example_list 1 {examples 1} or example_list_with_context 2 {examples 1, context 2}
//   ModelSpec: name 1, version 2 {value 1}, signature_name 3, version_label 4
//   LogMetadata: model_spec 1, sampling_config 2 {sampling_rate 1}, timestamp_secs 4
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/core/servable.h"

namespace tenon::serve {

struct LoggedCall {
  enum class Kind { kPredict, kClassify, kRegress } kind = Kind::kPredict;
  std::string model = {};
  std::string signature = {};                                // empty: the default one
  std::vector<std::pair<std::string, Literal>> inputs = {};  // of kPredict
  std::vector<std::string> output_filter = {};               // of kPredict
  std::vector<std::string> examples = {};                    // serialized, the context merged in; of the others
};

/// The calls of one PredictionLog: one, or one for each task of a MultiInference. kUnimplemented for SessionRun and
/// PredictStreamed; kInvalidArgument for bytes that are none.
Result<std::vector<LoggedCall>> ParsePredictionLog(std::string_view bytes);

/// A PredictionLog of this kind of call. `outputs` stand for the positions `wanted` (empty: all). For Classify and
/// Regress the only input holds serialized Examples, and the outputs have the aliases, types and shapes that these
/// calls ask for: "classes" and "scores" [batch, k], "outputs" [batch] or [batch, 1].
std::string EncodePredictionLog(LoggedCall::Kind kind, const ServableId& id, const Signature& signature,
                                std::span<const Literal> inputs, std::span<const int> wanted,
                                std::span<const Literal> outputs, double sampling_rate, std::int64_t timestamp_seconds);

}  // namespace tenon::serve
