#include "tensor/npz.h"

#include <algorithm>
#include <array>

#include "base/status_macros.h"
#include "base/zip.h"
#include "tensor/npy.h"

namespace tenon::npy {
namespace {

Result<Literal> ReadEntry(base::ZipReader& zip, const base::ZipEntry& entry, const std::string& where) {
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<base::ZipStream> stream, zip.OpenEntry(entry));
  std::vector<std::byte> head(std::min<std::uint64_t>(entry.size, 12));
  TENON_RETURN_IF_ERROR(stream->Read(head));
  TENON_ASSIGN_OR_RETURN(const std::size_t header_size, NpyHeaderSize(head, where));
  const std::size_t seen = head.size();
  if (header_size > entry.size) return Status(Code::kDataLoss, where + ": truncated in the header");
  head.resize(std::max(header_size, seen));
  TENON_RETURN_IF_ERROR(stream->Read(std::span(head).subspan(seen)));
  TENON_ASSIGN_OR_RETURN(const NpyHeader header, ParseNpyHeader(head, where));
  if (entry.size - header.offset != header.nbytes)
    return Status(entry.size - header.offset < header.nbytes ? Code::kDataLoss : Code::kInvalidArgument,
                  where + ": got " + std::to_string(entry.size - header.offset) + " bytes of elements for shape " +
                      Shape(header.dims).to_string() + ", expected " + std::to_string(header.nbytes));
  const std::span<const std::byte> rest = std::span(head).subspan(header.offset);  // at most 2 bytes, of a tiny array
  if (header.plain()) {
    Literal out = Literal::uninitialized(header.dtype, header.dims);
    const std::span<std::byte> raw = out.mutable_raw();
    std::copy(rest.begin(), rest.end(), raw.begin());
    TENON_RETURN_IF_ERROR(stream->Read(raw.subspan(rest.size())));
    TENON_RETURN_IF_ERROR(stream->Finish());
    return out;
  }
  std::vector<std::byte> elements(rest.begin(), rest.end());
  while (elements.size() < header.nbytes) {  // grows with what is really there
    const std::size_t old = elements.size();
    elements.resize(old + std::min(header.nbytes - old, std::max(std::size_t{1} << 20, old)));
    TENON_RETURN_IF_ERROR(stream->Read(std::span(elements).subspan(old)));
  }
  TENON_RETURN_IF_ERROR(stream->Finish());
  return DecodeNpy(header, elements, where);
}

}  // namespace

Result<std::map<std::string, Literal>> ReadNpz(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<base::ZipReader> zip, base::ZipReader::Open(path));
  std::map<std::string, Literal> out;
  for (const base::ZipEntry& entry : zip->entries()) {
    const std::string where = path + "/" + entry.name;
    try {
      TENON_ASSIGN_OR_RETURN(Literal literal, ReadEntry(*zip, entry, where));
      std::string key = entry.name.ends_with(".npy") ? entry.name.substr(0, entry.name.size() - 4) : entry.name;
      if (!out.emplace(std::move(key), std::move(literal)).second)
        return Status(Code::kInvalidArgument, where + ": its key stands in the archive twice");
    } catch (const Error& e) {  // no memory
      return e.status().with_context(where);
    }
  }
  return out;
}

Status WriteNpz(const std::string& path, const std::map<std::string, Literal>& arrays, bool compress) {
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<base::AtomicFile> file, base::AtomicFile::Create(path));
  base::ZipWriter zip(*file);
  for (const auto& [key, literal] : arrays) {
    const NpyParts parts = EncodeNpy(literal);
    const std::array<std::string_view, 2> content = {parts.header, parts.elements(literal)};
    const std::size_t alignment = compress ? 1 : 64;
    const Status added = zip.Add(key + ".npy", content, {.compress = compress, .alignment = alignment});
    if (!added.ok()) return added.with_context(path);
  }
  TENON_RETURN_IF_ERROR(zip.Finish());
  return file->Commit();
}

}  // namespace tenon::npy
