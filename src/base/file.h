// Files: whole reads, read-only maps, and writes that are atomic.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tenon/status.h"

namespace tenon::base {

/// The whole file. kNotFound when it is not there; the message names the path.
Result<std::string> ReadFile(const std::string& path);

/// A read-only map of a regular file; the bytes live as long as the object. An empty file maps to an empty span.
class MappedFile {
 public:
  static Result<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// When a file's bytes are forced to the disk: at once, or when the AtomicFolder that holds it is committed (once for
/// all its files, which is much faster than one by one).
enum class Sync { kNow, kWithFolder };

/// A file written beside its final place and renamed over it by Commit(): a reader sees the old file or the whole new
/// one. Without Commit(), or after a failed write, the temporary file is removed and the old one stays. Parent folders
/// must exist. Appends below 1 MB are gathered; larger ones go straight to the file. One thread at a time.
class AtomicFile {
 public:
  static Result<std::unique_ptr<AtomicFile>> Create(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  Status Append(std::string_view bytes);
  Status Append(std::span<const std::byte> bytes) {
    return Append(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  std::uint64_t size() const { return size_; }
  /// Flush, fsync, rename; the status of the first write that failed, if one did.
  Status Commit(Sync sync = Sync::kNow);

 private:
  AtomicFile() = default;
  Status Write(std::string_view bytes);
  Status error_;  // of the first failed write: what follows it would leave a hole
  std::string path_, temporary_, pending_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

Status WriteFile(const std::string& path, std::string_view bytes, Sync sync = Sync::kNow);  // atomic

/// A folder filled beside its final place and renamed by Commit(); creates the parents. An existing folder of that name
/// is exchanged with the new one in one step (moved aside first where the file system cannot) and then removed with all
/// that it holds, so that a reader never sees a mixture. kInvalidArgument when a file is there.
class AtomicFolder {
 public:
  static Result<std::unique_ptr<AtomicFolder>> Create(const std::string& path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  const std::string& temporary() const { return temporary_; }  // write here
  Status Commit();                                             // the files in it go to the disk first

 private:
  AtomicFolder() = default;
  std::string path_, temporary_;
};

/// Creates the folder and its parents; ok when it is there.
Status MakeFolders(const std::string& path);
bool FileExists(const std::string& path);
bool IsFolder(const std::string& path);

}  // namespace tenon::base
