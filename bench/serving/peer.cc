// A gRPC server with the shape of tensorflow_model_server's: grpc++'s synchronous service over generated messages, a
// map of servables behind a mutex, tensors copied out of and into their messages, typed values in the reply. It runs
// the model with the same engine as ours, so that what differs is the server. `--echo` answers with the request's bytes
// instead.
//
//   peer ADDRESS MODEL | peer ADDRESS --echo
#include <google/protobuf/arena.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <tenon/compile.h>
#include <tenon/formats.h>

#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>

#include "serving.grpc.pb.h"

namespace {

namespace api = tensorflow::serving;

struct Servable {
  tenon::Executable executable;
  std::vector<std::string> inputs, outputs;
};

class Predictor final : public api::PredictionService::Service {
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

  grpc::Status Predict(grpc::ServerContext*, const api::PredictRequest* request, api::PredictResponse* reply) override {
    std::shared_ptr<Servable> servable;
    {
      const std::lock_guard lock(mutex_);
      const auto found = servables_.find(request->model_spec().name());
      if (found == servables_.end()) return {grpc::StatusCode::NOT_FOUND, "Servable not found"};
      servable = found->second;
    }
    std::vector<tenon::Literal> inputs;
    for (const std::string& name : servable->inputs) {
      const auto tensor = request->inputs().find(name);
      if (tensor == request->inputs().end()) return {grpc::StatusCode::INVALID_ARGUMENT, "input size does not match"};
      std::vector<std::int64_t> dims;
      for (const auto& dim : tensor->second.tensor_shape().dim()) dims.push_back(dim.size());
      tenon::Literal literal(tenon::DType::kF32, dims);
      const auto values = literal.mutable_data<float>();
      if (tensor->second.tensor_content().size() == values.size_bytes())
        std::memcpy(values.data(), tensor->second.tensor_content().data(), values.size_bytes());
      else if (static_cast<std::size_t>(tensor->second.float_val_size()) == values.size())
        std::memcpy(values.data(), tensor->second.float_val().data(), values.size_bytes());
      else
        return {grpc::StatusCode::INVALID_ARGUMENT, "tensor parsing error"};
      inputs.push_back(std::move(literal));
    }
    const auto outputs = servable->executable.run_ordered(std::move(inputs));
    if (!outputs.ok()) return {grpc::StatusCode::INTERNAL, outputs.status().message()};
    for (std::size_t i = 0; i < outputs->size(); ++i) {
      tensorflow::TensorProto& tensor = (*reply->mutable_outputs())[servable->outputs[i]];
      tensor.set_dtype(tensorflow::DT_FLOAT);
      for (const std::int64_t dim : (*outputs)[i].dims()) tensor.mutable_tensor_shape()->add_dim()->set_size(dim);
      const auto values = (*outputs)[i].data<float>();
      tensor.mutable_float_val()->Add(values.begin(), values.end());
    }
    reply->mutable_model_spec()->set_name(request->model_spec().name());
    reply->mutable_model_spec()->mutable_version()->set_value(1);
    reply->mutable_model_spec()->set_signature_name("serving_default");
    return grpc::Status::OK;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Servable>> servables_;
};

/// A call of the echo: the bytes of a request come back. The asynchronous generic service with one completion queue on
/// one thread: what grpc++ can do with the least work of its own.
class Echo {
 public:
  Echo(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue& queue) : service_(service), queue_(queue) {
    service_.RequestCall(&context_, &stream_, &queue_, &queue_, this);
  }
  void Proceed(bool ok) {
    if (step_ == 0 && ok) {
      new Echo(service_, queue_);
      stream_.Read(&bytes_, this);
    } else if (step_ == 1 && ok) {
      stream_.WriteAndFinish(bytes_, {}, grpc::Status::OK, this);
    } else {
      delete this;
      return;
    }
    ++step_;
  }

 private:
  grpc::AsyncGenericService& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  grpc::ByteBuffer bytes_;
  int step_ = 0;
};

void ServeEcho(grpc::ServerBuilder& builder) {
  grpc::AsyncGenericService service;
  builder.RegisterAsyncGenericService(&service);
  const std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) std::exit(1);
  std::cout << "ready" << std::endl;
  for (int i = 0; i < 16; ++i) new Echo(service, *queue);
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) static_cast<Echo*>(tag)->Proceed(ok);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: peer ADDRESS MODEL | peer ADDRESS --echo\n";
    return 2;
  }
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials());
  if (std::string(argv[2]) == "--echo") {
    ServeEcho(builder);
    return 0;
  }
  Predictor predictor(argv[2]);
  builder.RegisterService(&predictor);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::cout << "ready" << std::endl;
  server->Wait();
}
