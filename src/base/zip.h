// Zip archives: a reader that trusts no claim of the file, and a deterministic writer.
// What is written: entries in the order of Add(), stored or deflated, dated 1980-01-01, UTF-8 names, zip64 records
// where a size or an offset needs them; optionally the data of an entry at an aligned offset (by an extra field of
// zeros).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace tenon::base {

struct ZipEntry {
  std::string name;
  std::uint64_t size = 0;        // of the content, as claimed and checked to be possible for the compressed size
  std::uint64_t compressed = 0;  // bytes in the file
  std::uint64_t index = 0;       // in the directory of the file
};

/// The content of one entry, read from front to back.
class ZipStream {
 public:
  ~ZipStream();
  ZipStream(const ZipStream&) = delete;
  ZipStream& operator=(const ZipStream&) = delete;
  /// Fills `out`; kDataLoss when the entry ends before or its data is damaged.
  Status Read(std::span<std::byte> out);
  /// Ok when all was read and the checksum is right.
  Status Finish();

 private:
  friend class ZipReader;
  ZipStream(void* file, std::string where) : file_(file), where_(std::move(where)) {}
  void* file_;
  std::string where_;
};

/// An open archive. One thread at a time; streams must not outlive it.
class ZipReader {
 public:
  /// kNotFound without the file; kInvalidArgument when it is no zip archive, has an entry twice, an encrypted one or
  /// one that is neither stored nor deflated, or claims a content that its bytes cannot hold.
  static Result<std::unique_ptr<ZipReader>> Open(const std::string& path);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;
  /// In the file's order, without folders.
  const std::vector<ZipEntry>& entries() const { return entries_; }
  Result<std::unique_ptr<ZipStream>> OpenEntry(const ZipEntry& entry);
  /// A whole entry; memory grows with what is really there. kNotFound when no entry has that name.
  Result<std::string> Read(std::string_view name);

 private:
  ZipReader() = default;
  void* zip_ = nullptr;
  std::string path_;
  std::vector<ZipEntry> entries_;
};

struct ZipAddOptions {
  bool compress = false;      // deflate
  std::size_t alignment = 1;  // of the data in the file, at most 4096; a power of two
  bool force_zip64 = false;   // zip64 records also where they are not needed
};

/// Writes to an AtomicFile that is empty before; the caller commits it after Finish().
class ZipWriter {
 public:
  explicit ZipWriter(AtomicFile& file) : file_(file) {}
  /// One entry whose content is the parts one after the other. kAlreadyExists when the name was added before.
  Status Add(std::string_view name, std::span<const std::string_view> parts, ZipAddOptions options = {});
  Status Add(std::string_view name, std::string_view content, ZipAddOptions options = {}) {
    return Add(name, std::span(&content, 1), options);
  }
  Status Finish();

 private:
  AtomicFile& file_;
  std::vector<std::string> names_;
  std::string directory_;
};

}  // namespace tenon::base
