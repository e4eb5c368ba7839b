// What the importers give keeps the rules of the verifier: every fixture that loads.
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>

#include "ir/verifier.h"
#include "tenon/formats.h"
#include "test_data.h"

namespace tenon {
namespace {

void VerifyAll(const std::string& root, bool (*is_model)(const std::filesystem::directory_entry&), int at_least) {
  int loaded = 0, broken = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!is_model(entry)) continue;
    const Result<Module> module = load(entry.path().string());
    if (!module.ok()) continue;  // what cannot be read is the matter of the formats' own tests
    ++loaded;
    const Status status = ir::VerifyModule(*module->impl());
    if (status.ok()) continue;
    ADD_FAILURE() << entry.path().string() << ": " << status.message();
    ++broken;
  }
  std::cout << loaded << " modules, " << broken << " broken\n";
  EXPECT_GE(loaded, at_least);
}

TEST(ImportedModules, Onnx) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  VerifyAll(root, [](const std::filesystem::directory_entry& e) { return e.path().extension() == ".onnx"; }, 150);
}

TEST(ImportedModules, SavedModel) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/savedmodel");
  VerifyAll(
      root,
      [](const std::filesystem::directory_entry& e) {
        return e.is_directory() && std::filesystem::exists(e.path() / "saved_model.pb");
      },
      20);
}

}  // namespace
}  // namespace tenon
