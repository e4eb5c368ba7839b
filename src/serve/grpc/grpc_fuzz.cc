// Any bytes to any method: a status or a reply, never a crash.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "serve/core/fake_servable.h"
#include "serve/grpc/handler.h"
#include "serve/grpc/health.h"
#include "serve/grpc/reflection.h"

namespace {

using namespace tenon::serve;

struct Fixture {
  Fixture() {
    ManagerOptions options;
    options.tick = std::chrono::milliseconds(1);
    options.loaders =
        MakeLoaderFactory([](const ServableId&, const std::string&) -> tenon::Result<std::unique_ptr<Servable>> {
          Signature predict, classify, regress, words;
          predict.name = "serving_default";
          predict.inputs = {TensorInfo{.alias = "x", .tensor_name = "x:0", .dims = {-1}}};
          predict.outputs = {TensorInfo{.alias = "y", .tensor_name = "y:0", .dims = {-1}}};
          classify.name = "c";
          classify.inputs = {TensorInfo{.alias = "inputs", .dtype = tenon::DType::kString}};
          classify.outputs = {TensorInfo{.alias = "scores"}};
          regress = classify;
          regress.name = "r";
          regress.outputs = {TensorInfo{.alias = "outputs"}};
          return std::make_unique<testing::FakeServable>(
              std::vector<Signature>{predict, classify, regress},
              [](const Signature& s, std::vector<tenon::Literal> in) -> tenon::Result<std::vector<tenon::Literal>> {
                if (s.name == "serving_default") return in;
                return std::vector<tenon::Literal>{tenon::Literal(tenon::DType::kF32, {in[0].size(), 1})};
              });
        });
    manager = std::make_shared<Manager>(std::move(options), std::make_shared<StateMonitor>());
    manager->SetAspired("m", {{1, "/m/1"}});
    testing::Eventually([&] { return manager->serving().Latest("m").ok(); });
    handler = std::make_unique<GrpcHandler>(GrpcHandlerOptions{}, manager,
                                            std::make_shared<Invoker>(std::make_shared<ServerMetrics>()), &admin);
  }
  struct Admin : ModelAdmin {
    tenon::Status ReloadModels(const std::vector<ModelConfig>&) override { return {}; }
  } admin;
  std::shared_ptr<Manager> manager;
  std::unique_ptr<GrpcHandler> handler;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture* const server = new Fixture();
  if (size == 0) return 0;
  const std::string_view request(reinterpret_cast<const char*>(data) + 1, size - 1);
  const int which = data[0] % 10;
  if (which == 8) {
    (void)rpc::Reflection::Ours().Answer(request, true);
  } else if (which == 9) {
    (void)rpc::ParseHealthRequest(request);
  } else {
    const auto method = static_cast<GrpcHandler::Method>(which);
    (void)server->handler->IsCheap(method, request);
    struct Later : GrpcLater {  // none of these models waits
      std::shared_ptr<GrpcReply> Make() override { std::abort(); }
    } later;
    std::string reply;
    (void)server->handler->Handle(method, request, nullptr, kNoDeadline, reply, later);
  }
  return 0;
}
