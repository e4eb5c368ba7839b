// Test data that is not ours: models, tables and fixtures, found through TENON_TEST_DATA. A test that needs a file says
//   TENON_TEST_DATA_OR_SKIP(path, "data/mnist/train-labels-idx1-ubyte.gz");
// and is skipped with a message where the file is missing, or fails when TENON_REQUIRE_DATA=1.
#pragma once
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <optional>
#include <string>

/// The path of a file or folder below TENON_TEST_DATA; nothing when the variable is unset or the file is missing.
inline std::optional<std::string> TestData(const std::string& relative) {
  const char* root = std::getenv("TENON_TEST_DATA");
  if (root == nullptr || *root == '\0') return std::nullopt;
  std::string path = std::string(root) + "/" + relative;
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return path;
}

/// TENON_REQUIRE_DATA=1: missing data is a failure.
inline bool TestDataRequired() {
  const char* value = std::getenv("TENON_REQUIRE_DATA");
  return value != nullptr && std::string(value) == "1";
}

/// Declares `const std::string variable`, the path of the data; ends the test when it is missing.
#define TENON_TEST_DATA_OR_SKIP(variable, relative)                                                             \
  const std::optional<std::string> variable##_found = TestData(relative);                                       \
  if (!variable##_found && TestDataRequired())                                                                  \
    GTEST_FAIL() << "TENON_REQUIRE_DATA=1, and there is no " << (relative) << " under TENON_TEST_DATA";         \
  if (!variable##_found) GTEST_SKIP() << "no " << (relative) << " under TENON_TEST_DATA (" << #variable << ")"; \
  const std::string variable = *variable##_found
