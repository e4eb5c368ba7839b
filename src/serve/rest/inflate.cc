#include "serve/rest/inflate.h"

#include <zlib.h>

#include <algorithm>

namespace tenon::serve {

std::optional<std::string> Inflate(std::string_view stream, std::size_t limit) {
  z_stream z{};
  constexpr int kGzipOrZlib = 15 + 32;
  if (::inflateInit2(&z, kGzipOrZlib) != Z_OK) return std::nullopt;
  std::string out;
  int code = Z_OK;
  // Both counters of zlib have 32 bits, so bytes go in and come out by pieces.
  std::size_t in = 0;
  while (code == Z_OK) {
    const std::size_t piece = std::min<std::size_t>(stream.size() - in, 1 << 30);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(stream.data() + in));
    z.avail_in = static_cast<uInt>(piece);
    const std::size_t old = out.size();
    const std::size_t room = std::min(std::max<std::size_t>(old, 64 << 10), limit + 1 - old);
    if (room == 0) break;  // one byte more than allowed is there
    out.resize(old + room);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + old);
    z.avail_out = static_cast<uInt>(std::min<std::size_t>(room, 1 << 30));
    const uInt asked = z.avail_out;
    code = ::inflate(&z, Z_NO_FLUSH);
    in += piece - z.avail_in;
    out.resize(old + (asked - z.avail_out));
    if (code == Z_BUF_ERROR) break;  // nothing more comes of what is there
  }
  ::inflateEnd(&z);
  if (code != Z_STREAM_END || out.size() > limit) return std::nullopt;
  return out;
}

}  // namespace tenon::serve
