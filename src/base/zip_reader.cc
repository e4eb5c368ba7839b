#include <zip.h>

#include <algorithm>

#include "base/status_macros.h"
#include "base/zip.h"

namespace tenon::base {
namespace {

// Deflate makes at most 258 bytes of 2 bits; its smallest stream is 2 bytes.
constexpr std::uint64_t kMaxDeflateRatio = 1032;
constexpr std::size_t kChunk = std::size_t{1} << 20;

Status FromZip(const std::string& where, const char* what, zip_error_t* error) {
  Code code = Code::kDataLoss;
  switch (zip_error_code_zip(error)) {
    case ZIP_ER_NOENT:
      code = Code::kNotFound;
      break;
    case ZIP_ER_NOZIP:
    case ZIP_ER_INCONS:
      code = Code::kInvalidArgument;
      break;
    case ZIP_ER_MEMORY:
      code = Code::kResourceExhausted;
      break;
    default:
      break;
  }
  return Status(code, where + ": cannot " + what + ": " + zip_error_strerror(error));
}

}  // namespace

ZipStream::~ZipStream() { zip_fclose(static_cast<zip_file_t*>(file_)); }

Status ZipStream::Read(std::span<std::byte> out) {
  auto* file = static_cast<zip_file_t*>(file_);
  while (!out.empty()) {
    const zip_int64_t n = zip_fread(file, out.data(), out.size());
    if (n < 0) return FromZip(where_, "read", zip_file_get_error(file));
    if (n == 0)
      return Status(Code::kDataLoss, where_ + ": " + std::to_string(out.size()) + " bytes before its end are missing");
    out = out.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status ZipStream::Finish() {
  auto* file = static_cast<zip_file_t*>(file_);
  char more = 0;
  const zip_int64_t n = zip_fread(file, &more, 1);  // at the end it checks the checksum
  if (n < 0) return FromZip(where_, "read", zip_file_get_error(file));
  return n == 0 ? Status() : Status(Code::kInvalidArgument, where_ + ": has more bytes than its content needs");
}

Result<std::unique_ptr<ZipReader>> ZipReader::Open(const std::string& path) {
  auto reader = std::unique_ptr<ZipReader>(new ZipReader());
  reader->path_ = path;
  if (FileExists(path) && IsFolder(path))
    return Status(Code::kInvalidArgument, path + ": is a folder, expected a file");
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (zip == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const Status s = FromZip(path, "open the zip archive", &error);
    zip_error_fini(&error);
    return s;
  }
  reader->zip_ = zip;
  const zip_int64_t count = zip_get_num_entries(zip, 0);
  std::vector<std::string> names;
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(zip, static_cast<zip_uint64_t>(i), 0, &stat) != 0)
      return FromZip(path, "read the directory", zip_get_error(zip));
    ZipEntry entry{stat.name, stat.size, stat.comp_size, static_cast<std::uint64_t>(i)};
    const std::string where = path + "/" + entry.name;
    const auto refuse = [&](const std::string& why) { return Status(Code::kInvalidArgument, where + ": " + why); };
    names.push_back(entry.name);
    if (entry.name.ends_with('/')) continue;
    if (stat.encryption_method != ZIP_EM_NONE) return refuse("is encrypted");
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
      return refuse("got compression method " + std::to_string(stat.comp_method) + ", expected stored or deflated");
    const std::uint64_t most = stat.comp_method == ZIP_CM_STORE              ? entry.compressed
                               : entry.compressed > (std::uint64_t{1} << 50) ? 0
                                                                             : entry.compressed * kMaxDeflateRatio;
    if (entry.size > most)
      return refuse("claims " + std::to_string(entry.size) + " bytes, impossible from " +
                    std::to_string(entry.compressed) + " in the file");
    reader->entries_.push_back(std::move(entry));
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    return Status(Code::kInvalidArgument, path + "/" + *twice + ": stands in the archive twice");
  return reader;
}

ZipReader::~ZipReader() {
  if (zip_ != nullptr) zip_discard(static_cast<zip_t*>(zip_));
}

Result<std::unique_ptr<ZipStream>> ZipReader::OpenEntry(const ZipEntry& entry) {
  const std::string where = path_ + "/" + entry.name;
  auto* zip = static_cast<zip_t*>(zip_);
  zip_file_t* file = zip_fopen_index(zip, entry.index, 0);
  if (file == nullptr) return FromZip(where, "open", zip_get_error(zip));
  return std::unique_ptr<ZipStream>(new ZipStream(file, where));
}

Result<std::string> ZipReader::Read(std::string_view name) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const ZipEntry& e) { return e.name == name; });
  if (entry == entries_.end()) return Status(Code::kNotFound, path_ + ": has no entry " + std::string(name));
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<ZipStream> stream, OpenEntry(*entry));
  std::string out;
  while (out.size() < entry->size) {
    const std::size_t old = out.size();
    out.resize(old + std::min<std::uint64_t>(entry->size - old, std::max(kChunk, old)));
    TENON_RETURN_IF_ERROR(stream->Read(std::as_writable_bytes(std::span(out)).subspan(old)));
  }
  TENON_RETURN_IF_ERROR(stream->Finish());
  return out;
}

}  // namespace tenon::base
