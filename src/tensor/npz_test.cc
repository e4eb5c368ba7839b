#include "tensor/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "base/file.h"
#include "base/zip.h"
#include "temporary_folder.h"
#include "tensor/npy.h"
#include "test_data.h"

namespace tenon::npy {
namespace {

using testing::HasSubstr;

std::map<std::string, Literal> Sample() {
  Literal noise(DType::kF32, {1000, 30});
  std::mt19937 random(3);
  for (float& x : noise.mutable_data<float>()) x = static_cast<float>(random() % 100);
  return {{"a", Literal::from<std::int64_t>({2}, {1, -2})},         {"layers/dense/0", noise},
          {"words", Literal::from_strings({2}, {"é", "x"})},        {"bias ü", Literal::scalar(1.5F)},
          {"flags", Literal::from<bool>({3}, {true, false, true})}, {"empty", Literal(DType::kF64, {0, 4})}};
}

TEST(Npz, RoundTripsStoredAndDeflated) {
  const TemporaryFolder folder;
  const auto arrays = Sample();
  for (const bool compress : {false, true}) {
    const std::string path = folder / (compress ? "deflated.npz" : "stored.npz");
    ASSERT_TRUE(WriteNpz(path, arrays, compress).ok());
    const auto back = ReadNpz(path);
    ASSERT_TRUE(back.ok()) << back.status().message();
    ASSERT_EQ(back->size(), arrays.size());
    for (const auto& [key, literal] : arrays) EXPECT_TRUE(identical(back->at(key), literal)) << key;
    const std::string first = base::ReadFile(path).value();
    ASSERT_TRUE(WriteNpz(path, arrays, compress).ok());
    EXPECT_EQ(base::ReadFile(path).value(), first) << "the same arrays give the same bytes";
  }
  EXPECT_LT(std::filesystem::file_size(folder / "deflated.npz"), std::filesystem::file_size(folder / "stored.npz") / 2);
  ASSERT_TRUE(WriteNpz(folder / "none.npz", {}).ok());
  EXPECT_TRUE(ReadNpz(folder / "none.npz").value().empty());
}

TEST(Npz, StoredDataIsAligned) {
  const TemporaryFolder folder;
  const Literal literal = Literal::from<double>({3}, {0x1.23456789abcdep3, 2, 3});
  ASSERT_TRUE(WriteNpz(folder / "a.npz", {{"x", literal}, {"yyyyyyyyy", literal}}).ok());
  const std::string file = base::ReadFile(folder / "a.npz").value();
  const std::string_view raw(reinterpret_cast<const char*>(literal.raw().data()), literal.nbytes());
  const std::size_t first = file.find(raw), second = file.find(raw, first + 1);
  ASSERT_NE(second, std::string::npos);
  EXPECT_EQ(first % 64, 0U);
  EXPECT_EQ(second % 64, 0U);
}

TEST(Npz, EveryCutAndEveryFlippedByteIsAnErrorOrTheSame) {
  const TemporaryFolder folder;
  for (const bool compress : {false, true}) {
    const std::map<std::string, Literal> arrays = {{"a", Literal::from<std::int32_t>({4}, {1, 2, 3, 4})},
                                                   {"s", Literal::from_strings({1}, {"text"})}};
    ASSERT_TRUE(WriteNpz(folder / "a.npz", arrays, compress).ok());
    const std::string whole = base::ReadFile(folder / "a.npz").value();
    for (std::size_t n = 0; n < whole.size(); ++n) {
      ASSERT_TRUE(base::WriteFile(folder / "cut.npz", whole.substr(0, n)).ok());
      EXPECT_FALSE(ReadNpz(folder / "cut.npz").ok()) << n;
      std::string flipped = whole;
      flipped[n] = static_cast<char>(flipped[n] ^ 0x55);
      ASSERT_TRUE(base::WriteFile(folder / "cut.npz", flipped).ok());
      const auto got = ReadNpz(folder / "cut.npz");
      if (!got.ok()) continue;
      for (const auto& [key, literal] : *got)  // a name, a date or padding: never other elements
        EXPECT_TRUE(identical(literal, arrays.at("a")) || identical(literal, arrays.at("s"))) << n << key;
    }
  }
}

TEST(Npz, HostileArchivesAreErrors) {
  const TemporaryFolder folder;
  const auto write = [&](const std::vector<std::pair<std::string, std::string>>& entries) {
    const auto file = base::AtomicFile::Create(folder / "a.npz").value();
    base::ZipWriter zip(*file);
    for (const auto& [name, content] : entries) ASSERT_TRUE(zip.Add(name, content, {.compress = true}).ok());
    ASSERT_TRUE(zip.Finish().ok());
    ASSERT_TRUE(file->Commit().ok());
  };
  const std::string good = WriteNpy(Literal::scalar(1.0F));
  write({{"a.npy", good}, {"a", good}});
  EXPECT_THAT(ReadNpz(folder / "a.npz").status().message(), HasSubstr("twice"));
  write({{"a.npy", "text"}});
  EXPECT_THAT(ReadNpz(folder / "a.npz").status().message(), HasSubstr("a.npz/a.npy: is no .npy file"));
  write({{"a.npy", good.substr(0, 100)}});
  EXPECT_EQ(ReadNpz(folder / "a.npz").status().code(), Code::kDataLoss);
  write({{"a.npy", good + "x"}});
  EXPECT_EQ(ReadNpz(folder / "a.npz").status().code(), Code::kInvalidArgument);
  std::string claims = good;
  const std::string shape = "'shape': ()";
  claims.replace(claims.find(shape), shape.size() + 20, "'shape': (99999999999,), }     ");
  write({{"a.npy", claims}});
  EXPECT_EQ(ReadNpz(folder / "a.npz").status().code(), Code::kDataLoss) << "claims 400 GB";
  write({{"folder/", ""}, {"b", good}});
  EXPECT_EQ(ReadNpz(folder / "a.npz").value().count("b"), 1U);

  ASSERT_TRUE(base::WriteFile(folder / "b.npz", good).ok());
  EXPECT_EQ(ReadNpz(folder / "b.npz").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(ReadNpz(folder / "missing.npz").status().code(), Code::kNotFound);
  EXPECT_EQ(ReadNpz(folder.path()).status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(WriteNpz(folder / "none/a.npz", {}).ok());
}

// Files of NumPy itself, stored and deflated.
TEST(Npz, FilesOfTheField) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures");
  TENON_TEST_DATA_OR_SKIP(data, "data");
  int files = 0;
  for (const std::string& folder : {root, data})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".npz") continue;
      const auto arrays = ReadNpz(entry.path().string());
      ASSERT_TRUE(arrays.ok()) << arrays.status().message();
      EXPECT_FALSE(arrays->empty()) << entry.path();
      ++files;
    }
  EXPECT_GT(files, 30);
}

}  // namespace
}  // namespace tenon::npy
