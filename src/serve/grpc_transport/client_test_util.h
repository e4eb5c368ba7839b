// For tests of the whole gRPC server: calls by the gRPC library's generic client, messages made by hand.
#pragma once
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "formats/proto_wire/wire_writer.h"

namespace tenon::serve::testing_grpc {

using proto_wire::Writer;
using std::chrono::milliseconds;

struct Answer {
  grpc::Status status;
  std::string bytes;
};

inline std::string BytesOf(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.Valid() || !buffer.DumpToSingleSlice(&slice).ok()) return {};
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

inline grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

/// One unary call.
inline Answer Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& request,
                   milliseconds timeout = milliseconds(10'000), const std::string& token = "") {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  if (!token.empty()) context.AddMetadata("authorization", token);
  grpc::CompletionQueue queue;
  const grpc::ByteBuffer out = BufferOf(request);
  grpc::ByteBuffer in;
  Answer answer;
  auto call = stub.PrepareUnaryCall(&context, method, out, &queue);
  call->StartCall();
  call->Finish(&in, &answer.status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  answer.bytes = BytesOf(in);
  return answer;
}

inline const std::string kPredict = "/tensorflow.serving.PredictionService/Predict";

inline std::string PredictX(std::string_view model, std::vector<float> values) {
  Writer w;
  w.Message(1, [&] { w.Text(1, model); });
  w.MapEntry(2, "x", [&] {
    w.Varint(1, 1);
    w.Message(2, [&] { w.Message(2, [&] { w.Varint(1, values.size()); }); });
    w.PackedFixed<float>(5, values);
  });
  return std::move(w).Take();
}

inline const std::string kStatus = "/tensorflow.serving.ModelService/GetModelStatus";

inline std::string StatusOf(std::string_view model) {
  Writer w;
  w.Message(1, [&] { w.Text(1, model); });
  return std::move(w).Take();
}

/// Calls under way beside each other, without a thread for each.
class Calls {
 public:
  struct One {
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
    grpc::ByteBuffer in;
    Answer answer;
  };
  ~Calls() {
    Wait();
    queue_.Shutdown();
  }
  One& Start(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& request,
             milliseconds timeout = milliseconds(30'000)) {
    One& one = calls_.emplace_back();
    one.context.set_deadline(std::chrono::system_clock::now() + timeout);
    one.reader = grpc::GenericStub(channel).PrepareUnaryCall(&one.context, method, BufferOf(request), &queue_);
    one.reader->StartCall();
    one.reader->Finish(&one.in, &one.answer.status, &one);
    return one;
  }
  /// Until all have ended.
  void Wait() {
    std::unique_lock lock(mutex_);
    all_.wait(lock, [&] { return ended_ == calls_.size(); });
  }

 private:
  grpc::CompletionQueue queue_;
  std::list<One> calls_;
  std::mutex mutex_;
  std::condition_variable all_;
  std::size_t ended_ = 0;
  std::jthread thread_{[this] {  // the library sends and receives while somebody looks for events
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
      auto& one = *static_cast<One*>(tag);
      one.answer.bytes = BytesOf(one.in);
      const std::lock_guard lock(mutex_);
      ++ended_;
      all_.notify_all();
    }
  }};
};

inline std::shared_ptr<grpc::Channel> ChannelTo(
    const std::string& target, const std::shared_ptr<grpc::ChannelCredentials>& credentials = nullptr) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetString(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, "localhost");
  return grpc::CreateCustomChannel(target, credentials ? credentials : grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace tenon::serve::testing_grpc
