// Models that other frameworks made give their frameworks' outputs on both backends, at both recorded sizes: one
// compiled function for each model, as a server holds it, run with one size, with the other, and with the first again.
#include <gtest/gtest.h>

#include "compiler/backend.h"
#include "formats/onnx/fixture_run.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/translate.h"
#include "test_data.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

void RunAll(const std::string& root, const std::string& backend_name) {
  const compiler::Backend* backend = compiler::FindBackend(backend_name);
  ASSERT_NE(backend, nullptr);
  const char* only = std::getenv("TENON_ONNX_ONLY");
  int right = 0, runs = 0;
  for (const std::string& path : onnx::FixtureModels(root)) {
    const fs::path folder = fs::path(path).parent_path();
    const std::string name = folder.filename().string();
    if (only != nullptr && name.find(only) == std::string::npos) continue;
    SCOPED_TRACE(name);
    const Result<onnx::Model> model = onnx::ParseFile(path);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const Result<ir::Module> module = onnx::Translate(*model);
    ASSERT_TRUE(module.ok()) << module.status().message();
    const ir::Function& function = module->functions[0];
    ASSERT_TRUE(function.reads.empty());
    const auto compiled = backend->compile(function.graph, {});
    EXPECT_TRUE(compiled.ok()) << compiled.status().message();
    if (!compiled.ok()) continue;
    bool good = true;
    for (const char* io : {"io.npz", "io2.npz", "io.npz"}) {
      const std::string file = (folder / io).string();
      if (!fs::exists(file)) continue;  // a model without dynamic dims has one size
      const std::string difference = onnx::RunFixture(
          name, function, file, [&](std::vector<Literal> inputs) { return (*compiled)->Run(std::move(inputs)); });
      EXPECT_EQ(difference, "") << io;
      good = good && difference.empty();
      ++runs;
    }
    right += good ? 1 : 0;
  }
  std::printf("  %s: %d of 232 models right, %d runs\n", backend_name.c_str(), right, runs);
  if (only == nullptr) {
    EXPECT_EQ(right, 232);
    EXPECT_EQ(runs, 662);  // 34 models have one size, 198 two
  }
}

TEST(OnnxFixtures, GiveTheirFrameworksOutputsOnCpu) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  RunAll(root, "cpu");
}

TEST(OnnxFixtures, GiveTheirFrameworksOutputsOnTheReference) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  RunAll(root, "ref");
}

}  // namespace
}  // namespace tenon
