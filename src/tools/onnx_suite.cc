#include "tools/onnx_suite.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/status_macros.h"
#include "formats/onnx/export.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/suite_data.h"
#include "formats/onnx/translate.h"
#include "formats/onnx/write.h"
#include "tools/suite_run.h"

namespace tenon::tools {
namespace {

namespace fs = std::filesystem;
using ir::Datum;
using Kind = ir::Type::Kind;

Status FillLight(const fs::path& folder, SuiteCase* test) {
  TENON_ASSIGN_OR_RETURN(const std::string text, base::ReadFile((folder / "data.json").string()));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("url") || !json["url"].is_string())
    return Status(Code::kInvalidArgument, (folder / "data.json").string() + ": names no model");
  const std::string file = fs::path(json["url"].get<std::string>()).filename().string();
  const fs::path light = folder.parent_path().parent_path() / "light" / file;
  test->model = light.string();
  test->light_output = (light.parent_path() / (light.stem().string() + "_output_0.pb")).string();
  if (json.contains("rtol") && json["rtol"].is_number()) test->relative = json["rtol"].get<double>();
  if (json.contains("atol") && json["atol"].is_number()) test->absolute = json["atol"].get<double>();
  return {};
}

// A node model's operator. Expanded twins are named after their operator's case, so the domain's prefix is dropped.
std::string OperatorOf(const onnx::Model& model, const SuiteCase& test) {
  if (test.category != "node" || !model.graph || model.graph->nodes.empty()) return "";
  if (test.name.find("_expanded") == std::string::npos) return model.graph->nodes.back().op_type;
  SuiteCase twin = test;
  const std::string name = test.name.substr(0, test.name.find("_expanded"));
  const fs::path file = fs::path(test.model).parent_path().parent_path() / name / "model.onnx";
  const Result<onnx::Model> original = onnx::ParseFile(file.string());
  if (!original.ok() || !original->graph || original->graph->nodes.empty()) return model.graph->nodes.back().op_type;
  return original->graph->nodes.back().op_type;
}

Result<Datum> LightInput(const onnx::TypeProto& type) {
  if (type.kind != onnx::TypeKind::kTensor || type.elem_type != 1 || !type.shape)
    return Status(Code::kInvalidArgument, "a light model's input is no float tensor with a shape");
  std::vector<std::int64_t> dims;
  std::int64_t n = 1;
  for (const onnx::Dimension& d : *type.shape) {
    dims.push_back(d.value.value_or(1));
    n *= dims.back();
    if (n <= 0 || n > 1 << 26) return Status(Code::kInvalidArgument, "a light model's input of impossible size");
  }
  std::vector<float> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(static_cast<double>(i) / static_cast<double>(n));
  return Datum(Literal::from<float>(std::move(dims), std::span<const float>(values)));
}

struct DataSet {
  std::vector<std::optional<Datum>> inputs;  // by graph input
  std::vector<Datum> outputs;
};

Result<DataSet> ReadDataSet(const onnx::Graph& graph, const std::string& folder) {
  DataSet set;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    const fs::path file = fs::path(folder) / ("input_" + std::to_string(i) + ".pb");
    if (!fs::exists(file)) break;
    TENON_ASSIGN_OR_RETURN(Datum value, onnx::ReadTestValue(file.string(), graph.inputs[i].type));
    set.inputs.emplace_back(std::move(value));
  }
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    const fs::path file = fs::path(folder) / ("output_" + std::to_string(i) + ".pb");
    TENON_ASSIGN_OR_RETURN(Datum value, onnx::ReadTestValue(file.string(), graph.outputs[i].type));
    set.outputs.push_back(std::move(value));
  }
  return set;
}

Result<std::vector<DataSet>> ReadDataSets(const SuiteCase& test, const onnx::Graph& graph,
                                          const ir::Function& function) {
  std::vector<DataSet> sets;
  if (!test.light_output.empty()) {
    DataSet set;
    set.inputs.resize(graph.inputs.size());
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
      const bool used = std::count(function.input_names.begin(), function.input_names.end(), graph.inputs[i].name) > 0;
      if (!used) continue;
      TENON_ASSIGN_OR_RETURN(set.inputs[i], LightInput(graph.inputs[i].type));
    }
    TENON_ASSIGN_OR_RETURN(Datum output, onnx::ReadTestValue(test.light_output, graph.outputs.at(0).type));
    set.outputs.push_back(std::move(output));
    sets.push_back(std::move(set));
  }
  for (const std::string& folder : test.data_sets) {
    TENON_ASSIGN_OR_RETURN(DataSet set, ReadDataSet(graph, folder));
    sets.push_back(std::move(set));
  }
  return sets;
}

// In the order of the function's inputs.
Result<std::vector<Datum>> Arguments(const onnx::Graph& graph, const ir::Function& function, const DataSet& set) {
  std::vector<Datum> inputs;
  for (const std::string& name : function.input_names) {
    const auto named = [&](const onnx::ValueInfo& info) { return info.name == name; };
    const auto found = std::find_if(graph.inputs.begin(), graph.inputs.end(), named);
    const std::size_t i = static_cast<std::size_t>(found - graph.inputs.begin());
    if (i >= set.inputs.size() || !set.inputs[i])
      return Status(Code::kInvalidArgument, "the data set has no input \"" + name + "\"");
    inputs.push_back(*set.inputs[i]);
  }
  return inputs;
}

bool SameBits(const Datum& a, const Datum& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == Kind::kTensor) return identical(a.literal(), b.literal());
  if (a.items->size() != b.items->size()) return false;
  for (std::size_t i = 0; i < a.items->size(); ++i)
    if (!SameBits((*a.items)[i], (*b.items)[i])) return false;
  return true;
}

Status RoundTrip(const SuiteCase& test, std::int64_t opset, std::string* op, std::string* difference) {
  TENON_ASSIGN_OR_RETURN(const onnx::Model model, onnx::ParseFile(test.model));
  *op = OperatorOf(model, test);
  TENON_ASSIGN_OR_RETURN(const ir::Module module, onnx::Translate(model));
  // Operators that only the model's own opset has are written there.
  for (const onnx::OperatorSetId& id : model.opset_imports)
    if (id.domain.empty() || id.domain == "ai.onnx")
      opset = std::max(opset, std::min<std::int64_t>(id.version, onnx::kNewestOpset));
  TENON_ASSIGN_OR_RETURN(const onnx::Model written, onnx::Export(module, {.opset = opset}));
  TENON_ASSIGN_OR_RETURN(const std::string bytes, onnx::Serialize(written));
  TENON_ASSIGN_OR_RETURN(const onnx::Model parsed, onnx::Parse(bytes, "what was written"));
  Result<ir::Module> again = onnx::Translate(parsed);
  if (!again.ok()) return Status(Code::kInternal, again.status().message());
  const ir::Function &before = module.functions[0], &after = again->functions[0];
  if (before.input_names != after.input_names || before.output_names != after.output_names)
    *difference = "the names of inputs or outputs changed";
  // Large models come back as the very same graph, which need not run.
  if (before.reads.empty() && after.reads.empty() && SameComputation(before.graph, after.graph)) return {};
  TENON_ASSIGN_OR_RETURN(const std::vector<DataSet> sets, ReadDataSets(test, *model.graph, before));
  for (const DataSet& set : sets) {
    TENON_ASSIGN_OR_RETURN(const std::vector<Datum> inputs, Arguments(*model.graph, before, set));
    TENON_ASSIGN_OR_RETURN(const std::vector<Datum> want, RunValues(module, before, inputs, set.outputs, "ref"));
    const Result<std::vector<Datum>> got = RunValues(*again, after, inputs, set.outputs, "ref");
    if (!got.ok()) return Status(Code::kInternal, got.status().message());
    for (std::size_t i = 0; i < want.size() && difference->empty(); ++i)
      if (!SameBits(want[i], (*got)[i])) *difference = "output " + before.output_names[i] + " has other bits";
  }
  return {};
}

Status RunCase(const SuiteCase& test, const std::string& backend, std::string* op, std::string* difference) {
  TENON_ASSIGN_OR_RETURN(const onnx::Model model, onnx::ParseFile(test.model));
  *op = OperatorOf(model, test);
  TENON_ASSIGN_OR_RETURN(const ir::Module module, onnx::Translate(model));
  const ir::Function& function = module.functions[0];
  const onnx::Graph& graph = *model.graph;
  TENON_ASSIGN_OR_RETURN(const std::vector<DataSet> sets, ReadDataSets(test, graph, function));
  for (const DataSet& set : sets) {
    TENON_ASSIGN_OR_RETURN(const std::vector<Datum> inputs, Arguments(graph, function, set));
    TENON_ASSIGN_OR_RETURN(const std::vector<Datum> got, RunValues(module, function, inputs, set.outputs, backend));
    if (got.size() != set.outputs.size())
      return Status(Code::kInternal,
                    "got " + std::to_string(got.size()) + " outputs, expected " + std::to_string(set.outputs.size()));
    for (std::size_t i = 0; i < got.size() && difference->empty(); ++i) {
      *difference = onnx::TestDifference(got[i], set.outputs[i], {test.relative, test.absolute});
      if (!difference->empty()) *difference = "output " + graph.outputs[i].name + ": " + *difference;
    }
  }
  return {};
}

}  // namespace

Result<std::vector<SuiteCase>> FindSuiteCases(const std::string& folder) {
  std::vector<SuiteCase> cases;
  std::error_code error;
  if (!fs::is_directory(folder, error)) return Status(Code::kNotFound, folder + ": no such folder");
  std::set<fs::path> folders = {fs::path(folder)};
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, error))
    if (entry.is_directory()) folders.insert(entry.path());
  for (const fs::path& path : folders) {
    SuiteCase test;
    test.name = path.filename().string();
    test.category = path.parent_path().filename().string();
    if (fs::exists(path / "model.onnx")) {
      test.model = (path / "model.onnx").string();
      for (const fs::directory_entry& entry : fs::directory_iterator(path))
        if (entry.is_directory() && entry.path().filename().string().starts_with("test_data_set_"))
          test.data_sets.push_back(entry.path().string());
      std::sort(test.data_sets.begin(), test.data_sets.end());
    } else if (fs::exists(path / "data.json")) {
      if (const Status s = FillLight(path, &test); !s.ok()) return s;
    } else {
      continue;
    }
    cases.push_back(std::move(test));
  }
  if (cases.empty())
    return Status(Code::kInvalidArgument, folder + ": holds no case of the suite (a folder with a model.onnx)");
  return cases;
}

std::string_view CaseStatusName(CaseStatus status) {
  switch (status) {
    case CaseStatus::kPass:
      return "pass";
    case CaseStatus::kFail:
      return "fail";
    case CaseStatus::kUnsupported:
      break;
  }
  return "unsupported";
}

namespace {

CaseResult Judged(const SuiteCase& test, const std::function<Status(std::string* op, std::string* difference)>& run) {
  const auto start = std::chrono::steady_clock::now();
  CaseResult result;
  std::string difference;
  const Status status = test.data_sets.empty() && test.light_output.empty()
                            ? Status(Code::kInvalidArgument, "the case has no data set")
                            : run(&result.op, &difference);
  if (!status.ok()) {
    result.status = status.code() == Code::kUnimplemented ? CaseStatus::kUnsupported : CaseStatus::kFail;
    result.why = status.message();
  } else if (!difference.empty()) {
    result.why = difference;
  } else {
    result.status = CaseStatus::kPass;
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace

CaseResult RunSuiteCase(const SuiteCase& test, const std::string& backend) {
  return Judged(test, [&](std::string* op, std::string* difference) { return RunCase(test, backend, op, difference); });
}

CaseResult RoundTripSuiteCase(const SuiteCase& test, std::int64_t opset) {
  return Judged(test, [&](std::string* op, std::string* difference) { return RoundTrip(test, opset, op, difference); });
}

}  // namespace tenon::tools
