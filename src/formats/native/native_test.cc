#include "formats/native/native.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "ir/builder.h"
#include "ir/sample.h"
#include "ir/text.h"

namespace tenon::native {
namespace {

ir::Module Sample() {
  ir::Module m;
  (void)m.AddVariable(std::make_shared<ir::VariableCell>("w", ir::Random({40, 10}, 1), true));
  ir::Function f;
  f.name = "serving_default";
  f.input_names = {"x"};
  f.output_names = {"y"};
  f.reads = {"w"};
  ir::Builder b(&f.graph);
  const ir::Value x = b.Input("x", ir::Type::Tensor(DType::kF32, {Dim::symbol("n"), 40}));
  const ir::Value w = b.Input("w", ir::Type::Tensor(DType::kF32, {40, 10}));
  f.graph.set_outputs({b.Add("matmul", {x, w})});
  m.functions.push_back(std::move(f));
  return m;
}

class NativeFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ =
        (std::filesystem::temp_directory_path() / ("native_test-" + std::to_string(::getpid()) + ".tenon")).string();
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_;
};

TEST_F(NativeFile, RoundTrip) {
  const ir::Module m = Sample();
  ASSERT_TRUE(Write(m, path_).ok());
  const Result<ir::Module> back = Read(path_);
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(ir::PrintModule(*back), ir::PrintModule(m));
  EXPECT_TRUE(identical(back->variables[0]->Read(), m.variables[0]->Read()));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(back->variables[0]->Read().raw().data()) % 64, 0U);
  const std::string first = base::ReadFile(path_).value();
  ASSERT_TRUE(Write(*back, path_).ok());
  EXPECT_EQ(base::ReadFile(path_).value(), first) << "the same module gives the same bytes";
}

TEST_F(NativeFile, EveryDamagedByteIsFound) {
  ASSERT_TRUE(Write(Sample(), path_).ok());
  const std::string good = base::ReadFile(path_).value();
  for (std::size_t i = 0; i < good.size(); i += 37) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x55);
    ASSERT_TRUE(base::WriteFile(path_, bad).ok());
    EXPECT_FALSE(Read(path_).ok()) << "byte " << i;
  }
  for (const std::size_t n : {0UL, 7UL, 20UL, 63UL, 64UL, good.size() / 2, good.size() - 1}) {
    ASSERT_TRUE(base::WriteFile(path_, good.substr(0, n)).ok());
    const Result<ir::Module> r = Read(path_);
    EXPECT_FALSE(r.ok()) << n;
    EXPECT_NE(r.status().message().find(path_), std::string::npos);
  }
}

TEST_F(NativeFile, Missing) { EXPECT_EQ(Read("/nowhere/x.tenon").status().code(), Code::kNotFound); }

}  // namespace
}  // namespace tenon::native
