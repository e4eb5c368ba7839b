// Broken files: refused with a message that names the file and what is wrong, at the stage where it can be seen.
#include <gtest/gtest.h>
#include <unistd.h>

#include "formats/onnx/check.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/test_util.h"
#include "formats/onnx/translate.h"
#include "test_data.h"

namespace tenon::onnx {
namespace {

enum Stage { kParse, kCheck, kTensors, kTranslate };

struct Case {
  const char* file;
  Stage stage;
  const char* message;  // a part of it
};

const Case kCases[] = {
    {"truncated_1", kParse, "truncated varint in field 1 (at byte 1)"},
    {"truncated_7", kParse, "field 7 claims 143 bytes, but only 2 are left (at byte 2)"},
    {"truncated_51", kParse, "field 7 claims 143 bytes, but only 46 are left (at byte 2)"},
    {"truncated_77", kParse, "field 7 claims 143 bytes, but only 72 are left (at byte 2)"},
    {"truncated_153", kParse, "field 8 claims 4 bytes, but only 3 are left (at byte 148)"},
    {"empty", kParse, "the file is empty"},
    {"text", kParse, "end of group 14 that is not open (at byte 0)"},
    {"random", kParse, "field number 112327521327"},
    {"bad_wire_type", kParse, "wire type 7 of field 1"},
    {"field_zero", kParse, "field number 0"},
    {"long_varint", kParse, "varint in field 1 (at byte 1)"},
    {"huge_length", kParse, "field 7 claims 1152921504606846976 bytes"},
    {"open_group", kParse, "groups nested deeper than 100"},
    {"invalid_utf8", kParse, "graph.node[0]: the text in field 2 is not UTF-8"},
    {"deep_if_200", kParse, "nested deeper than 100 levels"},
    {"deep_if_2000", kParse, "nested deeper than 100 levels"},
    {"deep_type", kParse, "nested deeper than 100 levels"},
    {"tensor_rank_huge", kParse, "graph.initializer[0]: rank 65, expected at most 64"},
    {"attribute_unset", kParse, "attribute \"perm\" has neither type nor value"},
    {"attribute_ref_outside", kParse, "refers to \"alpha\" and has a value too"},
    {"no_graph", kCheck, "no graph"},
    {"no_outputs", kCheck, "no outputs"},
    {"no_opset", kCheck, "no opset_import"},
    {"opset_zero", kCheck, "opset version 0"},
    {"opset_negative", kCheck, "opset version -5"},
    {"opset_future", kCheck, "opset version 9999 of domain \"\", the newest that is known is 28"},
    {"opset_twice", kCheck, "imported in versions 17 and 11"},
    {"ir_future", kCheck, "ir_version 9999, the newest that is read is 14"},
    {"cycle", kCheck, "cycle through node[0]"},
    {"self_loop", kCheck, "cycle through node[0]"},
    {"duplicate_value", kCheck, "the value \"a\" is defined twice"},
    {"duplicate_input", kCheck, "graph.input[1]: the value \"x\" is defined twice"},
    {"duplicate_initializer", kCheck, "graph.initializer[1]: the initializer \"w\" is defined twice"},
    {"missing_input", kCheck, "nothing makes the input \"nowhere\""},
    {"missing_output", kCheck, "nothing makes the value \"nowhere\""},
    {"branch_leak", kCheck, "graph.node[1]: Relu \"\": nothing makes the input \"p\""},
    {"domain_not_imported", kCheck, "domain \"ai.onnx.ml\" is not imported"},
    {"attribute_twice", kCheck, "attribute \"perm\" is given twice"},
    {"input_type_99", kCheck, "graph.input[0]: data type 99 does not exist"},
    {"input_dim_negative", kCheck, "graph.input[0]: dim 0 is -3"},
    {"function_recursion", kCheck, "function \"f\" calls itself"},
    {"function_mutual", kCheck, "calls itself, directly or through others"},
    {"tensor_too_short", kTensors, "raw_data holds 8 bytes, expected 16"},
    {"tensor_too_long", kTensors, "raw_data holds 1000 bytes, expected 16"},
    {"tensor_odd_bytes", kTensors, "raw_data holds 15 bytes, expected 16"},
    {"tensor_dim_negative", kTensors, "[-1, -4]"},
    {"tensor_dims_overflow", kTensors, "[4611686018427387905, 4]"},
    {"tensor_dims_huge", kTensors, "raw_data holds 16 bytes, expected 4398046511104"},
    {"tensor_no_data", kTensors, "float_data holds 0 values, expected 4"},
    {"tensor_both_fields", kTensors, "both raw_data and float_data"},
    {"tensor_wrong_field", kTensors, "has int64_data, expected float_data"},
    {"tensor_type", kTensors, "data type 77 does not exist"},
    {"tensor_int8_range", kTensors, "value 1000 at 0 is outside of int8"},
    {"tensor_string_raw", kTensors, "strings in raw_data"},
    {"external_parent", kTensors, "leads out of its folder"},
    {"external_absolute", kTensors, "an absolute path"},
    {"external_backslash", kTensors, "a backslash"},
    {"external_missing", kTensors, "cannot open \"absent.bin\""},
    {"external_no_location", kTensors, "without a location"},
    {"external_beyond_end", kTensors, "beyond the end of \"side.bin\" (64 bytes)"},
    {"external_too_long", kTensors, "16 bytes at 60 lie beyond the end"},
    {"external_overflow", kTensors, "beyond the end"},
    {"external_not_number", kTensors, "offset is \"0x10; ls\""},
    {"external_short_length", kTensors, "length 4 for a tensor of 16 bytes"},
    {"external_self", kTensors, "that is the model itself"},
    {"sparse_range", kTensors, "index 1125899906842624 of value 0"},
    {"sparse_huge", kTensors, "[1073741824, 1073741824]"},
    {"attribute_missing", kTranslate, "Concat (makes \"y\"): the attribute \"axis\" is missing"},
    {"attribute_type", kTranslate, "attribute \"perm\" is a float"},
    {"attribute_unknown", kTranslate, "has no attribute \"speed\""},
    {"axis_minimum", kTranslate, "axis -9223372036854775808 is outside of [-2, 2)"},
    {"axis_range", kTranslate, "axis 4611686018427387904 is outside of [-2, 2)"},
    {"cast_type", kTranslate, "data type 99 does not exist"},
    {"conv_group_uneven", kTranslate, "2 groups need 6"},
    {"conv_group_zero", kTranslate, "group is 0"},
    {"conv_kernel_mismatch", kTranslate, "kernel_shape is [3, 3], but the weights' is [1, 1]"},
    {"conv_pads_huge", kTranslate, "a pad of 4611686018427387904"},
    {"conv_pads_negative", kTranslate, "a pad of -4294967296"},
    {"conv_pads_short", kTranslate, "2 pads for 2 spatial axes"},
    {"conv_rank", kTranslate, "weights of rank 2 for an input of rank 4"},
    {"conv_stride_zero", kTranslate, "strides holds 0"},
    {"einsum_equation", kTranslate, "does not fit rank 2"},
    {"function_doubling", kTranslate, "nodes once its functions are inlined"},
    {"gather_range", kTranslate, "index 99 is outside of [-2, 2)"},
    {"scatter_range", kTranslate, "index -1099511627776 is outside of [-2, 2)"},
    {"if_arity", kTranslate, "a branch has 2 outputs, the node 1"},
    {"loop_arity", kTranslate, "a body of 3 inputs and 1 outputs"},
    {"input_type_wrong", kTranslate, "got string"},
    {"matmul_shapes", kTranslate, "[2, 3] and [2, 4]"},
    {"op_too_new", kTranslate, "came with opset 20, but the model imports opset 13"},
    {"perm_range", kTranslate, "axis 9 is outside of [-2, 2)"},
    {"perm_repeats", kTranslate, "axis 0 is given twice"},
    {"quantize_scale_count", kTranslate, "scales [7] for axis 1 of [2, 3]"},
    {"range_endless", kTranslate, "a step of 0"},
    {"regex_bomb", kTranslate, "output \"y\" is declared as f32, but it is bool"},
    {"required_input_empty", kTranslate, "got 1 inputs, expected 2 to 2"},
    {"reshape_count", kTranslate, "[2, 3] cannot become [7, 5]"},
    {"reshape_two_unknown", kTranslate, "more than one -1"},
    {"resize_scale", kTranslate, "a scale of 0"},
    {"slice_step_zero", kTranslate, "a step of 0"},
    {"split_sum", kTranslate, "the parts add up to 6, expected 2"},
    {"tile_negative", kTranslate, "repeats: got -1, expected 0 or more"},
    {"too_few_inputs", kTranslate, "got 1 inputs, expected 2 to 2"},
    {"too_many_inputs", kTranslate, "got 3 inputs, expected 1 to 1"},
    {"too_many_outputs", kTranslate, "got 2 outputs, expected at most 1"},
    {"unknown_domain", kTranslate, "com.nobody::Relu (makes \"y\"): the operator of domain \"com.nobody\""},
    {"unknown_op", kTranslate, "Frobnicate (makes \"y\"): ONNX has no such operator"},
};

// Legal or odd, and files that only the run can refuse: these translate.
const char* const kReadable[] = {"attribute_nan", "nul_in_name", "unsorted",    "concat_doubling",
                                 "expand_huge",   "fill_huge",   "loop_endless"};

TEST(Malformed, RefusedWithFileAndPlace) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/onnx/malformed");
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.file);
    const std::string path = folder + "/" + c.file + ".onnx";
    Stage stage = kParse;
    const Result<Model> model = ParseFile(path);
    Status status = model.status();
    if (model.ok()) {
      stage = kCheck;
      status = Check(*model);
      if (status.ok()) {
        stage = kTensors;
        TensorReader reader(*model);
        std::vector<Literal> values;
        status = ReadAll(reader, *model->graph, &values);
      }
      if (status.ok()) {
        stage = kTranslate;
        status = Translate(*model).status();
      }
    }
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(stage, c.stage) << status.message();
    EXPECT_EQ(status.message().rfind(path + ": ", 0), 0u) << status.message();
    EXPECT_NE(status.message().find(c.message), std::string::npos) << status.message();
  }
}

TEST(Malformed, TheOthersAreReadWhole) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/onnx/malformed");
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files += entry.path().extension() == ".onnx";
  EXPECT_EQ(files, std::size(kCases) + std::size(kReadable));
  for (const char* name : kReadable) {
    const Result<ir::Module> module = Translate(*ParseFile(folder + "/" + name + ".onnx"));
    EXPECT_TRUE(module.ok()) << name << ": " << module.status().message();
  }
  // A NUL does not cut a name short.
  const Result<ir::Module> odd = Translate(*ParseFile(folder + "/nul_in_name.onnx"));
  EXPECT_NE((odd->functions[0].input_names[0] + odd->functions[0].output_names[0]).find('\0'), std::string::npos);
  for (const char* name : {"fill_huge", "expand_huge"}) {
    const Result<ir::Module> module = Translate(*ParseFile(folder + "/" + name + ".onnx"));
    const ir::Function& function = module->functions[0];
    std::vector<Literal> inputs;
    for (std::size_t i = 0; i < function.num_inputs(); ++i)
      inputs.emplace_back(function.input_type(i).dtype(), function.input_type(i).shape().values());
    EXPECT_FALSE(ir::RunFunction(*module, function, std::move(inputs)).ok());
  }
}

TEST(Malformed, EveryPrefixAndEveryFlippedByteOfAGoodFile) {
  TENON_TEST_DATA_OR_SKIP(path, "fixtures/onnx/if_capture/model.onnx");
  const std::string good = *base::ReadFile(path);
  int parsed = 0;
  for (std::size_t n = 0; n < good.size(); ++n) {
    if (Parse(good.substr(0, n), "cut").ok()) ++parsed;
    std::string flipped = good;
    flipped[n] = static_cast<char>(flipped[n] ^ 0xFF);
    const Result<Model> model = Parse(flipped, "flipped");
    if (!model.ok() || !Check(*model).ok()) continue;
    TensorReader reader(*model);
    std::vector<Literal> values;
    if (model->graph) static_cast<void>(ReadAll(reader, *model->graph, &values));
  }
  EXPECT_LT(parsed, 12);  // only the cuts between two fields of the outermost message
}

TEST(Malformed, LinksOutOfTheFolderAreRefused) {
  TENON_TEST_DATA_OR_SKIP(path, "fixtures/onnx/mlp_external/model.onnx");
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("tenon_onnx_link_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(path, folder / "model.onnx", std::filesystem::copy_options::overwrite_existing);
  std::filesystem::create_symlink(std::filesystem::path(path).parent_path() / "weights.bin", folder / "weights.bin");
  const Result<Model> model = ParseFile((folder / "model.onnx").string());
  ASSERT_TRUE(model.ok()) << model.status().message();
  TensorReader reader(*model);
  const Result<Literal> value = reader.Read(model->graph->initializers[0]);
  EXPECT_FALSE(value.ok());
  EXPECT_NE(value.status().message().find("a link that leads out of"), std::string::npos) << value.status().message();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tenon::onnx
