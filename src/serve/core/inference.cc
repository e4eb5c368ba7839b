#include "serve/core/inference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/status_macros.h"
#include "serve/core/tf_names.h"

namespace tenon::serve {
namespace {

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

std::string ShapeText(const Literal& l) { return fmt::format("[{}]", fmt::join(l.dims(), ",")); }

Result<const Signature*> Find(const Servable& servable, std::string_view name, std::string_view kind,
                              std::string_view method, bool check_method) {
  const Signature* signature = servable.FindSignature(name);
  if (signature == nullptr)
    return Invalid(fmt::format("No signature was found with the name: {}", name.empty() ? kDefaultSignature : name));
  if (check_method && signature->method_name != method)
    return Invalid(
        fmt::format("Expected {} signature method_name to be {}. Was: {}", kind, method, signature->method_name));
  if (signature->inputs.size() != 1) return Invalid("Expected one input Tensor.");
  if (signature->inputs[0].alias != "inputs")
    return Status(Code::kFailedPrecondition,
                  fmt::format("No {} inputs found in SignatureDef: {}", kind, signature->name));
  if (signature->inputs[0].dtype != DType::kString)
    return Invalid(
        fmt::format("Expects arg[0] to be {} but string is provided", TfTypeName(signature->inputs[0].dtype)));
  return signature;
}

Status CheckClassOutput(const Literal& got, std::string_view name, DType dtype, std::int64_t examples) {
  if (got.rank() != 2)
    return Invalid(fmt::format("Expected Tensor shape: [batch_size num_classes] but got {}", ShapeText(got)));
  if (got.dtype() != dtype)
    return Invalid(fmt::format("Expected {} Tensor of {}. Got: {}", name, TfEnumName(dtype), TfEnumName(got.dtype())));
  if (got.dims()[0] != examples)
    return Invalid(fmt::format("Expected {} output batch size of {}. Got: {}", name, examples, got.dims()[0]));
  return {};
}

}  // namespace

Status CheckPredictMethod(const Signature& signature) {
  const std::string& method = signature.method_name;
  if (method == kPredictMethod || method == kClassifyMethod || method == kRegressMethod) return {};
  return Invalid(fmt::format("Expected prediction signature method_name to be one of {{{}, {}, {}}}. Was: {}",
                             kPredictMethod, kClassifyMethod, kRegressMethod, method));
}

Result<ExamplesCall> PrepareClassify(const Servable& servable, std::string_view signature_name, std::size_t examples,
                                     bool check_method) {
  ExamplesCall call{.examples = static_cast<std::int64_t>(examples)};
  TENON_ASSIGN_OR_RETURN(call.signature,
                         Find(servable, signature_name, "classification", kClassifyMethod, check_method));
  const Signature& signature = *call.signature;
  if (signature.outputs.size() != 1 && signature.outputs.size() != 2)
    return Invalid(fmt::format("Expected one or two output Tensors, found {}", signature.outputs.size()));
  for (const int at : {signature.output_index("classes"), signature.output_index("scores")})
    if (at >= 0) call.wanted.push_back(at);
  if (call.wanted.empty())
    return Status(Code::kFailedPrecondition,
                  fmt::format("Expected classification signature outputs to contain at least one of \"classes\" or "
                              "\"scores\". Signature was: {}",
                              signature.name));
  call.both = call.wanted.size() == 2;
  return call;
}

Result<ExamplesCall> PrepareRegress(const Servable& servable, std::string_view signature_name, std::size_t examples,
                                    bool check_method) {
  ExamplesCall call{.examples = static_cast<std::int64_t>(examples)};
  TENON_ASSIGN_OR_RETURN(call.signature, Find(servable, signature_name, "regression", kRegressMethod, check_method));
  if (call.signature->outputs.size() != 1) return Invalid("Expected one output Tensor.");
  if (call.signature->outputs[0].alias != "outputs")
    return Status(Code::kFailedPrecondition,
                  fmt::format("No regression outputs found in SignatureDef: {}", call.signature->name));
  return call;
}

Status CheckContext(std::size_t context_bytes, std::size_t examples, std::size_t input_bytes) {
  const std::size_t most = (std::size_t{64} << 20) + 16 * input_bytes;
  if (examples == 0 || context_bytes <= most / examples) return {};
  return Invalid(
      fmt::format("Input: a context of {} bytes for each of {} examples takes more than the {} bytes that an input of "
                  "{} bytes may take: send fewer examples at a time",
                  context_bytes, examples, most, input_bytes));
}

std::vector<Literal> ExampleInputs(std::vector<std::string> examples) {
  const auto count = static_cast<std::int64_t>(examples.size());
  std::vector<Literal> inputs;
  inputs.push_back(Literal::from_strings({count}, std::move(examples)));
  return inputs;
}

Result<ClassifyResult> ClassifyResultOf(const ExamplesCall& call, const std::vector<Literal>& outputs) {
  const bool has_classes = call.both || call.signature->output_index("classes") >= 0;
  const Literal* classes = has_classes ? &outputs.front() : nullptr;
  const Literal* scores = call.both || !has_classes ? &outputs.back() : nullptr;
  if (classes != nullptr) TENON_RETURN_IF_ERROR(CheckClassOutput(*classes, "classes", DType::kString, call.examples));
  if (scores != nullptr) TENON_RETURN_IF_ERROR(CheckClassOutput(*scores, "scores", DType::kF32, call.examples));
  if (classes != nullptr && scores != nullptr && classes->dims()[1] != scores->dims()[1])
    return Invalid(fmt::format("Tensors class and score should match in dim_size(1). Got {} vs. {}", classes->dims()[1],
                               scores->dims()[1]));
  ClassifyResult out;
  out.examples = static_cast<std::size_t>(call.examples);
  out.classes = static_cast<std::size_t>((classes != nullptr ? classes : scores)->dims()[1]);
  const std::size_t size = out.examples * out.classes;
  if (classes != nullptr)
    out.labels.assign(classes->strings().begin(), classes->strings().end());
  else
    out.labels.resize(size);
  if (scores != nullptr)
    out.scores.assign(scores->data<float>().begin(), scores->data<float>().end());
  else
    out.scores.resize(size);
  return out;
}

Result<std::vector<float>> RegressResultOf(const ExamplesCall& call, const std::vector<Literal>& outputs) {
  const Literal& got = outputs[0];
  if (got.rank() != 1 && !(got.rank() == 2 && got.dims()[1] == 1))
    return Invalid(fmt::format("Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {}",
                               ShapeText(got)));
  if (got.dims()[0] != call.examples)
    return Invalid(
        fmt::format("Input batch size did not match output batch size: {} vs. {}", call.examples, got.dims()[0]));
  if (got.dtype() != DType::kF32)
    return Invalid(fmt::format("Expected output Tensor of DT_FLOAT.  Got: {}", TfEnumName(got.dtype())));
  return std::vector<float>(got.data<float>().begin(), got.data<float>().end());
}

Result<ClassifyResult> Classify(const Servable& servable, std::string_view signature_name,
                                std::vector<std::string> examples, const RunFunction& run, bool check_method) {
  TENON_ASSIGN_OR_RETURN(const ExamplesCall call,
                         PrepareClassify(servable, signature_name, examples.size(), check_method));
  TENON_ASSIGN_OR_RETURN(const std::vector<Literal> outputs,
                         run(*call.signature, ExampleInputs(std::move(examples)), call.wanted));
  return ClassifyResultOf(call, outputs);
}

Result<std::vector<float>> Regress(const Servable& servable, std::string_view signature_name,
                                   std::vector<std::string> examples, const RunFunction& run, bool check_method) {
  TENON_ASSIGN_OR_RETURN(const ExamplesCall call,
                         PrepareRegress(servable, signature_name, examples.size(), check_method));
  TENON_ASSIGN_OR_RETURN(const std::vector<Literal> outputs,
                         run(*call.signature, ExampleInputs(std::move(examples)), call.wanted));
  return RegressResultOf(call, outputs);
}

}  // namespace tenon::serve
