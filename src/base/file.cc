#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace tenon::base {
namespace {

Status FromErrno(const std::string& path, const char* what) {
  const int error = errno;
  Code code = Code::kInternal;
  if (error == ENOENT || error == ENOTDIR)
    code = Code::kNotFound;
  else if (error == EACCES || error == EPERM || error == EROFS)
    code = Code::kPermissionDenied;
  else if (error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENOMEM || error == EFBIG)
    code = Code::kResourceExhausted;
  else if (error == EISDIR)
    code = Code::kInvalidArgument;
  return Status(code, path + ": cannot " + what + ": " + std::strerror(error));
}

std::string TemporaryName(const std::string& path) {
  static std::atomic<int> next{0};
  return path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(next++);
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
  file->temporary_ = TemporaryName(path);
  file->fd_ = ::open(file->temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file->fd_ < 0) return FromErrno(path, "create");
  return file;
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }
}

Status AtomicFile::Append(std::string_view bytes) {
  pending_.append(bytes);
  size_ += bytes.size();
  return pending_.size() < (1U << 20) ? Status() : Flush();
}

Status AtomicFile::Flush() {
  std::string_view left = pending_;
  while (!left.empty()) {
    const ssize_t n = ::write(fd_, left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(path_, "write");
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  pending_.clear();
  return {};
}

Status AtomicFile::Commit() {
  if (Status s = Flush(); !s.ok()) return s;
  if (::fsync(fd_) != 0) return FromErrno(path_, "write");
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const Status s = FromErrno(path_, "rename into place");
    ::unlink(temporary_.c_str());
    return s;
  }
  return {};
}

Status WriteFile(const std::string& path, std::string_view bytes) {
  Result<std::unique_ptr<AtomicFile>> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  if (Status s = (*file)->Append(bytes); !s.ok()) return s;
  return (*file)->Commit();
}

Result<std::unique_ptr<AtomicFolder>> AtomicFolder::Create(const std::string& path) {
  auto folder = std::unique_ptr<AtomicFolder>(new AtomicFolder());
  folder->path_ = path;
  while (folder->path_.size() > 1 && folder->path_.back() == '/') folder->path_.pop_back();
  const std::filesystem::path parent = std::filesystem::path(folder->path_).parent_path();
  if (!parent.empty())
    if (Status s = MakeFolders(parent.string()); !s.ok()) return s;
  folder->temporary_ = TemporaryName(folder->path_);
  if (::mkdir(folder->temporary_.c_str(), 0755) != 0) {
    folder->temporary_.clear();
    return FromErrno(path, "create");
  }
  return folder;
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove_all(temporary_, ignored);
}

Status AtomicFolder::Commit() {
  std::string aside;
  if (FileExists(path_)) {
    aside = TemporaryName(path_) + "-old";
    if (::rename(path_.c_str(), aside.c_str()) != 0) return FromErrno(path_, "move the old one aside");
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const Status s = FromErrno(path_, "rename into place");
    if (!aside.empty()) ::rename(aside.c_str(), path_.c_str());
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
  if (error) return Status(Code::kInternal, path + ": cannot create the folder: " + error.message());
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
