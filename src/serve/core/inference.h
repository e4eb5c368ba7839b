// Classify and Regress on a servable: what REST and gRPC share of them.
//
// A classify signature has one string input "inputs" (serialized tf.train.Example messages, [batch]) and outputs
// "classes" (string) and/or "scores" (float), both [batch, k]; a regress signature the same input and one output
// "outputs", float, [batch] or [batch, 1].
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/core/servable.h"

namespace tenon::serve {

struct ClassifyResult {
  std::size_t examples = 0;
  std::size_t classes = 0;               // of each example
  std::vector<std::string> labels = {};  // [examples, classes]; "" where the signature gives none
  std::vector<float> scores = {};        // [examples, classes]; 0 where the signature gives none
};

/// The run that a classify or regress call asks for, checked against the signature.
struct ExamplesCall {
  const Signature* signature = nullptr;  // of the servable
  std::vector<int> wanted = {};          // outputs to run for
  std::int64_t examples = 0;
  bool both = false;  // of a classify call: the outputs are classes and scores, in this order
};

/// The halves of Classify and Regress, for those who wait for the run without a thread: what is to be run with
/// ExampleInputs, and what its outputs say.
Result<ExamplesCall> PrepareClassify(const Servable& servable, std::string_view signature, std::size_t examples,
                                     bool check_method);
Result<ExamplesCall> PrepareRegress(const Servable& servable, std::string_view signature, std::size_t examples,
                                    bool check_method);
/// Whether a context may be copied in front of each example: kInvalidArgument when the copies would take far more
/// memory than an input of `input_bytes`.
Status CheckContext(std::size_t context_bytes, std::size_t examples, std::size_t input_bytes);
std::vector<Literal> ExampleInputs(std::vector<std::string> examples);
Result<ClassifyResult> ClassifyResultOf(const ExamplesCall& call, const std::vector<Literal>& outputs);
Result<std::vector<float>> RegressResultOf(const ExamplesCall& call, const std::vector<Literal>& outputs);

/// Servable::Run of the servable in question, with a deadline and whatever the server does around runs.
using RunFunction =
    std::function<Result<std::vector<Literal>>(const Signature&, std::vector<Literal> inputs, std::span<const int>)>;

/// `signature` empty means kDefaultSignature. `examples` are serialized, at least one. The messages and codes are those
/// of TensorFlow Serving. `check_method`: the signature's method_name must be that of the call (the flag
/// enable_signature_method_name_check).
Result<ClassifyResult> Classify(const Servable& servable, std::string_view signature, std::vector<std::string> examples,
                                const RunFunction& run, bool check_method = false);
/// One value for each example.
Result<std::vector<float>> Regress(const Servable& servable, std::string_view signature,
                                   std::vector<std::string> examples, const RunFunction& run,
                                   bool check_method = false);

/// Under that flag, of a signature that Predict is to run: kInvalidArgument unless its method_name is that of Predict,
/// Classify or Regress.
Status CheckPredictMethod(const Signature& signature);

}  // namespace tenon::serve
