// A load client: sends one request again and again over some connections, each with some calls under way.
//
//   load ADDRESS METHOD REQUEST_FILE CONNECTIONS CALLS SECONDS
//
// Prints one line of JSON: requests, failed, seconds, and the latencies p50, p99 in microseconds.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Call {
  grpc::GenericStub* stub = nullptr;
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer reply;
  grpc::Status status;
  Clock::time_point begun;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::cerr << "usage: load ADDRESS METHOD REQUEST_FILE CONNECTIONS CALLS SECONDS\n";
    return 2;
  }
  std::ifstream file(argv[3], std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const int connections = std::stoi(argv[4]), depth = std::stoi(argv[5]);
  const double seconds = std::stod(argv[6]);
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs;
  for (int i = 0; i < connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt("tenon.connection", i);  // another channel gets its own connection
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stubs.push_back(std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(argv[1], grpc::InsecureChannelCredentials(), arguments)));
  }
  const auto start = [&](Call& call) {
    call.context = std::make_unique<grpc::ClientContext>();
    call.reply.Clear();
    call.begun = Clock::now();
    call.reader = call.stub->PrepareUnaryCall(call.context.get(), argv[2], request, &queue);
    call.reader->StartCall();
    call.reader->Finish(&call.reply, &call.status, &call);
  };
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < connections * depth; ++i) {
    calls.push_back(std::make_unique<Call>());
    calls.back()->stub = stubs[static_cast<std::size_t>(i % connections)].get();
    start(*calls.back());
  }
  std::vector<float> latencies;
  std::size_t failed = 0, open = calls.size();
  const Clock::time_point begun = Clock::now(),
                          end = begun + std::chrono::microseconds(static_cast<long>(seconds * 1e6));
  void* tag = nullptr;
  bool ok = false;
  while (open > 0 && queue.Next(&tag, &ok)) {
    Call& call = *static_cast<Call*>(tag);
    const Clock::time_point now = Clock::now();
    if (!call.status.ok() && failed++ == 0) std::cerr << call.status.error_message() << "\n";
    latencies.push_back(std::chrono::duration<float, std::micro>(now - call.begun).count());
    if (now < end)
      start(call);
    else
      --open;
  }
  const double took = std::chrono::duration<double>(Clock::now() - begun).count();
  std::sort(latencies.begin(), latencies.end());
  std::cout << "{\"requests\": " << latencies.size() << ", \"failed\": " << failed << ", \"seconds\": " << took
            << ", \"p50\": " << latencies[latencies.size() / 2]
            << ", \"p99\": " << latencies[latencies.size() * 99 / 100] << "}" << std::endl;
}
