// The models of data/onnx_models, examples and test cases of other projects: each is read, written and read again, and
// both give the same bits; recorded outputs come out on both backends; what is broken is refused with its reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "formats/onnx/export.h"
#include "formats/onnx/fixture_run.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/translate.h"
#include "formats/onnx/write.h"
#include "test_data.h"
#include "tools/suite_run.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;
using ir::Datum;

struct Broken {
  std::string_view path, reason;
};
constexpr Broken kBroken[] = {
    {"onnx2tf_ops/DeformConv_19.onnx", "x [1, 3, 64, 64], weights [64, 3, 3, 3], offset [1, 36, 64, 64], group 2"},
    {"01_linting_an_onnx_model/bad_graph.onnx", "3 nodes cannot be translated"},
    {"08_inspecting_tensorrt_onnx_support/model.onnx", "Fake (makes \"topK_Y\"): ONNX has no such operator"},
    {"nested_local_function.onnx", "Einsum \"node_1\": came with opset 12, but the model imports opset 11"},
    {"toy_subgraph.onnx", "ONNX has no such operator"},
    {"bad_graph_with_dup_value_info.onnx", "graph.input[1]: the value \"inp\" is defined twice"},
    {"bad_graph_with_multi_level_errors.onnx", "matmul_c2: got [4, 5] and [4, 5]"},
    {"bad_graph_with_no_import_domains.onnx", "no opset_import"},
    {"bad_graph_with_parallel_invalid_nodes.onnx", "3 nodes cannot be translated"},
    {"models/capability.onnx", "FAKE! \"Fake1\": ONNX has no such operator"},
    {"models/custom_op_node.onnx", "domain \"ai.onnx.contrib\" is not imported"},
    {"models/empty.onnx", "the graph has no outputs"},
    {"Polygraphy/tests/models/ext_weights.onnx", "external data: cannot open \"ext_weights.data\""},
    {"weightless.conv.onnx", "raw_data holds 0 bytes, expected 4096"},
    {"weightless.matmul.bf16.onnx", "raw_data holds 0 bytes, expected 256"},
    {"weightless.matmul.fp16.onnx", "raw_data holds 0 bytes, expected 256"},
    {"weightless.qdq_conv.onnx", "raw_data holds 0 bytes, expected 4680"},
    {"weightless.sparse.conv.onnx", "raw_data holds 0 bytes, expected 4096"},
    {"weightless.sparse.matmul.onnx", "raw_data holds 0 bytes, expected 512"},
    {"weightless.transpose_matmul.onnx", "raw_data holds 0 bytes, expected 512"},
    {"models/nested_dup_names.onnx", "Nested (makes \"Y\"): ONNX has no such operator"},
    {"models/test_recursive_pattern_building.onnx", "6 nodes cannot be translated"},
    {"models/test_toyPlugin_", "ONNX has no such operator"},
};

// These are whole, but no input fits their nodes.
constexpr std::string_view kNeverRuns[] = {"bad_graph_conditionally_invalid.onnx"};

// What a free dim or an integer input must be where 2 and 0 will not do.
struct Given {
  std::string_view path, name;
  std::int64_t value;
};
constexpr Given kGiven[] = {
    {"attention_head.onnx", "", 100}, {"DFT_17", "dft_length", 8}, {"DFT_20", "dft_length", 4}, {"DFT_20", "axis", 1},
    {"qtdnn_10x5", "", 10},           {"models/loop.onnx", "", 2},
};

std::int64_t Chosen(const std::string& path, std::string_view name, std::int64_t otherwise) {
  for (const Given& given : kGiven)
    if (path.find(given.path) != std::string::npos && (given.name == name || given.name.empty())) return given.value;
  return otherwise;
}

Literal Draw(const std::string& path, const std::string& name, const ir::Type& type) {
  std::vector<std::int64_t> dims = {4, 4};  // of an unknown rank
  if (type.has_rank()) {
    dims.clear();
    for (const Dim& dim : type.shape().dims())
      dims.push_back(dim.try_value().value_or(Chosen(path, dim.symbol_name(), 2)));
  }
  std::size_t size = 1;
  for (const std::int64_t dim : dims) size *= static_cast<std::size_t>(dim);
  if (type.dtype() == DType::kString) return Literal::from_strings(dims, std::vector<std::string>(size, "monday"));
  if (!is_float(type.dtype()))
    return ir::FromInts(type.dtype(), dims, std::vector<std::int64_t>(size, Chosen(path, name, 0)));
  std::vector<double> values;
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < size; ++i) {
    state = state * 1664525u + 1013904223u;
    values.push_back(static_cast<double>(state >> 8) / (1 << 23) - 1);
  }
  return ir::FromDoubles(type.dtype(), dims, values);
}

// A recorded output as the model declares it. Some were recorded without dims of 1; those of qtdnn have a row more at
// either end, made of padding that the model has not.
Literal AsGot(const std::string& path, const Literal& recorded, const Literal& got) {
  Literal value = *ir::Convert(recorded, got.dtype());
  if (path.find("qtdnn_10x5") != std::string::npos) {
    const std::vector<double> all = ir::ToDoubles(value);
    const auto row = value.dims()[1];
    return ir::FromDoubles(got.dtype(), {value.dims()[0] - 2, row}, {all.begin() + row, all.end() - row});
  }
  const auto wide = [](std::vector<std::int64_t> dims) {
    std::erase(dims, 1);
    return dims;
  };
  return wide(value.dims()) == wide(got.dims()) ? value.reshaped(got.dims()) : value;
}

// Empty values of the outputs' kinds: of a sequence only the length is asked for.
std::vector<Datum> Wanted(const ir::Function& function) {
  std::vector<Datum> wanted;
  for (std::size_t i = 0; i < function.num_outputs(); ++i) {
    const ir::Type type = function.output_type(i);
    wanted.push_back(type.is_tensor() ? Datum(Literal::scalar(0.0f)) : Datum::Sequence({}, type.element()));
  }
  return wanted;
}

class OnnxModels : public testing::Test {
 protected:
  void Try(const std::string& path) {
    SCOPED_TRACE(path);
    const Result<onnx::Model> model = onnx::ParseFile(path);
    const Result<ir::Module> module = model.ok() ? onnx::Translate(*model) : Result<ir::Module>(model.status());
    for (const Broken& broken : kBroken) {
      if (path.find(broken.path) == std::string::npos) continue;
      EXPECT_THAT(module.ok() ? "it was read" : module.status().message(), testing::HasSubstr(broken.reason));
      ++broken_;
      return;
    }
    ASSERT_TRUE(module.ok()) << module.status().message();
    std::int64_t opset = 21;
    for (const onnx::OperatorSetId& id : model->opset_imports)
      if (id.domain.empty()) opset = std::max(opset, id.version);
    const Result<onnx::Model> written = onnx::Export(*module, {.opset = opset});
    ASSERT_TRUE(written.ok()) << written.status().message();
    const Result<std::string> bytes = onnx::Serialize(*written);
    ASSERT_TRUE(bytes.ok()) << bytes.status().message();
    const Result<onnx::Model> parsed = onnx::Parse(*bytes, "what was written");
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    const Result<ir::Module> again = onnx::Translate(*parsed);
    ASSERT_TRUE(again.ok()) << again.status().message();
    Compare(path, *module, *again);
    Record(path, *module);
  }

  void Compare(const std::string& path, const ir::Module& module, const ir::Module& again) {
    const ir::Function &before = module.functions[0], &after = again.functions[0];
    EXPECT_EQ(before.input_names, after.input_names);
    EXPECT_EQ(before.output_names, after.output_names);
    std::vector<Datum> inputs;
    std::int64_t elements = 0;
    for (std::size_t i = 0; i < before.num_inputs(); ++i) {
      inputs.emplace_back(Draw(path, before.input_names[i], before.input_type(i)));
      elements += inputs.back().literal().size();
    }
    const std::string exact = elements > 20000 ? "cpu" : "ref";  // the reference would take a minute
    const bool same = before.reads.empty() && tools::SameComputation(before.graph, after.graph);
    same_ += same ? 1 : 0;
    const Result<std::vector<Datum>> fast = tools::RunValues(module, before, inputs, Wanted(before), "cpu");
    for (const std::string_view name : kNeverRuns) {
      if (path.find(name) == std::string::npos) continue;
      EXPECT_FALSE(fast.ok());
      return;
    }
    EXPECT_TRUE(fast.ok()) << fast.status().message();
    if (same) return;
    const Result<std::vector<Datum>> want = tools::RunValues(module, before, inputs, Wanted(before), exact);
    const Result<std::vector<Datum>> got = tools::RunValues(again, after, inputs, Wanted(after), exact);
    ASSERT_TRUE(want.ok()) << want.status().message();
    ASSERT_TRUE(got.ok()) << got.status().message();
    for (std::size_t i = 0; i < want->size(); ++i) {
      if ((*want)[i].kind != ir::Type::Kind::kTensor) continue;
      EXPECT_TRUE(identical((*want)[i].literal(), (*got)[i].literal())) << before.output_names[i];
      if (!fast.ok() || (*want)[i].literal().dtype() == DType::kString) continue;
      double most = 1;  // sums of many elements round by the largest of them
      for (const double v : ir::ToDoubles((*want)[i].literal())) most = std::max(most, std::abs(v));
      EXPECT_EQ(onnx::Difference((*fast)[i].literal(), (*want)[i].literal(), {1e-5 * most, 1e-4}), "") << "on cpu";
    }
  }

  void Record(const std::string& path, const ir::Module& module) {
    const fs::path file = fs::path(path).parent_path() / "io.npz";
    if (fs::path(path).filename() != "model.onnx" || !fs::exists(file)) return;
    const Result<std::map<std::string, Literal>> read = npy::ReadNpz(file.string());
    ASSERT_TRUE(read.ok()) << read.status().message();
    std::map<std::string, Literal> recorded = *read;
    const ir::Function& function = module.functions[0];
    std::vector<Datum> inputs;
    for (const std::string& name : function.input_names) {
      const auto found = recorded.find(name);
      ASSERT_NE(found, recorded.end()) << name;
      inputs.emplace_back(std::move(found->second));
      recorded.erase(found);
    }
    for (const char* backend : {"ref", "cpu"}) {
      const Result<std::vector<Datum>> got = tools::RunValues(module, function, inputs, Wanted(function), backend);
      ASSERT_TRUE(got.ok()) << got.status().message();
      int compared = 0;
      for (std::size_t i = 0; i < got->size(); ++i) {
        // A recorded value may have the name of a value inside, when it is the only one.
        const auto found =
            recorded.size() == 1 && got->size() == 1 ? recorded.begin() : recorded.find(function.output_names[i]);
        if (found == recorded.end()) continue;
        ++compared;
        const Literal& value = (*got)[i].literal();
        EXPECT_EQ(onnx::Difference(value, AsGot(path, found->second, value), {1e-5, 1e-4}), "")
            << backend << " " << function.output_names[i];
      }
      EXPECT_GT(compared, 0);
      recorded_ += compared > 0 ? 1 : 0;
    }
  }

  int broken_ = 0, same_ = 0, recorded_ = 0;
};

TEST_F(OnnxModels, AreReadWrittenAndRunOrRefused) {
  TENON_TEST_DATA_OR_SKIP(root, "data/onnx_models");
  const char* only = std::getenv("TENON_ONNX_ONLY");
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.path().extension() == ".onnx" &&
        (only == nullptr || entry.path().string().find(only) != std::string::npos))
      paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) Try(path);
  std::printf("  %zu models: %d refused, %d come back as the same graph; %d runs against recorded outputs\n",
              paths.size(), broken_, same_, recorded_);
  if (only == nullptr) {
    EXPECT_GE(paths.size(), 180u);
  }
}

}  // namespace
}  // namespace tenon
