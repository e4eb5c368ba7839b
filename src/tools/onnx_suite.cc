#include "tools/onnx_suite.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/status_macros.h"
#include "compiler/backend.h"
#include "formats/onnx/export.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/suite_data.h"
#include "formats/onnx/translate.h"
#include "formats/onnx/write.h"
#include "ir/builder.h"

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

// Compiled functions take and give tensors: a graph around the function's whose inputs and outputs are the items of its
// sequences (as many as the data set has) and its tensors.
class Ports {
 public:
  /// Adds the inputs that make up `value`; gives the value of the inner graph's type.
  ir::Value Input(ir::Builder& b, const Datum& value, const ir::Type& declared, const std::string& name) {
    if (declared.kind() == Kind::kOptional) {
      const bool absent = value.kind == Kind::kOptional && value.items->empty();
      if (absent) return b.Add("optional_none", {}, {{"element", declared.element().to_string()}});
      const Datum& inside = value.kind == Kind::kOptional ? value.items->front() : value;
      return b.Add("optional_some", {Input(b, inside, declared.element(), name)});
    }
    if (value.kind == Kind::kTensor) {
      literals_.push_back(value.literal());
      // The declared dims stay symbolic: that is how a server would compile it.
      return b.Input(name, declared.is_tensor() ? declared : ir::Type::Of(value.literal()));
    }
    std::vector<ir::Value> items;
    for (std::size_t i = 0; i < value.items->size(); ++i)
      items.push_back(Input(b, (*value.items)[i], (*value.items)[i].type(), name + "." + std::to_string(i)));
    if (value.kind == Kind::kOptional && !items.empty()) return items[0];
    if (value.kind == Kind::kSequence) {
      if (!items.empty()) return b.Add("sequence_construct", std::move(items));
      return b.Add("sequence_empty", {}, {{"dtype", value.element.dtype()}});
    }
    b.SetStatus(Status(Code::kInvalidArgument, "input " + name + ": an empty optional for a " + declared.to_string()));
    return {};
  }
  /// Adds the outputs that make up `wanted`.
  void Output(ir::Builder& b, ir::Value value, const Datum& wanted) {
    if (!b.ok()) return;
    if (b.type(value).kind() == Kind::kTensor) {
      outputs_.push_back(value);
      return;
    }
    if (b.type(value).kind() == Kind::kOptional) {
      outputs_.push_back(b.Add("optional_has_value", {value}));
      if (wanted.kind != Kind::kOptional || !wanted.items->empty())
        Output(b, b.Add("optional_value", {value}), wanted.kind == Kind::kOptional ? wanted.items->front() : wanted);
      return;
    }
    if (b.type(value).kind() != Kind::kSequence) {
      b.SetStatus(Status(Code::kUnimplemented, "an output of type " + b.type(value).to_string()));
      return;
    }
    const Datum& items = wanted.kind == Kind::kOptional && !wanted.items->empty() ? (*wanted.items)[0] : wanted;
    outputs_.push_back(b.Add("sequence_length", {value}));
    if (items.kind != Kind::kSequence) return;
    for (std::size_t i = 0; i < items.items->size(); ++i)
      Output(b, b.Add("sequence_at", {value, b.Constant(Literal::scalar(static_cast<std::int64_t>(i)))}),
             (*items.items)[i]);
  }
  /// The next output again as a value like `wanted`.
  Datum Take(std::span<const Literal> results, const ir::Type& type, const Datum& wanted, std::size_t* at) const {
    if (type.kind() == Kind::kTensor) return Datum(results[(*at)++]);
    if (type.kind() == Kind::kOptional) {
      const bool there = results[(*at)++].data<bool>()[0];
      const bool read = wanted.kind != Kind::kOptional || !wanted.items->empty();
      const Datum& inside = wanted.kind == Kind::kOptional && read ? wanted.items->front() : wanted;
      std::optional<Datum> value;
      if (read) value = Take(results, type.element(), inside, at);
      if (there && !read) value = Datum();
      return Datum::Optional(there ? std::move(value) : std::nullopt, type.element());
    }
    const std::int64_t length = results[(*at)++].data<std::int64_t>()[0];
    const Datum& items = wanted.kind == Kind::kOptional && !wanted.items->empty() ? (*wanted.items)[0] : wanted;
    std::vector<Datum> got;
    for (std::size_t i = 0; i < items.items->size(); ++i)
      got.push_back(Take(results, type.element(), (*items.items)[i], at));
    if (length != static_cast<std::int64_t>(got.size()))
      got.resize(static_cast<std::size_t>(std::max<std::int64_t>(length, 0)));
    return Datum::Sequence(std::move(got), type.element());
  }
  std::vector<Literal>& literals() { return literals_; }
  const std::vector<ir::Value>& outputs() const { return outputs_; }

 private:
  std::vector<Literal> literals_;
  std::vector<ir::Value> outputs_;
};

bool AllTensors(const ir::Graph& graph) {
  const auto tensor = [&](ir::Value v) { return graph.type(v).is_tensor(); };
  return std::all_of(graph.inputs().begin(), graph.inputs().end(), tensor) &&
         std::all_of(graph.outputs().begin(), graph.outputs().end(), tensor);
}

Result<std::vector<Literal>> CompileAndRun(const ir::Graph& graph, std::vector<Literal> inputs,
                                           const std::string& backend) {
  const compiler::Backend* found = compiler::FindBackend(backend);
  if (found == nullptr) return Status(Code::kNotFound, "no backend \"" + backend + "\"");
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<runtime::CompiledFunction> compiled, found->compile(graph, {}));
  return compiled->Run(std::move(inputs));
}

Result<std::vector<Datum>> RunDataSet(const ir::Module& module, const ir::Function& function, std::vector<Datum> inputs,
                                      const DataSet& set, const std::string& backend) {
  std::vector<Datum> got;
  // The variables that the function reads stand behind the inputs; what it writes does not count here.
  for (const std::string& path : function.reads) {
    const ir::VariablePtr cell = module.FindVariable(path);
    if (cell == nullptr) return Status(Code::kInternal, "the module lacks its variable \"" + path + "\"");
    inputs.emplace_back(cell->Read());
  }
  if (AllTensors(function.graph)) {
    std::vector<Literal> literals;
    for (const Datum& d : inputs) {
      const bool there = d.kind == Kind::kOptional && !d.items->empty();
      if (d.kind != Kind::kTensor && !there) return Status(Code::kUnimplemented, "an optional without a value");
      literals.push_back(there ? (*d.items)[0].literal() : d.literal());
    }
    TENON_ASSIGN_OR_RETURN(std::vector<Literal> results, CompileAndRun(function.graph, std::move(literals), backend));
    results.resize(function.num_outputs());
    for (Literal& r : results) got.emplace_back(std::move(r));
    return got;
  }
  ir::Graph graph;
  ir::Builder b(&graph);
  Ports ports;
  std::vector<ir::Value> arguments;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    arguments.push_back(
        ports.Input(b, inputs[i], function.graph.type(function.graph.inputs()[i]),
                    i < function.num_inputs() ? function.input_names[i] : function.reads[i - function.num_inputs()]));
  std::vector<ir::Value> results =
      b.AddAll("call", std::move(arguments), {{"body", std::make_shared<const ir::Graph>(function.graph)}});
  TENON_RETURN_IF_ERROR(b.status());
  results.resize(function.num_outputs());
  std::vector<ir::Type> types;
  for (std::size_t i = 0; i < results.size(); ++i) {
    types.push_back(b.type(results[i]));
    ports.Output(b, results[i], set.outputs[i]);
  }
  TENON_RETURN_IF_ERROR(b.status());
  graph.set_outputs(ports.outputs());
  TENON_ASSIGN_OR_RETURN(const std::vector<Literal> literals,
                         CompileAndRun(graph, std::move(ports.literals()), backend));
  std::size_t at = 0;
  for (std::size_t i = 0; i < results.size(); ++i) got.push_back(ports.Take(literals, types[i], set.outputs[i], &at));
  return got;
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
  TENON_ASSIGN_OR_RETURN(const onnx::Model written, onnx::Export(module, {.opset = opset}));
  TENON_ASSIGN_OR_RETURN(const std::string bytes, onnx::Serialize(written));
  TENON_ASSIGN_OR_RETURN(const onnx::Model parsed, onnx::Parse(bytes, "what was written"));
  Result<ir::Module> again = onnx::Translate(parsed);
  if (!again.ok()) return Status(Code::kInternal, again.status().message());
  const ir::Function &before = module.functions[0], &after = again->functions[0];
  if (before.input_names != after.input_names || before.output_names != after.output_names)
    *difference = "the names of inputs or outputs changed";
  TENON_ASSIGN_OR_RETURN(const std::vector<DataSet> sets, ReadDataSets(test, *model.graph, before));
  for (const DataSet& set : sets) {
    TENON_ASSIGN_OR_RETURN(const std::vector<Datum> inputs, Arguments(*model.graph, before, set));
    TENON_ASSIGN_OR_RETURN(const std::vector<Datum> want, RunDataSet(module, before, inputs, set, "ref"));
    const Result<std::vector<Datum>> got = RunDataSet(*again, after, inputs, set, "ref");
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
    TENON_ASSIGN_OR_RETURN(const std::vector<Datum> got, RunDataSet(module, function, inputs, set, backend));
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
