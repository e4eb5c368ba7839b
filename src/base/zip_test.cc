#include "base/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/file.h"
#include "temporary_folder.h"

namespace tenon::base {
namespace {

using testing::HasSubstr;

Status Write(const std::string& path, std::initializer_list<std::pair<std::string, std::string>> entries,
             ZipAddOptions options) {
  auto file = AtomicFile::Create(path).value();
  ZipWriter zip(*file);
  for (const auto& [name, content] : entries)
    if (const Status s = zip.Add(name, content, options); !s.ok()) return s;
  if (const Status s = zip.Finish(); !s.ok()) return s;
  return file->Commit();
}

TEST(Zip, ReadsBackInEveryForm) {
  const TemporaryFolder folder;
  std::string large(3000000, 'x');
  for (std::size_t i = 0; i < large.size(); i += 3) large[i] = static_cast<char>(i * i >> 7);
  for (const ZipAddOptions options :
       {ZipAddOptions{}, ZipAddOptions{.compress = true}, ZipAddOptions{.alignment = 64},
        ZipAddOptions{.alignment = 4096, .force_zip64 = true}, ZipAddOptions{.compress = true, .force_zip64 = true}}) {
    const std::string path = folder / "a.zip";
    ASSERT_TRUE(Write(path, {{"a", "first"}, {"b/ü", large}, {"empty", ""}}, options).ok());
    const auto zip = ZipReader::Open(path);
    ASSERT_TRUE(zip.ok()) << zip.status().message();
    ASSERT_EQ((*zip)->entries().size(), 3U);
    EXPECT_EQ((*zip)->entries()[1].name, "b/ü");
    EXPECT_EQ((*zip)->Read("a").value(), "first");
    EXPECT_EQ((*zip)->Read("b/ü").value(), large);
    EXPECT_EQ((*zip)->Read("empty").value(), "");
    EXPECT_EQ((*zip)->Read("none").status().code(), Code::kNotFound);
  }
}

TEST(Zip, EveryNameLengthIsAligned) {
  const TemporaryFolder folder;
  std::string name;
  for (int n = 1; n < 140; ++n) {
    name += 'n';
    ASSERT_TRUE(Write(folder / "a.zip", {{name, "DATA!"}}, {.alignment = 64}).ok());
    const std::string file = ReadFile(folder / "a.zip").value();
    EXPECT_EQ(file.find("DATA!") % 64, 0U) << n;
    EXPECT_EQ(ZipReader::Open(folder / "a.zip").value()->Read(name).value(), "DATA!") << n;
  }
}

TEST(Zip, PartsAreJoined) {
  const TemporaryFolder folder;
  auto file = AtomicFile::Create(folder / "a.zip").value();
  ZipWriter zip(*file);
  const std::array<std::string_view, 3> parts = {"one ", "", "two"};
  ASSERT_TRUE(zip.Add("stored", parts).ok());
  ASSERT_TRUE(zip.Add("deflated", parts, {.compress = true}).ok());
  EXPECT_EQ(zip.Add("stored", "again").code(), Code::kAlreadyExists);
  EXPECT_EQ(zip.Add("", "no name").code(), Code::kInvalidArgument);
  ASSERT_TRUE(zip.Finish().ok());
  ASSERT_TRUE(file->Commit().ok());
  const auto reader = ZipReader::Open(folder / "a.zip").value();
  EXPECT_EQ(reader->Read("stored").value(), "one two");
  EXPECT_EQ(reader->Read("deflated").value(), "one two");
}

TEST(Zip, ManyEntriesNeedZip64) {
  const TemporaryFolder folder;
  auto file = AtomicFile::Create(folder / "a.zip").value();
  ZipWriter zip(*file);
  for (int i = 0; i < 70000; ++i) ASSERT_TRUE(zip.Add(std::to_string(100000 + i), "x").ok());
  ASSERT_TRUE(zip.Finish().ok());
  ASSERT_TRUE(file->Commit().ok());
  const auto reader = ZipReader::Open(folder / "a.zip");
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  EXPECT_EQ((*reader)->entries().size(), 70000U);
  EXPECT_EQ((*reader)->Read("169999").value(), "x");
}

TEST(Zip, DamageAndFalseClaimsAreErrors) {
  const TemporaryFolder folder;
  ASSERT_TRUE(Write(folder / "a.zip", {{"name", "content of the entry"}}, {}).ok());
  std::string file = ReadFile(folder / "a.zip").value();
  std::string damaged = file;
  damaged[file.find("content")] = 'C';
  ASSERT_TRUE(WriteFile(folder / "b.zip", damaged).ok());
  EXPECT_EQ(ZipReader::Open(folder / "b.zip").value()->Read("name").status().code(), Code::kDataLoss) << "checksum";

  std::string claims = file;
  const std::size_t central = file.find("PK\1\2");
  claims.replace(central + 24, 4, "\xff\xff\xff\x7f");  // the size of the content
  ASSERT_TRUE(WriteFile(folder / "b.zip", claims).ok());
  const Status claimed = ZipReader::Open(folder / "b.zip").status();
  EXPECT_EQ(claimed.code(), Code::kInvalidArgument);
  EXPECT_THAT(claimed.message(), HasSubstr("impossible"));

  std::string method = file;
  method[central + 10] = 14;  // lzma
  ASSERT_TRUE(WriteFile(folder / "b.zip", method).ok());
  EXPECT_THAT(ZipReader::Open(folder / "b.zip").status().message(), HasSubstr("compression method 14"));

  ASSERT_TRUE(WriteFile(folder / "b.zip", "").ok());
  EXPECT_FALSE(ZipReader::Open(folder / "b.zip").ok());
  EXPECT_EQ(ZipReader::Open(folder / "c.zip").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace tenon::base
