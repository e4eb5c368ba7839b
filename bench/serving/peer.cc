// A gRPC server with the shape of tensorflow_model_server's: grpc++'s synchronous service over generated messages
// before the model of predictor.h. `--echo` answers with the request's bytes instead.
//
//   peer ADDRESS MODEL | peer ADDRESS --echo
#include <google/protobuf/arena.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <memory>

#include "predictor.h"
#include "serving.grpc.pb.h"

namespace {

namespace api = tensorflow::serving;

class Service final : public api::PredictionService::Service {
 public:
  explicit Service(const std::string& model) : predictor_(model) {}
  grpc::Status Predict(grpc::ServerContext*, const api::PredictRequest* request, api::PredictResponse* reply) override {
    const std::string wrong = predictor_.Predict(*request, *reply);
    return wrong.empty() ? grpc::Status::OK : grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, wrong);
  }

 private:
  Predictor predictor_;
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
  Service service(argv[2]);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::cout << "ready" << std::endl;
  server->Wait();
}
