// verify --layers: planted faults are found at the right place, also when names are lost, and clean copies give no
// alarm.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "compiler/passes/passes.h"
#include "compiler/specialize.h"
#include "formats/onnx/export.h"
#include "formats/onnx/fixture_run.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/translate.h"
#include "formats/onnx/write.h"
#include "tenon/verify.h"
#include "tensor/npz.h"
#include "test_data.h"
#include "verify/compare.h"
#include "verify/layers.h"
#include "verify_faults_plant.h"

namespace tenon::faults {
namespace {

Result<onnx::Model> Make(const std::string& name, const std::string& root) {
  if (name.starts_with("net_")) return Net(name);
  return onnx::ParseFile(root + "/" + name + "/model.onnx");
}

Result<Module> Translated(const onnx::Model& model) {
  Result<ir::Module> module = onnx::Translate(model);
  if (!module.ok()) return module.status();
  return Module(std::make_shared<ir::Module>(*std::move(module)));
}

// The same without any names inside.
Module Nameless(const Module& module) {
  auto copy = std::make_shared<ir::Module>(*module.impl());
  for (ir::Function& f : copy->functions)
    for (std::int32_t id = 0; id < f.graph.size(); ++id)
      for (ir::Output& o : f.graph.node(id).outputs) o.record = {};
  return Module(copy);
}

Result<Module> Exported(const Module& module, std::int64_t opset) {
  const Result<onnx::Model> model = onnx::Export(*module.impl(), {.opset = opset});
  if (!model.ok()) return model.status();
  const std::string bytes = onnx::Serialize(*model).value();
  return Translated(onnx::Parse(bytes, "copy").value());
}

verify::CompareOptions Options(const std::string& name, const std::string& root, bool recorded) {
  verify::CompareOptions options;
  options.layers = true;
  options.inputs = verify::random(2, 7);
  const std::string io = root + "/" + name + "/io.npz";
  if (recorded && !name.starts_with("net_") && std::filesystem::exists(io))
    options.inputs.values = npy::ReadNpz(io).value();
  return options;
}

// What the compiler makes of it for the dims of one run.
Result<Module> Simplified(const Module& module, const verify::CompareOptions& options) {
  auto copy = std::make_shared<ir::Module>(*module.impl());
  ir::Function& f = copy->functions[0];
  std::vector<std::vector<std::int64_t>> dims;
  for (std::size_t i = 0; i < f.num_inputs(); ++i) {
    const auto it = options.inputs.values.find("in." + f.input_names[i]);
    if (it != options.inputs.values.end()) {
      dims.push_back(it->second.dims());
      continue;
    }
    if (!f.input_type(i).is_static()) return Status(Code::kUnimplemented, "no dims");
    dims.push_back(f.input_type(i).shape().values());
  }
  Result<ir::Graph> graph = compiler::Specialize(f.graph, dims);
  if (!graph.ok()) return graph.status();
  if (!compiler::IsStatic(*graph)) return Status(Code::kUnimplemented, "dims that only the data decide");
  const Status status = compiler::Simplify(*graph);
  if (!status.ok()) return status;
  f.graph = *std::move(graph);
  return Module(copy);
}

std::string Shown(const verify::Report& report) {
  std::ostringstream out;
  out << report;
  return out.str();
}

TEST(VerifyFaults, EveryFaultIsFoundWhereItIs) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  const char* only = std::getenv("TENON_FAULT");
  int found = 0, all = 0;
  for (const Fault& fault : Faults()) {
    if (only != nullptr && std::string(fault.name).find(only) == std::string::npos) continue;
    SCOPED_TRACE(std::string(fault.name) + " in " + fault.model);
    const Result<onnx::Model> clean = Make(fault.model, root);
    ASSERT_TRUE(clean.ok()) << clean.status().message();
    onnx::Model broken = *clean;
    Planter planter(broken);
    std::string place;
    ASSERT_NO_THROW(place = fault.plant(planter));
    const Result<Module> expected = Translated(*clean), got = Translated(broken);
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    EXPECT_TRUE(got.ok()) << got.status().message();
    if (!got.ok()) continue;
    const verify::CompareOptions options = Options(fault.model, root, false);
    for (const bool names : {true, false}) {
      SCOPED_TRACE(names ? "with names" : "without names");
      ++all;
      const Result<verify::Report> report = verify::compare(*expected, names ? *got : Nameless(*got), options);
      EXPECT_TRUE(report.ok()) << report.status().message();
      if (!report.ok()) continue;
      EXPECT_FALSE(report->ok());
      const bool right = ("|" + place + "|").find("|" + report->first.node + "|") != std::string::npos;
      EXPECT_TRUE(right) << "at \"" << report->first.node << "\", planted at \"" << place << "\"\n" << Shown(*report);
      EXPECT_FALSE(names && report->first.reasons.empty()) << Shown(*report);
      found += !report->ok() && right ? 1 : 0;
      if (only != nullptr) std::printf("%s", Shown(*report).c_str());
    }
  }
  std::printf("  %d of %d found at their place\n", found, all);
  if (only == nullptr) {
    EXPECT_GE(all, 170);
  }
}

// Copies that compute the same: written and read again, without names, simplified.
TEST(VerifyFaults, CleanCopiesGiveNoAlarm) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  const char* only = std::getenv("TENON_ONNX_ONLY");
  std::vector<std::string> names = NetNames();
  for (const std::string& path : onnx::FixtureModels(root))
    names.push_back(std::filesystem::path(path).parent_path().filename().string());
  int copies = 0, alarms = 0, compared = 0, values = 0;
  for (const std::string& name : names) {
    if (only != nullptr && name.find(only) == std::string::npos) continue;
    const Result<onnx::Model> model = Make(name, root);
    ASSERT_TRUE(model.ok());
    const Result<Module> module = Translated(*model);
    if (!module.ok()) continue;  // what cannot be read is counted elsewhere
    const verify::CompareOptions options = Options(name, root, name != "dtype_bfloat16");  // stored as its bits
    std::vector<std::pair<std::string, Result<Module>>> list;
    list.emplace_back("nameless", Nameless(*module));
    list.emplace_back("simplified", Simplified(*module, options));
    for (const std::int64_t opset : {13, 21}) {
      list.emplace_back("opset " + std::to_string(opset), Exported(*module, opset));
      if (list.back().second.ok()) list.emplace_back("nameless after export", Nameless(*list.back().second));
    }
    for (const auto& [what, copy] : list) {
      if (!copy.ok()) continue;  // has no form at that opset
      SCOPED_TRACE(name + ", " + what);
      const Result<verify::Report> report = verify::compare(*module, *copy, options);
      if (!report.ok() && report.status().code() == Code::kUnimplemented) continue;  // outputs that are no tensors
      EXPECT_TRUE(report.ok()) << report.status().message();
      if (!report.ok()) continue;
      ++copies;
      compared += static_cast<int>(report->nodes.size());
      values += report->values;
      if (!report->ok()) ++alarms;
      EXPECT_TRUE(report->ok()) << report->first;
    }
  }
  std::printf("  %d copies, %d alarms, %d of %d values compared\n", copies, alarms, compared, values);
  if (only == nullptr) {
    EXPECT_GE(copies, 1200);
  }
}

// The framework's own outputs, as recorded.
TEST(VerifyFaults, RecordedOutputsGiveNoAlarm) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  int right = 0;
  for (const std::string& path : onnx::FixtureModels(root)) {
    const std::string name = std::filesystem::path(path).parent_path().filename().string();
    const Result<Module> module = Translated(onnx::ParseFile(path).value());
    // One quantization step may differ; of float64 the oracle is no wider than the model.
    if (!module.ok() || name.starts_with("q_") || name == "dtype_float64") continue;
    const std::map<std::string, Literal> io = npy::ReadNpz(root + "/" + name + "/io.npz").value();
    const ir::Function& f = module->impl()->functions[0];
    bool plain = true;
    for (std::size_t i = 0; i < f.num_inputs(); ++i) plain = plain && f.input_type(i).is_tensor();
    for (std::size_t i = 0; i < f.num_outputs(); ++i) plain = plain && f.output_type(i).is_tensor();
    for (const auto& [key, value] : io) plain = plain && value.dtype() != DType::kU16 && value.dtype() != DType::kU8;
    if (!plain) continue;  // stored as bits, or no tensors
    SCOPED_TRACE(name);
    verify::CompareOptions options;
    options.layers = true;
    const Result<verify::Report> report = verify::compare(*module, io, io, options);
    EXPECT_TRUE(report.ok()) << report.status().message();
    if (!report.ok()) continue;
    EXPECT_TRUE(report->ok()) << Shown(*report);
    ++right;
  }
  std::printf("  %d models agree with what was recorded\n", right);
  EXPECT_GE(right, 190);
}

// Recorded values inside lead to the node too.
TEST(VerifyFaults, RecordedTensorsShowWhere) {
  const Module clean = Translated(Net("net_cnn")).value();
  onnx::Model broken = Net("net_cnn");
  Planter planter(broken);
  planter.SetFloat(planter.Node("BatchNormalization"), "epsilon", 1e-3F);
  const Module got = Translated(broken).value();
  const ir::Function& f = clean.impl()->functions[0];
  const std::vector<Literal> inputs = verify::RandomInputs(f, 3).value();
  const verify::Recorded run = verify::RunReference(*clean.impl(), f, inputs, false, true).value();
  std::map<std::string, Literal> recorded;
  int n = 0;
  for (const ir::Value v : run.order)
    if (const std::string name = verify::NameOf(f.graph.output(v).record); !name.empty())
      recorded[name == "relu6" ? "unknown_" + std::to_string(++n) : name] = *run.Find(v);
  verify::CompareOptions options;
  options.layers = true;
  const verify::Report same = verify::compare(clean, recorded, recorded, options).value();
  EXPECT_TRUE(same.ok()) << Shown(same);
  EXPECT_EQ(std::count_if(same.nodes.begin(), same.nodes.end(), [](const auto& d) { return d.matched == "value"; }), 1);
  const verify::Report report = verify::compare(got, recorded, recorded, options).value();
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.first.node, "bn") << Shown(report);
  EXPECT_EQ(report.first.layer, "node_bn");
}

}  // namespace
}  // namespace tenon::faults
