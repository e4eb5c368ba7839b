// Models that other frameworks made, translated and run on the reference evaluation: their own outputs must come out.
#include <gtest/gtest.h>

#include "formats/onnx/fixture_run.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/translate.h"
#include "test_data.h"

namespace tenon::onnx {
namespace {

TEST(Fixtures, TranslatedModelsGiveTheirFrameworksOutputs) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  const char* only = std::getenv("TENON_ONNX_ONLY");
  int right = 0, refused = 0;
  for (const std::string& path : FixtureModels(root)) {
    const std::string name = std::filesystem::path(path).parent_path().filename().string();
    if (only != nullptr && name.find(only) == std::string::npos) continue;
    const Result<Model> model = ParseFile(path);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const Result<ir::Module> module = Translate(*model);
    if (!module.ok()) {
      EXPECT_EQ(module.status().code(), Code::kUnimplemented) << module.status().message();
      std::printf("  refused %s: %s\n", name.c_str(),
                  module.status().message().substr(path.size() + 2).substr(0, 400).c_str());
      ++refused;
      continue;
    }
    bool good = true;
    for (const char* io : {"io.npz", "io2.npz"}) {
      const std::string file = (std::filesystem::path(path).parent_path() / io).string();
      if (!std::filesystem::exists(file)) continue;
      const std::string difference = RunFixture(name, *module, file);
      EXPECT_EQ(difference, "") << name << " " << io;
      good = good && difference.empty();
    }
    right += good ? 1 : 0;
  }
  std::printf("  %d right, %d refused\n", right, refused);
  if (only == nullptr) {
    EXPECT_EQ(refused, 0);
    EXPECT_GE(right, 232);
  }
}

}  // namespace
}  // namespace tenon::onnx
