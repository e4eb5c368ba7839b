#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace tenon::base {
namespace {

Code CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return Code::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EFBIG:
      return Code::kResourceExhausted;
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return Code::kInvalidArgument;
    default:
      return Code::kInternal;
  }
}

Status FromErrno(const std::string& path, const char* what, int error = errno) {
  return Status(CodeOf(error), path + ": cannot " + what + ": " + std::strerror(error));
}

// A name that an earlier process may have left behind; those who create it go on to the next one when it exists.
std::string TemporaryName(const std::string& path) {
  static std::atomic<unsigned> next{0};
  return path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(next++);
}
constexpr int kMaxTries = 1000;
constexpr std::size_t kPendingLimit = std::size_t{1} << 20;

/// Forces the files below a folder to the disk.
Status SyncFiles(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    const std::string path = it->path().string();
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FromErrno(path, "open");
    const int failed = ::fsync(fd);
    const Status status = failed == 0 ? Status() : FromErrno(path, "write");
    ::close(fd);
    if (!status.ok()) return status;
  }
  return error ? FromErrno(folder, "read the folder", error.value()) : Status();
}

}  // namespace

Result<std::string> ReadFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FromErrno(path, "open");
  std::string out;
  char chunk[65536];
  for (;;) {
    const ssize_t n = ::read(fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const Status s = FromErrno(path, "read");
      ::close(fd);
      return s;
    }
    if (n == 0) break;
    out.append(chunk, static_cast<std::size_t>(n));
  }
  ::close(fd);
  return out;
}

Result<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FromErrno(path, "open");
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Status(Code::kInvalidArgument, path + ": not a regular file");
  }
  auto file = std::shared_ptr<MappedFile>(new MappedFile());
  file->size_ = static_cast<std::size_t>(info.st_size);
  if (file->size_ > 0) {
    void* p = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
      const Status s = FromErrno(path, "map");
      ::close(fd);
      file->size_ = 0;
      return s;
    }
    file->data_ = static_cast<const std::byte*>(p);
  }
  ::close(fd);
  return std::shared_ptr<const MappedFile>(file);
}

MappedFile::~MappedFile() {
  if (size_ > 0) ::munmap(const_cast<std::byte*>(data_), size_);
}

Result<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& path) {
  auto file = std::unique_ptr<AtomicFile>(new AtomicFile());
  file->path_ = path;
  for (int i = 0; i < kMaxTries; ++i) {
    file->temporary_ = TemporaryName(path);
    file->fd_ = ::open(file->temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file->fd_ >= 0) return file;
    if (errno != EEXIST) break;
  }
  return FromErrno(path, "create");
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }
}

Status AtomicFile::Append(std::string_view bytes) {
  if (!error_.ok()) return error_;
  size_ += bytes.size();
  if (pending_.size() + bytes.size() < kPendingLimit) {
    pending_.append(bytes);
    return {};
  }
  if (error_ = Write(pending_); !error_.ok()) return error_;
  pending_.clear();
  return error_ = Write(bytes);
}

Status AtomicFile::Write(std::string_view left) {
  while (!left.empty()) {
    const ssize_t n = ::write(fd_, left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(path_, "write");
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status AtomicFile::Commit(Sync sync) {
  if (fd_ < 0) return Status(Code::kFailedPrecondition, path_ + ": committed already");
  if (!error_.ok()) return error_;
  if (error_ = Write(pending_); !error_.ok()) return error_;
  pending_.clear();
  if (sync == Sync::kNow && ::fsync(fd_) != 0) return error_ = FromErrno(path_, "write");
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    Status s = FromErrno(path_, "rename into place");
    ::unlink(temporary_.c_str());
    return s;
  }
  return {};
}

Status WriteFile(const std::string& path, std::string_view bytes, Sync sync) {
  Result<std::unique_ptr<AtomicFile>> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  if (Status s = (*file)->Append(bytes); !s.ok()) return s;
  return (*file)->Commit(sync);
}

Result<std::unique_ptr<AtomicFolder>> AtomicFolder::Create(const std::string& path) {
  auto folder = std::unique_ptr<AtomicFolder>(new AtomicFolder());
  folder->path_ = path;
  while (folder->path_.size() > 1 && folder->path_.back() == '/') folder->path_.pop_back();
  const std::filesystem::path parent = std::filesystem::path(folder->path_).parent_path();
  if (!parent.empty())
    if (Status s = MakeFolders(parent.string()); !s.ok()) return s;
  if (FileExists(folder->path_) && !IsFolder(folder->path_))
    return Status(Code::kInvalidArgument, path + ": is a file, expected a folder or nothing");
  for (int i = 0; i < kMaxTries; ++i) {
    std::string name = TemporaryName(folder->path_);
    if (::mkdir(name.c_str(), 0755) == 0) {
      folder->temporary_ = std::move(name);
      return folder;
    }
    if (errno != EEXIST) break;
  }
  return FromErrno(path, "create");
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove_all(temporary_, ignored);
}

Status AtomicFolder::Commit() {
  if (temporary_.empty()) return Status(Code::kFailedPrecondition, path_ + ": committed already");
  if (Status s = SyncFiles(temporary_); !s.ok()) return s;
  // Exchanged in one step where the file system can; then `temporary_` names the old folder.
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0) {
    std::error_code ignored;
    std::filesystem::remove_all(temporary_, ignored);
    temporary_.clear();
    return {};
  }
  std::string aside;
  if (FileExists(path_)) {
    aside = TemporaryName(path_) + "-old";
    if (::rename(path_.c_str(), aside.c_str()) != 0) return FromErrno(path_, "move the old one aside");
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    Status s = FromErrno(path_, "rename into place");
    if (!aside.empty() && ::rename(aside.c_str(), path_.c_str()) != 0)
      return Status(s.code(), s.message() + "; the old one is now " + aside);
    return s;
  }
  temporary_.clear();
  std::error_code ignored;
  if (!aside.empty()) std::filesystem::remove_all(aside, ignored);
  return {};
}

Status MakeFolders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return FromErrno(path, "create the folder", error.value());
  return {};
}

bool FileExists(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0;
}

bool IsFolder(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace tenon::base
