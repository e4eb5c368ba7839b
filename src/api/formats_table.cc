#include "api/formats_table.h"

#include "base/file.h"
#include "base/status_macros.h"
#include "formats/native/native.h"
#include "formats/onnx/export.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/translate.h"
#include "formats/onnx/write.h"
#include "formats/savedmodel/savedmodel.h"

namespace tenon::api {
namespace {

bool IsNative(const std::string&, std::string_view head) { return native::Matches(head); }
Result<ir::Module> LoadNative(const std::string& path, const LoadOptions&) { return native::Read(path); }
Status SaveNative(const ir::Module& module, const std::string& path, const SaveOptions&) {
  return native::Write(module, path);
}

bool IsSavedModel(const std::string& path, std::string_view) { return base::FileExists(path + "/saved_model.pb"); }
Result<ir::Module> LoadSavedModel(const std::string& path, const LoadOptions&) {
  return base::IsFolder(path) ? savedmodel::LoadSavedModel(path) : savedmodel::LoadGraphDef(path);
}

Status SaveSavedModel(const ir::Module& module, const std::string& path, const SaveOptions&) {
  return savedmodel::SaveSavedModel(module, path);
}

// A ModelProto begins with ir_version (field 1, varint) in every writer that we know; a GraphDef with a node (field 1,
// bytes).
bool IsOnnx(const std::string&, std::string_view head) {
  return head.size() > 2 && (head[0] == '\x08' || head[0] == '\x3a' || head[0] == '\x12');
}
bool IsGraphDef(const std::string&, std::string_view head) { return head.size() > 2 && head[0] == '\x0a'; }

Result<ir::Module> LoadOnnx(const std::string& path, const LoadOptions& options) {
  TENON_ASSIGN_OR_RETURN(const onnx::Model model, onnx::ParseFile(path));
  return onnx::Translate(model, {.trainable_weights = options.trainable_weights});
}
Status SaveOnnx(const ir::Module& module, const std::string& path, const SaveOptions& options) {
  TENON_ASSIGN_OR_RETURN(const onnx::Model model, onnx::Export(module, {.opset = options.onnx_opset}));
  return onnx::WriteFile(model, path, {.external_threshold = options.onnx_external_threshold});
}

}  // namespace

std::span<const FormatEntry> Formats() {
  static constexpr FormatEntry kAll[] = {
      {Format::kTenon, ".tenon", IsNative, LoadNative, SaveNative},
      {Format::kSavedModel, "", IsSavedModel, LoadSavedModel, SaveSavedModel},
      {Format::kOnnx, ".onnx", IsOnnx, LoadOnnx, SaveOnnx},
      {Format::kSavedModel, ".pb", IsGraphDef, LoadSavedModel, nullptr},
  };
  return kAll;
}

}  // namespace tenon::api
