// The formats of this build.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "ir/module.h"
#include "tenon/formats.h"

namespace tenon::api {

struct FormatEntry {
  Format format;
  std::string_view extension;  // ".onnx"; empty: a folder
  /// By content: `head` is the whole mapped file, empty for a folder.
  bool (*matches)(const std::string& path, std::string_view head);
  Result<ir::Module> (*load)(const std::string& path, const LoadOptions& options);
  Status (*save)(const ir::Module& module, const std::string& path, const SaveOptions& options);  // null: cannot write
};
/// In the order in which they are tried.
std::span<const FormatEntry> Formats();

}  // namespace tenon::api
