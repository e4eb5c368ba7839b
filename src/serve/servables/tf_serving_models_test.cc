// The models of TensorFlow Serving's own tests: they load and answer exactly.
#include <gtest/gtest.h>

#include <string>

#include "formats/proto_wire/wire_writer.h"
#include "serve/core/inference.h"
#include "serve/servables/module_servable.h"
#include "test_data.h"

namespace tenon::serve {
namespace {

constexpr const char* kRoot = "data/savedmodel/tf_serving/servables/tensorflow/testdata";

std::unique_ptr<Servable> Load(const std::string& folder) {
  auto made = MakeModuleServableCreator({})({"m", 123}, folder);
  EXPECT_TRUE(made.ok()) << folder << ": " << made.status().message();
  return made.ok() ? *std::move(made) : nullptr;
}

/// A tf.train.Example with one float.
std::string Example(const std::string& name, float value) {
  proto_wire::Writer w;
  w.Message(1, [&] {
    w.MapEntry(1, name, [&] { w.Message(2, [&] { w.PackedFixed<float>(1, std::span<const float>(&value, 1)); }); });
  });
  return std::move(w).Take();
}

float Ask(Servable& model, const std::string& signature, std::vector<Literal> inputs) {
  const Signature* s = model.FindSignature(signature);
  if (s == nullptr) {
    ADD_FAILURE() << "no signature " << signature;
    return 0;
  }
  const auto out = model.Run(*s, std::move(inputs), {}, kNoDeadline);
  EXPECT_TRUE(out.ok()) << out.status().message();
  return out.ok() ? static_cast<float>((*out)[0].at(0)) : 0;
}

TEST(TfServingModels, HalfPlusTwo) {
  TENON_TEST_DATA_OR_SKIP(root, kRoot);
  for (const char* name :
       {"saved_model_half_plus_two_cpu/00000123", "saved_model_half_plus_two_tf2_cpu/00000123",
        "saved_model_half_plus_two_2_versions/00000123", "saved_model_half_plus_two_2_versions/00000124",
        "saved_model_half_plus_two_gpu/00000123", "saved_model_half_plus_two_gpu_trt/00000123",
        "saved_model_half_plus_two_mlmd/00000123", "saved_model_half_plus_two_cpu_with_saved_model_config/00000123"}) {
    SCOPED_TRACE(name);
    const auto model = Load(root + "/" + name);
    if (model == nullptr) continue;
    const TensorInfo& x = model->FindSignature("")->inputs[0];
    const std::vector<std::int64_t> dims(x.unknown_rank ? 1 : x.dims.size(), 1);
    EXPECT_EQ(Ask(*model, "", {Literal::from<float>(dims, {2})}), 3);
    if (model->FindSignature("regress_x_to_y") == nullptr) continue;
    const RunFunction run = [&](const Signature& s, std::vector<Literal> in, std::span<const int> wanted) {
      return model->Run(s, std::move(in), wanted, kNoDeadline);
    };
    const auto regressed = Regress(*model, "regress_x_to_y", {Example("x", 2), Example("x", 8)}, run);
    ASSERT_TRUE(regressed.ok()) << regressed.status().message();
    EXPECT_EQ(*regressed, (std::vector<float>{3, 6}));
    const auto classified = Classify(*model, "classify_x_to_y", {Example("x", 2)}, run);
    ASSERT_TRUE(classified.ok()) << classified.status().message();
    EXPECT_EQ(classified->scores, std::vector<float>{3});
    const auto missing = Regress(*model, "regress_x_to_y", {Example("other", 2)}, run);
    EXPECT_EQ(missing.status().code(), Code::kInvalidArgument);
    EXPECT_NE(missing.status().message().find("is required but could not be found"), std::string::npos)
        << missing.status().message();
  }
}

TEST(TfServingModels, HalfPlusThree) {
  TENON_TEST_DATA_OR_SKIP(root, kRoot);
  const auto model = Load(root + "/saved_model_half_plus_three/00000123");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(Ask(*model, "", {Literal::from<float>({1}, {2})}), 4);
}

TEST(TfServingModels, CounterKeepsItsState) {
  TENON_TEST_DATA_OR_SKIP(root, kRoot);
  const auto model = Load(root + "/saved_model_counter/00000123");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(Ask(*model, "get_counter", {}), 0);
  EXPECT_EQ(Ask(*model, "incr_counter", {}), 1);
  EXPECT_EQ(Ask(*model, "incr_counter_by", {Literal::scalar(3.0F)}), 4);
  EXPECT_EQ(Ask(*model, "get_counter", {}), 4);
  EXPECT_EQ(Ask(*model, "reset_counter", {}), 0);
  EXPECT_EQ(Ask(*model, "get_counter", {}), 0);
  EXPECT_TRUE(model->FindSignature("get_counter")->outputs[0].is_reference);
}

TEST(TfServingModels, TheInitialiserIsListedAndNotRun) {
  TENON_TEST_DATA_OR_SKIP(root, kRoot);
  const auto model = Load(root + "/saved_model_half_plus_two_tf2_cpu/00000123");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->FindSignature("__saved_model_init_op"), nullptr);
  int internal = 0;
  for (const Signature& s : model->signatures()) internal += s.internal ? 1 : 0;
  EXPECT_EQ(internal, 1);
  const std::optional<Literal>& otherwise = model->FindSignature("")->inputs[0].default_value;
  ASSERT_TRUE(otherwise.has_value()) << "this signature says what x is when it is left out";
  EXPECT_TRUE(identical(*otherwise, Literal::from<float>({1}, {0})));
}

}  // namespace
}  // namespace tenon::serve
