// Module -> onnx::Model -> bytes -> Module: the same numbers, names and dims.
#include "formats/onnx/export.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "formats/onnx/data_type.h"
#include "formats/onnx/fixture_run.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/translate.h"
#include "formats/onnx/write.h"
#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/numeric.h"
#include "test_data.h"

namespace tenon::onnx {
namespace {

// Set TENON_ONNX_DUMP to a folder to keep the exported files for other readers.
void Dump(const Model& model, const std::string& name, std::int64_t opset) {
  const char* folder = std::getenv("TENON_ONNX_DUMP");
  if (folder == nullptr) return;
  EXPECT_EQ(WriteFile(model, std::string(folder) + "/" + name + "." + std::to_string(opset) + ".onnx").message(), "");
}

TEST(Export, FixturesComeBackWithTheSameNumbers) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  const char* only = std::getenv("TENON_ONNX_ONLY");
  int right = 0, refused = 0, number = 0;
  for (const std::string& path : FixtureModels(root)) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    const std::string name = folder.filename().string();
    if (only != nullptr && name.find(only) == std::string::npos) continue;
    const Result<ir::Module> module = Translate(*ParseFile(path));
    if (!module.ok()) continue;
    // These three, and another one for each.
    constexpr std::int64_t kOthers[] = {14, 15, 16, 18, 19, 20, 22, 23, 24, 25, 26, 27, 28};
    for (const std::int64_t opset :
         {std::int64_t{13}, std::int64_t{17}, std::int64_t{21}, kOthers[static_cast<std::size_t>(number++) % 13]}) {
      SCOPED_TRACE(name + " at opset " + std::to_string(opset));
      const Result<Model> model = Export(*module, {.opset = opset});
      if (!model.ok()) {
        EXPECT_EQ(model.status().code(), Code::kUnimplemented) << model.status().message();
        std::printf("  refused %s %d: %s\n", name.c_str(), static_cast<int>(opset),
                    model.status().message().substr(0, 300).c_str());
        ++refused;
        continue;
      }
      Dump(*model, name, opset);
      const Result<std::string> bytes = Serialize(*model);
      ASSERT_TRUE(bytes.ok());
      const Result<Model> parsed = Parse(*bytes, name);
      ASSERT_TRUE(parsed.ok()) << parsed.status().message();
      const Result<ir::Module> again = Translate(*parsed);
      EXPECT_TRUE(again.ok()) << again.status().message();
      if (!again.ok()) continue;
      const ir::Function &a = module->functions[0], &b = again->functions[0];
      EXPECT_EQ(a.input_names, b.input_names);
      EXPECT_EQ(a.output_names, b.output_names);
      for (std::size_t i = 0; i < a.num_inputs() && i < b.num_inputs(); ++i)
        EXPECT_TRUE(a.input_type(i).Accepts(b.input_type(i)))
            << a.input_type(i).to_string() << " " << b.input_type(i).to_string();
      bool good = true;
      for (const char* io : {"io.npz", "io2.npz"}) {
        const std::string file = (folder / io).string();
        if (!std::filesystem::exists(file)) continue;
        const std::string difference = RunFixture(name, *again, file);
        EXPECT_EQ(difference, "") << io;
        good = good && difference.empty();
      }
      right += good ? 1 : 0;
      EXPECT_EQ(*Serialize(*Export(*module, {.opset = opset})), *bytes);
    }
  }
  std::printf("  %d right, %d refused\n", right, refused);
  if (only == nullptr) {
    EXPECT_GE(right, 900);
  }
}

TEST(Export, CompositionsComeBackAsOneOp) {
  for (const char* op : {"silu", "rsqrt", "expm1", "log1p", "erfc"}) {
    SCOPED_TRACE(op);
    ir::Module module;
    ir::Function& function = module.functions.emplace_back();
    function.name = "serving_default";
    ir::Builder b(&function.graph);
    const ir::Value x = b.Input("x", ir::Type::Tensor(DType::kF32, {Dim::symbol("n")}));
    function.graph.set_outputs({b.Add(op, {x})});
    function.input_names = {"x"};
    function.output_names = {"y"};
    const Result<Model> model = Export(module, {.opset = 13});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->graph->nodes.size(), 2u);
    const Result<ir::Module> again = Translate(*Parse(*Serialize(*model), "what was written"));
    ASSERT_TRUE(again.ok()) << again.status().message();
    const ir::Graph& graph = again->functions[0].graph;
    EXPECT_EQ(graph.node(graph.outputs()[0]).op->name, op);
  }
}

// A composite is a node of that name from the opset on that has it, and its lowering before.
TEST(Export, CompositesAreWrittenByNameWhereTheOpsetHasThem) {
  struct Row {
    const char* op;
    std::vector<std::vector<std::int64_t>> inputs;
    ir::Attrs attrs;
    std::string theirs;
    std::int64_t since;  // the first opset that has it so
  };
  const std::int64_t first = 1;
  const Row rows[] = {
      {"layer_norm", {{2, 4, 8}, {8}, {8}}, {}, "LayerNormalization", 17},
      {"layer_norm", {{2, 4, 8}}, {}, "LayerNormalization", 17},
      {"rms_norm", {{2, 4, 8}, {8}}, {}, "RMSNormalization", 23},
      {"rms_norm", {{2, 4, 8}}, {{"axis", first}}, "RMSNormalization", 23},
      {"group_norm", {{2, 4, 8}, {4}, {4}}, {{"groups", std::int64_t{2}}, {"axis", first}}, "GroupNormalization", 21},
      {"group_norm", {{2, 8, 8, 4}}, {{"groups", std::int64_t{2}}}, "GroupNormalization", 21},
      {"group_norm", {{2, 4, 8}}, {{"groups", std::int64_t{4}}, {"axis", first}}, "InstanceNormalization", 13},
      {"attention", {{2, 4, 3, 8}, {2, 2, 5, 8}, {2, 2, 5, 6}, {3, 5}}, {{"causal", true}}, "Attention", 23},
      {"attention",
       {{2, 3, 32}, {2, 5, 16}, {2, 5, 16}},
       {{"q_heads", std::int64_t{4}}, {"kv_heads", std::int64_t{2}}},
       "Attention",
       23},
      {"rotary_embedding", {{2, 3, 4, 6}, {2, 4, 3}, {2, 4, 3}}, {}, "RotaryEmbedding", 23},
  };
  for (const Row& row : rows)
    for (std::int64_t opset = 13; opset <= 28; ++opset) {
      SCOPED_TRACE(row.theirs + " at opset " + std::to_string(opset));
      ir::Module module;
      ir::Function& function = module.functions.emplace_back();
      function.name = "serving_default";
      ir::Builder b(&function.graph);
      std::vector<ir::Value> inputs;
      for (const std::vector<std::int64_t>& dims : row.inputs) {
        function.input_names.push_back("in" + std::to_string(inputs.size()));
        inputs.push_back(b.Input("", ir::Type::Tensor(DType::kF32, Shape(std::vector<Dim>(dims.begin(), dims.end())))));
      }
      function.graph.set_outputs({b.Add(row.op, inputs, row.attrs)});
      function.output_names = {"y"};
      const Result<Model> model = Export(module, {.opset = opset});
      ASSERT_TRUE(model.ok()) << model.status().message();
      const auto named = std::count_if(model->graph->nodes.begin(), model->graph->nodes.end(),
                                       [&](const Node& node) { return node.op_type == row.theirs; });
      EXPECT_EQ(named, opset >= row.since ? 1 : 0);
    }
}

// Bytes less a zero point are what ConvInteger takes, unless the zero point gives them more channels; what is left is
// added up as f32 while that is exact.
TEST(Export, ConvolutionsOfIntegers) {
  struct Row {
    std::vector<std::int64_t> zero, kernel;
    std::string theirs, cast_to;
  };
  const Row rows[] = {
      {{1, 1, 1, 1}, {2, 1, 3, 3}, "ConvInteger", ""},
      {{1, 3, 1, 1}, {2, 3, 3, 3}, "Conv", "f32"},    // 27 taps
      {{1, 40, 1, 1}, {2, 40, 3, 3}, "Conv", "f64"},  // 360
  };
  for (const Row& row : rows) {
    ir::Module module;
    ir::Function& function = module.functions.emplace_back();
    function.name = "serving_default";
    ir::Builder b(&function.graph);
    const auto count = [](const std::vector<std::int64_t>& dims) {
      std::int64_t n = 1;
      for (const std::int64_t dim : dims) n *= dim;
      return n;
    };
    const ir::Value x = b.Input("x", ir::Type::Tensor(DType::kU8, Shape({1, 1, 5, 5})));
    const std::vector<std::int64_t> sevens(static_cast<std::size_t>(count(row.zero)), 7);
    std::vector<std::int64_t> weights(static_cast<std::size_t>(count(row.kernel)));
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<std::int64_t>(i * 37 % 256);
    const ir::Value wide =
        b.Add("subtract", {b.Cast(x, DType::kI32), b.Constant(ir::FromInts(DType::kI32, row.zero, sevens))});
    const ir::Value kernel = b.Cast(b.Constant(ir::FromInts(DType::kU8, row.kernel, weights)), DType::kI32);
    function.graph.set_outputs({b.Add("conv", {wide, kernel}, {{"layout", "NCHW"}, {"kernel_layout", "OIHW"}})});
    ASSERT_TRUE(b.ok()) << b.status().message();
    function.input_names = {"x"};
    function.output_names = {"y"};
    const Result<Model> model = Export(module, {.opset = 21});
    ASSERT_TRUE(model.ok()) << model.status().message();
    std::vector<std::int64_t> casts;
    std::int64_t convolutions = 0;
    for (const Node& node : model->graph->nodes) {
      convolutions += node.op_type == row.theirs ? 1 : 0;
      if (node.op_type == "Cast") casts.push_back(node.attributes[0].ints[0]);
    }
    EXPECT_EQ(convolutions, 1);
    const auto has = [&](DType dtype) { return std::count(casts.begin(), casts.end(), FromDType(dtype)) > 0; };
    EXPECT_EQ(has(DType::kF32), row.cast_to == "f32");
    EXPECT_EQ(has(DType::kF64), row.cast_to == "f64");
    const Result<ir::Module> again = Translate(*model);
    ASSERT_TRUE(again.ok()) << again.status().message();
    std::vector<std::int64_t> bytes(25);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::int64_t>(i * 91 % 256);
    const Literal input = ir::FromInts(DType::kU8, {1, 1, 5, 5}, bytes);
    const auto before = ir::RunFunction(module, function, {input}),
               after = ir::RunFunction(*again, again->functions[0], {input});
    ASSERT_TRUE(before.ok() && after.ok()) << before.status().message() << after.status().message();
    EXPECT_EQ(ir::ToInts((*before)[0]), ir::ToInts((*after)[0]));
  }
}

TEST(Export, RefusesWhatItCannotWrite) {
  ir::Module module;
  EXPECT_EQ(Export(module).status().code(), Code::kNotFound);
  module.functions.emplace_back().name = "serving_default";
  EXPECT_EQ(Export(module, {.opset = 12}).status().message(), "onnx: opset 12, expected 13 to 28");
  module.functions[0].writes = {"step"};
  EXPECT_EQ(Export(module).status().code(), Code::kUnimplemented);
}

}  // namespace
}  // namespace tenon::onnx
