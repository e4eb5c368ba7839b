#include "base/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <new>

#include "base/file.h"
#include "base/status_macros.h"

namespace tenon::base {

bool IsGzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b} && bytes[2] == std::byte{8};
}

Result<std::string> Gunzip(std::span<const std::byte> bytes, std::string_view where, std::size_t limit,
                           const std::function<Status(std::size_t)>& grow) {
  z_stream z{};
  if (::inflateInit2(&z, MAX_WBITS + 32) != Z_OK)
    return Status(Code::kResourceExhausted, "gzip: no memory for inflate");
  const auto finish = [&](Code code, const std::string& what) {
    ::inflateEnd(&z);
    return Status(code, std::string(where) + ": " + what);
  };
  std::string out, chunk(std::size_t{1} << 17, '\0');
  for (;;) {
    const std::size_t piece = std::min(bytes.size(), std::size_t{1} << 30);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    z.avail_in = static_cast<uInt>(piece);
    z.next_out = reinterpret_cast<Bytef*>(chunk.data());
    z.avail_out = static_cast<uInt>(chunk.size());
    const int code = ::inflate(&z, Z_NO_FLUSH);
    bytes = bytes.subspan(piece - z.avail_in);
    const std::size_t made = chunk.size() - z.avail_out;
    if (made > limit - out.size())
      return finish(Code::kResourceExhausted, "inflates to more than " + std::to_string(limit) + " bytes");
    if (const std::size_t size = out.size() + made; grow && size > out.capacity()) {
      const std::size_t room = std::max(size, 2 * out.capacity());
      if (Status status = grow(out.capacity() + room); !status.ok()) {
        ::inflateEnd(&z);
        return status;
      }
      out.reserve(room);
    }
    out.append(chunk, 0, made);
    if (code == Z_STREAM_END) {
      if (!IsGzip(bytes)) break;  // no further member; what else follows is padding
      ::inflateReset(&z);
    } else if (code == Z_BUF_ERROR || (code == Z_OK && bytes.empty() && z.avail_out != 0)) {
      return finish(Code::kDataLoss, "the gzip data is truncated");
    } else if (code != Z_OK) {
      return finish(Code::kDataLoss,
                    std::string("the gzip data is damaged") + (z.msg != nullptr ? std::string(": ") + z.msg : ""));
    }
  }
  ::inflateEnd(&z);
  return out;
}

std::string Gzip(std::string_view bytes) {
  z_stream z{};
  if (::deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  std::string out(::deflateBound(&z, bytes.size()), '\0');
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts in 32 bits
  int code = Z_OK;
  while (code == Z_OK) {
    const std::size_t piece = std::min(bytes.size(), kPiece);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z.avail_in = static_cast<uInt>(piece);
    bytes.remove_prefix(piece);
    const std::size_t room = out.size() - static_cast<std::size_t>(reinterpret_cast<char*>(z.next_out) - out.data());
    z.avail_out = static_cast<uInt>(std::min(room, std::size_t{1} << 31));
    code = ::deflate(&z, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
  }
  out.resize(static_cast<std::size_t>(reinterpret_cast<char*>(z.next_out) - out.data()));
  ::deflateEnd(&z);
  return out;
}

Result<std::string> ReadFileOrGzip(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  if (IsGzip(file->bytes())) return Gunzip(file->bytes(), path);
  return std::string(file->text());
}

}  // namespace tenon::base
