// Check 8: every format that can be written gives the op back. A format that the record names must write it; one that
// does not name it may answer kUnimplemented.
#include "api/formats_table.h"
#include "base/status_macros.h"
#include "conformance.h"
#include "temporary_folder.h"

namespace tenon::conformance {
namespace {

std::string_view NameIn(Format format, const ir::FormatNames& names) {
  switch (format) {
    case Format::kOnnx:
      return names.onnx;
    case Format::kSavedModel:
      return names.tf;
    case Format::kKeras:
      return names.keras;
    case Format::kTfLite:
      return names.tflite;
    case Format::kTorch:
      return names.torch;
    default:
      return {};
  }
}

// What a format cannot say, or our writer does not say yet: format, op, start of the case's name, reason. The
// list stays short.
struct Exception {
  Format format;
  std::string_view op, in_case, reason;
};
constexpr Exception kExceptions[] = {
    {Format::kOnnx, "leaky_relu", "(T=f64)", "ONNX's float attributes have 32 bits"},
    {Format::kOnnx, "batch_norm", "(T=f64)", "ONNX's float attributes have 32 bits"},
    {Format::kOnnx, "batch_norm_training", "(T=f64)", "ONNX's float attributes have 32 bits"},
    {Format::kOnnx, "layer_norm", "(T=f64)", "ONNX's float attributes have 32 bits"},
    {Format::kOnnx, "floor_divide", "", "division by zero: Mod in the written form gives NaN, not infinity"},
    {Format::kOnnx, "reduce_any", "empty",
     "ONNX has no boolean reductions, and ReduceMax of nothing is the least integer"},
    {Format::kOnnx, "gather", "batch_middle",
     "GatherND takes the axis right behind the batch only; refused with a message"},
    {Format::kSavedModel, "scatter_nd", "",
     "the writer has no rule for TensorScatterUpdate yet; refused with a message"},
};
bool Excepted(Format format, const Op& op, const Case& c) {
  for (const Exception& e : kExceptions)
    if (e.format == format && e.op == op.def->name && c.name().find(e.in_case) != std::string::npos) return true;
  return false;
}

Result<ir::Module> OneFunction(const Case& c) {
  TENON_ASSIGN_OR_RETURN(const Wired wired, Wire(c));
  ir::Function f;
  f.name = "serving_default";
  f.graph = wired.graph;
  for (std::size_t i = 0; i < f.graph.inputs().size(); ++i) f.input_names.push_back("in" + std::to_string(i));
  for (std::size_t i = 0; i < f.graph.outputs().size(); ++i) f.output_names.push_back("out" + std::to_string(i));
  ir::Module module;
  module.functions.push_back(std::move(f));
  return module;
}

void CheckCase(const api::FormatEntry& entry, const Op& op, const Case& c, const SaveOptions& options) {
  const bool named = !NameIn(entry.format, op.def->names).empty();
  const auto want = Reference(c);
  ASSERT_TRUE(want.ok()) << want.status().message();
  const auto module = OneFunction(c);
  ASSERT_TRUE(module.ok()) << module.status().message();
  const TemporaryFolder folder(true);
  const std::string path = folder / ("model" + std::string(entry.extension));
  const Status saved = entry.save(*module, path, options);
  // Below opset 21 an operator may be too new.
  const bool needed = named && c.own && (entry.format != Format::kOnnx || options.onnx_opset >= 21);
  if (saved.code() == Code::kUnimplemented && !needed) return;
  ASSERT_TRUE(saved.ok()) << saved.message();
  const auto back = entry.load(path, {});
  ASSERT_TRUE(back.ok()) << back.status().message();
  const auto function = back->Signature();
  ASSERT_TRUE(function.ok()) << function.status().message();
  EXPECT_EQ((*function)->input_names, module->functions[0].input_names);
  EXPECT_EQ((*function)->output_names, module->functions[0].output_names);
  std::vector<Literal> in;
  for (const auto& x : c.inputs)
    if (x) in.push_back(*x);
  const auto got = ir::RunFunction(*back, **function, std::move(in));
  ASSERT_TRUE(got.ok()) << got.status().message();
  ExpectOutputs(c, {got->begin(), got->end()}, *want, "written and read");
}

// The first case of an op at every opset, the others at one each.
void CheckThrough(const api::FormatEntry& entry, const Op& op) {
  int number = 0;
  for (const Case& c : op.cases) {
    if (Excepted(entry.format, op, c)) continue;
    SaveOptions options;
    options.format = entry.format;
    const int turn = number++;
    for (int opset = 13; opset <= 28; ++opset) {
      if (entry.format != Format::kOnnx && opset != 21) continue;
      if (entry.format == Format::kOnnx && turn > 0 && opset != 13 + turn % 16 && opset != 21) continue;
      SCOPED_TRACE(std::string(format_name(entry.format)) + " opset " + std::to_string(opset) + ", " + c.name());
      options.onnx_opset = opset;
      CheckCase(entry, op, c, options);
    }
  }
}

}  // namespace

void CheckExport(const Op& op) {
  for (const ir::Port& p : op.def->inputs)
    if ((p.flags & ir::kNonTensor) != 0) return;
  for (const ir::Port& p : op.def->outputs)
    if ((p.flags & ir::kNonTensor) != 0) return;
  for (const api::FormatEntry& entry : api::Formats())
    if (entry.save != nullptr && entry.format != Format::kTenon) CheckThrough(entry, op);
}

}  // namespace tenon::conformance
