// load, save: the table of formats. Recognition goes by content; a name only chooses what to write.
#include "tenon/formats.h"

#include <array>

#include "api/formats_table.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "ir/module.h"
#include "keras/path_format.h"

namespace tenon {
namespace {

constexpr std::pair<Format, std::string_view> kNames[] = {
    {Format::kAuto, "auto"},   {Format::kTenon, "tenon"},
    {Format::kOnnx, "onnx"},   {Format::kSavedModel, "saved_model"},
    {Format::kKeras, "keras"}, {Format::kTfLite, "tflite"},
    {Format::kTorch, "torch"}, {Format::kTfJs, "tfjs"}};

const api::FormatEntry* Find(Format format) {
  for (const api::FormatEntry& e : api::Formats())
    if (e.format == format) return &e;
  return nullptr;
}

Result<Format> FormatOfName(const std::string& path) {
  for (const api::FormatEntry& e : api::Formats())
    if (!e.extension.empty() && path.ends_with(e.extension)) return e.format;
  const std::size_t slash = path.rfind('/');
  const std::string leaf = slash == std::string::npos ? path : path.substr(slash + 1);
  if (leaf.find('.') == std::string::npos) return Format::kSavedModel;  // a folder, such as models/m/1
  return Status(
      Code::kInvalidArgument,
      path + ": cannot tell the format from the name, expected .tenon, .onnx or a folder; or name the format");
}

}  // namespace

std::string_view format_name(Format format) {
  for (const auto& [f, name] : kNames)
    if (f == format) return name;
  return "?";
}

std::optional<Format> format_from_name(std::string_view name) {
  for (const auto& [f, known] : kNames)
    if (known == name) return f;
  return std::nullopt;
}

Result<Format> detect_format(const std::string& path) {
  if (!base::FileExists(path)) return Status(Code::kNotFound, path + ": there is no such file or folder");
  std::string_view head;
  std::shared_ptr<const base::MappedFile> file;
  if (!base::IsFolder(path)) {
    TENON_ASSIGN_OR_RETURN(file, base::MappedFile::Open(path));
    head = file->text();
  }
  for (const api::FormatEntry& e : api::Formats())
    if (e.matches(path, head)) return e.format;
  return Status(Code::kInvalidArgument,
                path + ": is none of the known formats (native, ONNX, SavedModel folder, frozen GraphDef)");
}

Result<Module> load(const std::string& path, LoadOptions options) {
  Format format = options.format;
  if (format == Format::kAuto) {
    TENON_ASSIGN_OR_RETURN(format, detect_format(path));
  }
  const api::FormatEntry* entry = Find(format);
  if (entry == nullptr)
    return Status(Code::kUnimplemented, path + ": this version cannot read " + std::string(format_name(format)));
  TENON_ASSIGN_OR_RETURN(ir::Module module, entry->load(path, options));
  if (!module.metadata.contains("format")) module.metadata["format"] = format_name(format);
  return Module(std::make_shared<ir::Module>(std::move(module)));
}

Result<void> save(const Module& module, const std::string& path, SaveOptions options) {
  Format format = options.format;
  if (format == Format::kAuto) {
    TENON_ASSIGN_OR_RETURN(format, FormatOfName(path));
  }
  const api::FormatEntry* entry = Find(format);
  if (entry == nullptr || entry->save == nullptr)
    return Status(Code::kUnimplemented, path + ": this version cannot write " + std::string(format_name(format)));
  return entry->save(*module.impl(), path, options);
}

namespace keras {
void SaveModule(const Module& module, const std::string& path) { save(module, path).value(); }
}  // namespace keras

}  // namespace tenon
