// A handler over models of each kind, requests for it, and its replies taken apart.
#pragma once
#include <gtest/gtest.h>

#include <future>

#include "formats/proto_wire/wire_writer.h"
#include "formats/savedmodel/tensor_proto.h"
#include "serve/core/batching.h"
#include "serve/core/fake_servable.h"
#include "serve/grpc/handler.h"
#include "serve/grpc/model_spec.h"

namespace tenon::serve::testing_rpc {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;
using serve::testing::Affine;
using serve::testing::FakeServable;
using Method = GrpcHandler::Method;

/// "code message", or the reply's bytes.
struct Reply {
  Status status;
  std::string bytes;
  std::string Text() const {
    return status.ok() ? "OK" : std::to_string(static_cast<int>(status.code())) + " " + status.message();
  }
};

/// The fields of a message by number; nested ones as bytes.
inline std::vector<std::pair<std::uint32_t, std::string>> Fields(std::string_view bytes) {
  const Place place("reply", bytes);
  std::vector<std::pair<std::uint32_t, std::string>> out;
  Reader reader(bytes, place);
  while (reader.Next()) {
    std::string value;
    if (reader.type() == proto_wire::WireType::kLength) {
      value = reader.bytes();
    } else if (reader.type() == proto_wire::WireType::kVarint) {
      std::int64_t n = 0;
      reader.Get(&n);
      value = std::to_string(n);
    } else if (reader.type() == proto_wire::WireType::kFixed32) {
      float f = 0;
      reader.Get(&f);
      value = std::to_string(f);
    }
    out.emplace_back(reader.number(), value);
  }
  EXPECT_TRUE(reader.status().ok()) << reader.status().message();
  return out;
}

inline std::string Field(std::string_view bytes, std::initializer_list<std::uint32_t> path) {
  std::string at(bytes);
  for (const std::uint32_t number : path) {
    std::string next = "(none)";
    for (const auto& [n, value] : Fields(at))
      if (n == number) next = value;
    at = next;
  }
  return at;
}

inline Signature MakeSignature(const char* name, std::vector<TensorInfo> inputs, std::vector<TensorInfo> outputs) {
  Signature s;
  s.name = name;
  s.inputs = std::move(inputs);
  s.outputs = std::move(outputs);
  return s;
}

/// Model m: versions 1 (y = x + 1) and 2 (y = 2 x + 3), label "stable" = 1. Model e: classify and regress. Model t:
/// every type, echoed. Model slow: as m, takes 50 ms. Models bm and be: m's version 2 and e, batched. Model lost: its
/// runs are never done.
class HandlerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ManagerOptions options;
    options.tick = std::chrono::milliseconds(1);
    options.loaders = MakeLoaderFactory([](const ServableId& id,
                                           const std::string&) -> Result<std::unique_ptr<Servable>> {
      if (id.name == "e") return Examples();
      if (id.name == "be" || id.name == "bm")
        return std::make_unique<BatchingServable>(id, id.name == "be" ? Examples({-1}) : Affine(2, 3),
                                                  Batching{.max_batch_size = 16}, std::make_shared<BatchPool>(2),
                                                  std::make_shared<ServerMetrics>());
      if (id.name == "t") return Echo();
      if (id.name == "lost") return std::make_unique<Lost>();
      if (id.name == "d") return WithDefault();
      if (id.name == "slow") {
        Signature s = MakeSignature("serving_default", {{.alias = "x"}}, {{.alias = "y"}});
        return std::make_unique<FakeServable>(std::vector<Signature>{s}, [](const Signature&, std::vector<Literal> in) {
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
          return Result<std::vector<Literal>>(std::move(in));
        });
      }
      return id.version == 1 ? Affine(1, 1) : Affine(2, 3);
    });
    monitor_ = std::make_shared<StateMonitor>();
    manager_ = std::make_shared<Manager>(std::move(options), monitor_);
    manager_->SetAspired("m", {{1, "/m/1"}, {2, "/m/2"}});
    for (const char* name : {"e", "t", "slow", "d", "be", "bm", "lost"}) manager_->SetAspired(name, {{7, "/x/7"}});
    manager_->SetLabels({{"m", {{"stable", 1}}}});
    ASSERT_TRUE(serve::testing::Eventually([&] {
      return manager_->serving().Specific("m", 1).ok() && manager_->serving().Specific("m", 2).ok() &&
             manager_->serving().Latest("e").ok() && manager_->serving().Latest("t").ok() &&
             manager_->serving().Latest("slow").ok() && manager_->serving().Latest("d").ok() &&
             manager_->serving().Latest("be").ok() && manager_->serving().Latest("bm").ok() &&
             manager_->serving().Latest("lost").ok();
    }));
    metrics_ = std::make_shared<ServerMetrics>();
    handler_ =
        std::make_unique<GrpcHandler>(GrpcHandlerOptions{}, manager_, std::make_shared<Invoker>(metrics_), &admin_);
  }

  static std::unique_ptr<Servable> Examples(std::vector<std::int64_t> dims = {}) {
    const TensorInfo in{.alias = "inputs", .dtype = DType::kString, .dims = std::move(dims)};
    return std::make_unique<FakeServable>(
        std::vector<Signature>{MakeSignature("c", {in}, {{.alias = "scores"}}),
                               MakeSignature("r", {in}, {{.alias = "outputs"}})},
        [](const Signature& s, std::vector<Literal> inputs) -> Result<std::vector<Literal>> {
          const std::int64_t n = inputs[0].size();
          Literal out(DType::kF32, {n, s.name == "c" ? 2 : 1});
          for (std::size_t i = 0; i < out.data<float>().size(); ++i)
            out.mutable_data<float>()[i] =
                static_cast<float>(inputs[0].strings()[i / static_cast<std::size_t>(out.dims()[1])].size());
          return std::vector<Literal>{out};
        });
  }
  struct Lost : FakeServable {
    Lost() : FakeServable({MakeSignature("serving_default", {{.alias = "x"}}, {{.alias = "y"}})}, {}) {}
    bool waits() const override { return true; }
    void RunAsync(const Signature&, std::vector<Literal>, std::span<const int>, Patience, Done) override {}
  };
  static std::unique_ptr<Servable> WithDefault() {
    const Signature s = MakeSignature("serving_default",
                                      {{.alias = "x"}, {.alias = "b", .default_value = Literal::from<float>({1}, {5})}},
                                      {{.alias = "y"}});
    return std::make_unique<FakeServable>(
        std::vector<Signature>{s}, [](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
          return std::vector<Literal>{Literal::from<float>({1}, {in[0].data<float>()[0] + in[1].data<float>()[0]})};
        });
  }
  static std::unique_ptr<Servable> Echo() {
    std::vector<Signature> signatures;
    for (int i = 0; i < kNumDTypes; ++i) {
      const auto dtype = static_cast<DType>(i);
      signatures.push_back(MakeSignature(std::string(dtype_name(dtype)).c_str(), {{.alias = "x", .dtype = dtype}},
                                         {{.alias = "y", .dtype = dtype}}));
    }
    return std::make_unique<FakeServable>(signatures, [](const Signature&, std::vector<Literal> in) {
      return Result<std::vector<Literal>>(std::move(in));
    });
  }

  /// `came_later` is set to whether the reply came later.
  Reply Ask(Method method, const std::string& request, Deadline deadline = kNoDeadline,
            bool* came_later = nullptr) const {
    Reply reply;
    Waiting later;
    const std::optional<Status> status = handler_->Handle(method, request, nullptr, deadline, reply.bytes, later);
    if (came_later != nullptr) *came_later = !status;
    if (status) {
      reply.status = *status;
      return reply;
    }
    return later.promise->get_future().get();
  }
  /// What takes a reply that comes later.
  struct Waiting : GrpcLater {
    struct To : GrpcReply {
      explicit To(std::shared_ptr<std::promise<Reply>> p) : promise(std::move(p)) {}
      void Send(const Status& status, std::string bytes) override { promise->set_value({status, std::move(bytes)}); }
      bool gone() const override { return false; }
      const std::shared_ptr<std::promise<Reply>> promise;
    };
    std::shared_ptr<GrpcReply> Make() override { return std::make_shared<To>(promise); }
    const std::shared_ptr<std::promise<Reply>> promise = std::make_shared<std::promise<Reply>>();
  };

  struct Admin : ModelAdmin {
    Status ReloadModels(const std::vector<ModelConfig>& models) override {
      got = models;
      return answer;
    }
    std::vector<ModelConfig> got;
    Status answer;
  };

  std::shared_ptr<StateMonitor> monitor_;
  std::shared_ptr<Manager> manager_;
  std::shared_ptr<ServerMetrics> metrics_;
  Admin admin_;
  std::unique_ptr<GrpcHandler> handler_;
};

/// A PredictRequest. `tensors`: alias -> TensorProto bytes.
inline std::string Predict(std::string_view model, const std::vector<std::pair<std::string, std::string>>& tensors,
                           std::string_view signature = "", const std::vector<std::string>& filter = {},
                           std::int64_t version = -1, std::string_view label = "") {
  Writer w;
  w.Message(1, [&] {
    w.Text(1, model);
    if (version >= 0) w.Message(2, [&] { w.Varint(1, version); });
    w.Text(3, signature);
    w.Text(4, label);
  });
  for (const auto& [alias, tensor] : tensors)
    w.Message(2, [&] {
      w.Bytes(1, alias);
      w.Bytes(2, tensor);
    });
  for (const std::string& f : filter) w.Bytes(3, f);
  return std::move(w).Take();
}

inline std::string Shape(const std::vector<std::int64_t>& dims) {
  Writer w;
  for (const std::int64_t d : dims) w.Message(2, [&] { w.Varint(1, d); });
  return std::move(w).Take();
}

inline std::string Floats(const std::vector<std::int64_t>& dims, const std::vector<float>& values) {
  Writer w;
  w.Varint(1, 1);
  w.Bytes(2, Shape(dims));
  w.PackedFixed<float>(5, values);
  return std::move(w).Take();
}

inline Literal TensorOf(std::string_view bytes) {
  savedmodel::TensorProto proto;
  const Place place("tensor", bytes);
  EXPECT_TRUE(savedmodel::ParseTensor(bytes, place, &proto).ok());
  return savedmodel::LiteralOf(proto, "tensor").value();
}

}  // namespace tenon::serve::testing_rpc
