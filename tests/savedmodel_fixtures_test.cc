// Models that TensorFlow saved give its outputs on both backends, compiled as a server holds them: every recorded call
// in order, which matters where a model keeps state.
#include <gtest/gtest.h>

#include "base/file.h"
#include "formats/savedmodel/fixture_calls.h"
#include "formats/savedmodel/fixture_names.h"
#include "formats/savedmodel/savedmodel.h"
#include "tenon/compile.h"
#include "test_data.h"

namespace tenon {
namespace {

/// Empty when every output of every call is as recorded.
std::string RunRecorded(const std::string& folder, const std::string& backend) {
  const std::vector<savedmodel::RecordedCall> calls = savedmodel::RecordedCalls(folder);
  const bool graph = base::FileExists(folder + "/graph.pb");
  savedmodel::LoadOptions options;
  if (graph)
    for (const auto& [name, value] : calls.at(0).outputs) options.outputs.push_back(name);
  Result<ir::Module> loaded =
      graph ? savedmodel::LoadGraphDef(folder + "/graph.pb", options) : savedmodel::LoadSavedModel(folder);
  if (!loaded.ok()) return loaded.status().message();
  const Module module(std::make_shared<ir::Module>(*std::move(loaded)));
  const Result<Executable> compiled = compile(module, {.backend = backend});
  if (!compiled.ok()) return compiled.status().message();
  // bfloat16 keeps 8 bits: TensorFlow's kernels round sums elsewhere than ours.
  const double tolerance = folder.find("bfloat16") != std::string::npos ? 3e-2 : 2e-5;
  for (const savedmodel::RecordedCall& call : calls) {
    const auto outputs = compiled->run(call.inputs, graph ? "" : call.signature);
    if (!outputs.ok()) return call.signature + ": " + outputs.status().message();
    for (const auto& [name, wanted] : call.outputs) {
      const auto got = outputs->find(name);
      if (got == outputs->end()) return call.signature + ": there is no output " + name;
      const std::string difference = savedmodel::Difference(got->second, wanted, tolerance);
      if (!difference.empty()) return call.signature + "." + name + ": " + difference;
    }
  }
  return "";
}

class SavedModelFixture : public testing::TestWithParam<const char*> {};

TEST_P(SavedModelFixture, GivesTensorFlowsOutputsOnCpu) {
  TENON_TEST_DATA_OR_SKIP(folder, std::string("fixtures/savedmodel/") + GetParam());
  EXPECT_EQ(RunRecorded(folder, "cpu"), "");
}

TEST_P(SavedModelFixture, GivesTensorFlowsOutputsOnTheReference) {
  TENON_TEST_DATA_OR_SKIP(folder, std::string("fixtures/savedmodel/") + GetParam());
  EXPECT_EQ(RunRecorded(folder, "ref"), "");
}

INSTANTIATE_TEST_SUITE_P(All, SavedModelFixture, testing::ValuesIn(savedmodel::kReadFixtures),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace tenon
