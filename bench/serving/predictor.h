// What the peers of the serving rows share: a model behind PredictRequest and PredictResponse with the structure of
// tensorflow_model_server's (a map of servables behind a mutex, tensors copied out of and into their messages, typed
// values in the reply). It runs the model with the same engine as ours, so that what differs is the server.
#pragma once
#include <tenon/compile.h>
#include <tenon/formats.h>

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serving.pb.h"

struct Servable {
  tenon::Executable executable;
  std::vector<std::string> inputs, outputs;
};

/// The model of a file under the name m. Safe from several threads.
class Predictor {
 public:
  explicit Predictor(const std::string& model) {
    const tenon::Module module = tenon::load(model).value();
    const std::string name = module.signatures()[0];
    auto servable = std::make_shared<Servable>(Servable{tenon::compile(module, {.threads = 1}).value(), {}, {}});
    const tenon::SignatureSpec spec = module.signature(name).value();
    for (const auto& input : spec.inputs) servable->inputs.push_back(input.name);
    for (const auto& output : spec.outputs) servable->outputs.push_back(output.name);
    servables_["m"] = std::move(servable);
  }

  /// Null when there is no such model.
  std::shared_ptr<Servable> Find(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = servables_.find(name);
    return found == servables_.end() ? nullptr : found->second;
  }

  /// Empty, or what is wrong.
  std::string Predict(const tensorflow::serving::PredictRequest& request, tensorflow::serving::PredictResponse& reply) {
    const std::shared_ptr<Servable> servable = Find(request.model_spec().name());
    if (servable == nullptr) return "Servable not found";
    std::vector<tenon::Literal> inputs;
    for (const std::string& name : servable->inputs) {
      const auto tensor = request.inputs().find(name);
      if (tensor == request.inputs().end()) return "input size does not match";
      std::vector<std::int64_t> dims;
      for (const auto& dim : tensor->second.tensor_shape().dim()) dims.push_back(dim.size());
      tenon::Literal literal(tenon::DType::kF32, dims);
      const auto values = literal.mutable_data<float>();
      if (tensor->second.tensor_content().size() == values.size_bytes())
        std::memcpy(values.data(), tensor->second.tensor_content().data(), values.size_bytes());
      else if (static_cast<std::size_t>(tensor->second.float_val_size()) == values.size())
        std::memcpy(values.data(), tensor->second.float_val().data(), values.size_bytes());
      else
        return "tensor parsing error";
      inputs.push_back(std::move(literal));
    }
    const auto outputs = servable->executable.run_ordered(std::move(inputs));
    if (!outputs.ok()) return std::string(outputs.status().message());
    for (std::size_t i = 0; i < outputs->size(); ++i) {
      tensorflow::TensorProto& tensor = (*reply.mutable_outputs())[servable->outputs[i]];
      tensor.set_dtype(tensorflow::DT_FLOAT);
      for (const std::int64_t dim : (*outputs)[i].dims()) tensor.mutable_tensor_shape()->add_dim()->set_size(dim);
      const auto values = (*outputs)[i].data<float>();
      tensor.mutable_float_val()->Add(values.begin(), values.end());
    }
    reply.mutable_model_spec()->set_name(request.model_spec().name());
    reply.mutable_model_spec()->mutable_version()->set_value(1);
    reply.mutable_model_spec()->set_signature_name("serving_default");
    return "";
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Servable>> servables_;
};
