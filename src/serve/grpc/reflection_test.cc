#include "serve/grpc/reflection.h"

#include <gtest/gtest.h>

#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"
#include "serve/grpc/health.h"

namespace tenon::serve::rpc {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;

/// The strings at a path of field numbers.
std::vector<std::string> At(std::string_view bytes, const std::vector<std::uint32_t>& path) {
  std::vector<std::string> level{std::string(bytes)};
  for (const std::uint32_t number : path) {
    std::vector<std::string> next;
    for (const std::string& message : level) {
      const Place place("m", message);
      Reader reader(message, place);
      while (reader.Next())
        if (reader.number() == number) next.emplace_back(reader.bytes());
    }
    level = next;
  }
  return level;
}

std::string Ask(std::uint32_t field, std::string_view text, bool with_health = true) {
  Writer w;
  w.Bytes(field, text);
  const Result<std::string> reply = Reflection::Ours().Answer(w.bytes(), with_health);
  EXPECT_TRUE(reply.ok());
  EXPECT_EQ(At(*reply, {2}), std::vector<std::string>{w.bytes()}) << "the request comes back";
  return *reply;
}

TEST(Reflection, ListsServices) {
  const std::vector<std::string> all = {"grpc.health.v1.Health",
                                        "grpc.reflection.v1.ServerReflection",
                                        "grpc.reflection.v1alpha.ServerReflection",
                                        "tensorflow.ProfilerService",
                                        "tensorflow.serving.ModelService",
                                        "tensorflow.serving.PredictionService",
                                        "tensorflow.serving.SessionService"};
  EXPECT_EQ(At(Ask(7, ""), {6, 1, 1}), all);
  EXPECT_EQ(At(Ask(7, "", false), {6, 1, 1}), std::vector<std::string>(all.begin() + 1, all.end()));
}

TEST(Reflection, FindsFilesWithWhatTheyImport) {
  for (const char* symbol : {"tensorflow.serving.PredictionService", "tensorflow.serving.PredictionService.Predict",
                             "tensorflow.serving.PredictRequest", "tensorflow.serving.PredictRequest.InputsEntry",
                             "tensorflow.serving.ModelVersionStatus.State", "tensorflow.serving.ModelSpec.version"}) {
    const std::vector<std::string> names = At(Ask(4, symbol), {4, 1, 1});
    ASSERT_EQ(names.size(), 6U) << symbol;
    EXPECT_EQ(names[0], "serving.proto") << symbol;
  }
  EXPECT_EQ(At(Ask(3, "tensorflow_types.proto"), {4, 1, 1}), std::vector<std::string>{"tensorflow_types.proto"});
  EXPECT_EQ(At(Ask(4, "tensorflow.error.Code"), {4, 1, 1}), std::vector<std::string>{"tensorflow_error.proto"});
}

TEST(Reflection, Errors) {
  EXPECT_EQ(At(Ask(3, "none.proto"), {7, 2}), std::vector<std::string>{"File not found."});
  EXPECT_EQ(At(Ask(4, "none"), {7, 2}), std::vector<std::string>{"Symbol not found."});
  EXPECT_EQ(At(Ask(6, "tensorflow.TensorProto"), {5, 1}), std::vector<std::string>{"tensorflow.TensorProto"});
  EXPECT_EQ(At(*Reflection::Ours().Answer("", true), {7}).size(), 1U);
  EXPECT_FALSE(Reflection::Ours().Answer("\x1a\xff", true).ok());
  EXPECT_FALSE(Reflection::Make("\x0a\xff").ok());
}

TEST(Health, Responses) {
  EXPECT_EQ(HealthResponse("", true), "\x08\x01");
  EXPECT_EQ(HealthResponse("tensorflow.serving.PredictionService", false), "\x08\x02");
  EXPECT_EQ(HealthResponse("other", true), "\x08\x03");
  EXPECT_EQ(*ParseHealthRequest("\x0a\x01x"), "x");
  EXPECT_FALSE(ParseHealthRequest("\x0a\x05x").ok());
}

}  // namespace
}  // namespace tenon::serve::rpc
