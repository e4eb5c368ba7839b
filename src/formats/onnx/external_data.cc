// The part of TensorReader that opens files beside the model.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "base/status_macros.h"
#include "formats/onnx/tensor.h"

namespace tenon::onnx {
namespace {

namespace fs = std::filesystem;

Result<std::uint64_t> ParseNumber(const StringEntry& entry) {
  std::uint64_t number = 0;
  const char* end = entry.value.data() + entry.value.size();
  const auto [stop, error] = std::from_chars(entry.value.data(), end, number);
  if (error != std::errc() || stop != end)
    return Status(Code::kInvalidArgument,
                  fmt::format("external data: {} is \"{}\", expected a number of bytes", entry.key, entry.value));
  return number;
}

// Relative, no "..", no backslash (a separator elsewhere), no NUL.
Status CheckLocation(const std::string& location) {
  const auto refuse = [&](std::string_view why) {
    return Status(Code::kPermissionDenied,
                  fmt::format("external data in \"{}\": {}; expected a path inside the model's folder", location, why));
  };
  if (location.empty()) return Status(Code::kInvalidArgument, "external data without a location");
  if (location.find('\0') != std::string::npos) return refuse("a NUL in the path");
  if (location.find('\\') != std::string::npos) return refuse("a backslash in the path");
  const fs::path path(location);
  if (path.is_absolute() || (location.size() > 1 && location[1] == ':')) return refuse("an absolute path");
  for (const fs::path& part : path)
    if (part == "..") return refuse("a path that leads out of its folder");
  return Status();
}

bool IsInside(const fs::path& folder, const fs::path& file) {
  auto a = folder.begin();
  auto b = file.begin();
  for (; a != folder.end(); ++a, ++b)
    if (b == file.end() || *a != *b) return false;
  return b != file.end();
}

}  // namespace

TensorReader::TensorReader(const Model& model) : path_(model.path.empty() ? "model" : model.path), owner_(model.owner) {
  if (model.path.empty()) return;
  std::error_code error;
  fs::path folder = fs::path(model.path).parent_path();
  if (folder.empty()) folder = ".";
  const fs::path resolved = fs::canonical(folder, error);
  if (!error) folder_ = resolved.string();
}

Result<std::shared_ptr<const base::MappedFile>> TensorReader::Open(const std::string& location) {
  if (const auto found = files_.find(location); found != files_.end()) return found->second;
  TENON_RETURN_IF_ERROR(CheckLocation(location));
  if (folder_.empty())
    return Status(Code::kFailedPrecondition,
                  fmt::format("external data in \"{}\", but the model does not come from a file", location));
  std::error_code error;
  const fs::path file = fs::canonical(fs::path(folder_) / location, error);
  if (error)
    return Status(Code::kNotFound, fmt::format("external data: cannot open \"{}\" in {}: {}; the file must lie beside "
                                               "the model",
                                               location, folder_, error.message()));
  if (!IsInside(folder_, file))
    return Status(Code::kPermissionDenied,
                  fmt::format("external data in \"{}\": a link that leads out of {}", location, folder_));
  if (!fs::is_regular_file(file, error))
    return Status(Code::kInvalidArgument, fmt::format("external data in \"{}\": not a regular file", location));
  if (fs::equivalent(file, path_, error) && !error)
    return Status(Code::kInvalidArgument, fmt::format("external data in \"{}\": that is the model itself", location));
  TENON_ASSIGN_OR_RETURN(std::shared_ptr<const base::MappedFile> mapped, base::MappedFile::Open(file.string()));
  files_[location] = mapped;
  return mapped;
}

Result<std::string_view> TensorReader::External(const Tensor& tensor, std::size_t bytes,
                                                std::shared_ptr<const void>* owner) {
  std::string location;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
  for (const StringEntry& entry : tensor.external_data) {
    if (entry.key == "location") location = entry.value;
    if (entry.key == "offset") {
      TENON_ASSIGN_OR_RETURN(offset, ParseNumber(entry));
    }
    if (entry.key == "length") {
      TENON_ASSIGN_OR_RETURN(length, ParseNumber(entry));
    }
  }
  TENON_ASSIGN_OR_RETURN(const std::shared_ptr<const base::MappedFile> file, Open(location));
  const std::string_view text = file->text();
  if (length && *length != bytes)
    return Status(Code::kInvalidArgument,
                  fmt::format("external data: length {} for a tensor of {} bytes", *length, bytes));
  if (offset > text.size() || bytes > text.size() - offset)
    return Status(Code::kOutOfRange,
                  fmt::format("external data: {} bytes at {} lie beyond the end of \"{}\" ({} bytes)", bytes, offset,
                              location, text.size()));
  *owner = file;
  return text.substr(static_cast<std::size_t>(offset), bytes);
}

}  // namespace tenon::onnx
