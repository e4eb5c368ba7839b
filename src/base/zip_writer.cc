// Records of a zip archive (APPNOTE 6.3), little endian:
//   local header: "PK\3\4" version flags method time date crc size:compressed size:content, lengths of name and extra
//   central header: "PK\1\2", the same, and comment length, disk, attributes, offset of the local header
//   zip64 extra field (id 1): content size, compressed size, offset, each of 8 bytes, for what is 0xffffffff before
//   end: "PK\6\6" (zip64), "PK\6\7" (where that is), "PK\5\6"
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "base/status_macros.h"
#include "base/zip.h"

namespace tenon::base {
namespace {

constexpr std::uint64_t kMax32 = 0xffffffffU;
constexpr std::uint16_t kDate1980 = 0x21;
constexpr std::uint16_t kPadding = 0xd935;  // the id of the extra field that others use for alignment, too

template <class T>
void Put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

uLong Crc(uLong crc, std::string_view bytes) {
  return ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

// Raw deflate of the parts, level 6.
Result<std::string> Deflate(std::span<const std::string_view> parts) {
  z_stream z{};
  if (::deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return Status(Code::kResourceExhausted, "zip: no memory for deflate");
  std::string out, chunk(std::size_t{1} << 18, '\0');
  const auto run = [&](std::string_view in, int flush) {
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    z.avail_in = static_cast<uInt>(in.size());
    do {
      z.next_out = reinterpret_cast<Bytef*>(chunk.data());
      z.avail_out = static_cast<uInt>(chunk.size());
      ::deflate(&z, flush);
      out.append(chunk, 0, chunk.size() - z.avail_out);
    } while (z.avail_out == 0);
  };
  for (std::string_view part : parts)
    while (!part.empty()) {
      const std::string_view piece = part.substr(0, std::size_t{1} << 30);
      run(piece, Z_NO_FLUSH);
      part.remove_prefix(piece.size());
    }
  run({}, Z_FINISH);
  ::deflateEnd(&z);
  return out;
}

bool IsAscii(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

}  // namespace

Status ZipWriter::Add(std::string_view name, std::span<const std::string_view> parts, ZipAddOptions options) {
  const std::string label = "zip entry \"" + std::string(name) + "\"";
  if (name.empty() || name.size() > 60000)
    return Status(Code::kInvalidArgument, label + ": needs 1 to 60000 bytes of name");
  const auto place = std::lower_bound(names_.begin(), names_.end(), name);
  if (place != names_.end() && *place == name) return Status(Code::kAlreadyExists, label + ": added twice");
  names_.insert(place, std::string(name));

  std::uint64_t size = 0;
  uLong crc = Crc(0, {});
  for (const std::string_view part : parts) {
    size += part.size();
    crc = Crc(crc, part);
  }
  std::string deflated;
  std::string_view only;
  if (options.compress) {
    TENON_ASSIGN_OR_RETURN(deflated, Deflate(parts));
    only = deflated;
    parts = std::span(&only, 1);
  }
  const std::uint64_t compressed = options.compress ? deflated.size() : size;
  const std::uint64_t offset = file_.size();
  const bool big = options.force_zip64 || size >= kMax32 || compressed >= kMax32;
  const bool far = options.force_zip64 || offset >= kMax32;

  const auto common = [&](std::string& out, std::size_t extra) {
    Put<std::uint16_t>(out, big || far ? 45 : 20);
    Put<std::uint16_t>(out, IsAscii(name) ? 0 : 1U << 11);
    Put<std::uint16_t>(out, options.compress ? 8 : 0);
    Put<std::uint16_t>(out, 0);
    Put(out, kDate1980);
    Put(out, static_cast<std::uint32_t>(crc));
    Put(out, static_cast<std::uint32_t>(big ? kMax32 : compressed));
    Put(out, static_cast<std::uint32_t>(big ? kMax32 : size));
    Put(out, static_cast<std::uint16_t>(name.size()));
    Put(out, static_cast<std::uint16_t>(extra));
  };
  std::string extra;
  if (big) {
    Put<std::uint16_t>(extra, 1);
    Put<std::uint16_t>(extra, 16);
    Put(extra, size);
    Put(extra, compressed);
  }
  const std::uint64_t data = offset + 30 + name.size() + extra.size();
  if (data % options.alignment != 0) {
    const std::size_t padding = (options.alignment - (data + 4) % options.alignment) % options.alignment;
    Put(extra, kPadding);
    Put(extra, static_cast<std::uint16_t>(padding));
    extra.append(padding, '\0');
  }
  std::string local = "PK\3\4";
  common(local, extra.size());
  local += name;
  local += extra;
  TENON_RETURN_IF_ERROR(file_.Append(local));
  for (const std::string_view part : parts) TENON_RETURN_IF_ERROR(file_.Append(part));

  std::string wide;
  if (big) {
    Put(wide, size);
    Put(wide, compressed);
  }
  if (far) Put(wide, offset);
  directory_ += "PK\1\2";
  Put<std::uint16_t>(directory_, (3U << 8) | 45);  // made on Unix
  common(directory_, wide.empty() ? 0 : 4 + wide.size());
  Put<std::uint16_t>(directory_, 0);  // comment
  Put<std::uint16_t>(directory_, 0);  // disk
  Put<std::uint16_t>(directory_, 0);
  Put<std::uint32_t>(directory_, 0100644U << 16);
  Put(directory_, static_cast<std::uint32_t>(far ? kMax32 : offset));
  directory_ += name;
  if (!wide.empty()) {
    Put<std::uint16_t>(directory_, 1);
    Put(directory_, static_cast<std::uint16_t>(wide.size()));
    directory_ += wide;
  }
  return {};
}

Status ZipWriter::Finish() {
  const std::uint64_t offset = file_.size(), size = directory_.size(), count = names_.size();
  std::string end;
  if (offset >= kMax32 || size >= kMax32 || count >= 0xffff) {
    end = "PK\6\6";
    Put<std::uint64_t>(end, 44);
    Put<std::uint16_t>(end, (3U << 8) | 45);
    Put<std::uint16_t>(end, 45);
    Put<std::uint32_t>(end, 0);
    Put<std::uint32_t>(end, 0);
    Put(end, count);
    Put(end, count);
    Put(end, size);
    Put(end, offset);
    end += "PK\6\7";
    Put<std::uint32_t>(end, 0);
    Put(end, offset + size);
    Put<std::uint32_t>(end, 1);
  }
  end += "PK\5\6";
  Put<std::uint16_t>(end, 0);
  Put<std::uint16_t>(end, 0);
  const auto few = static_cast<std::uint16_t>(std::min<std::uint64_t>(count, 0xffff));
  Put(end, few);
  Put(end, few);
  Put(end, static_cast<std::uint32_t>(std::min(size, kMax32)));
  Put(end, static_cast<std::uint32_t>(std::min(offset, kMax32)));
  Put<std::uint16_t>(end, 0);
  TENON_RETURN_IF_ERROR(file_.Append(directory_));
  return file_.Append(end);
}

}  // namespace tenon::base
