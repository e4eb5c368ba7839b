// The bytes, all numbers little-endian:
//   0   "TENON\r\n\x1a"
//   8   u32 version (1), u32 zero
//   16  u64 offset and u64 size of the text form (ir/text.h)
//   32  u64 offset and u64 size of the blob table
//   48  u32 crc32c of the text, u32 crc32c of the table
//   56  u32 zero, u32 crc32c of bytes 0..59
//   64  blobs, each at a multiple of 64; then the table; then the text
// Table: u64 count; for each blob u32 length and bytes of its name, u8 dtype, u8 rank, u16 zero, i64 dims…, u64 offset,
// u64 size, u32 crc32c of its bytes. A blob of strings holds, for each, u64 length and bytes.
#include "formats/native/native.h"

#include <cstring>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "ir/text.h"

namespace tenon::native {
namespace {

constexpr std::string_view kMagic("TENON\r\n\x1a", 8);
constexpr std::size_t kHeader = 64;
constexpr std::uint32_t kVersion = 1;

template <class T>
void Put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

// A bounds-checked reader of one part of the file.
class Cursor {
 public:
  Cursor(std::string_view bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}
  template <class T>
  Status Get(T& value) {
    TENON_ASSIGN_OR_RETURN(const std::string_view raw, Take(sizeof(T)));
    std::memcpy(&value, raw.data(), sizeof(T));
    return {};
  }
  Result<std::string_view> Take(std::uint64_t n) {
    if (n > bytes_.size() - at_)
      return Status(Code::kDataLoss, where_ + ": ends at byte " + std::to_string(bytes_.size()) + ", expected " +
                                         std::to_string(n) + " more at " + std::to_string(at_));
    const std::string_view out = bytes_.substr(at_, n);
    at_ += n;
    return out;
  }

 private:
  std::string_view bytes_;
  std::string where_;
  std::size_t at_ = 0;
};

std::string StringBytes(const Literal& l) {
  std::string out;
  for (const std::string& s : l.strings()) {
    Put(out, static_cast<std::uint64_t>(s.size()));
    out += s;
  }
  return out;
}

Result<Literal> ParseStrings(std::string_view bytes, std::vector<std::int64_t> dims, const std::string& where) {
  TENON_ASSIGN_OR_RETURN(const std::int64_t count, checked_size(dims));
  if (static_cast<std::uint64_t>(count) > bytes.size() / 8)
    return Status(Code::kDataLoss, where + ": claims " + std::to_string(count) + " strings in " +
                                       std::to_string(bytes.size()) + " bytes");
  Cursor in(bytes, where);
  std::vector<std::string> strings;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t n = 0;
    TENON_RETURN_IF_ERROR(in.Get(n));
    TENON_ASSIGN_OR_RETURN(const std::string_view s, in.Take(n));
    strings.emplace_back(s);
  }
  return Literal::from_strings(std::move(dims), std::move(strings));
}

Result<std::string_view> Section(std::string_view file, std::uint64_t offset, std::uint64_t size, std::uint32_t crc,
                                 const std::string& where) {
  if (offset > file.size() || size > file.size() - offset)
    return Status(Code::kDataLoss, where + ": at bytes " + std::to_string(offset) + " + " + std::to_string(size) +
                                       ", the file has " + std::to_string(file.size()));
  const std::string_view bytes = file.substr(offset, size);
  if (base::Crc32c(bytes) != crc)
    return Status(Code::kDataLoss, where + ": its checksum does not match; the file is damaged");
  return bytes;
}

}  // namespace

bool Matches(std::string_view head) { return head.starts_with(kMagic); }

Status Write(const ir::Module& module, const std::string& path) {
  ir::Blobs blobs;
  const std::string text = ir::PrintModule(module, &blobs);
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<base::AtomicFile> file, base::AtomicFile::Create(path));
  // Offsets first: the header comes first and knows them.
  std::string table;
  Put(table, static_cast<std::uint64_t>(blobs.size()));
  std::uint64_t at = kHeader;
  std::vector<std::pair<std::uint64_t, const Literal*>> places;
  for (const auto& [name, l] : blobs) {
    const std::string strings = l.dtype() == DType::kString ? StringBytes(l) : std::string();
    const std::string_view bytes = l.dtype() == DType::kString
                                       ? std::string_view(strings)
                                       : std::string_view(reinterpret_cast<const char*>(l.raw().data()), l.nbytes());
    at = (at + 63) / 64 * 64;
    places.emplace_back(at, &l);
    Put(table, static_cast<std::uint32_t>(name.size()));
    table += name;
    Put(table, static_cast<std::uint8_t>(l.dtype()));
    Put(table, static_cast<std::uint8_t>(l.rank()));
    Put(table, std::uint16_t{0});
    for (const std::int64_t d : l.dims()) Put(table, d);
    Put(table, at);
    Put(table, static_cast<std::uint64_t>(bytes.size()));
    Put(table, base::Crc32c(bytes));
    at += bytes.size();
  }
  std::string header(kMagic);
  Put(header, kVersion);
  Put(header, std::uint32_t{0});
  Put(header, at + table.size());
  Put(header, static_cast<std::uint64_t>(text.size()));
  Put(header, at);
  Put(header, static_cast<std::uint64_t>(table.size()));
  Put(header, base::Crc32c(text));
  Put(header, base::Crc32c(table));
  Put(header, std::uint32_t{0});
  Put(header, base::Crc32c(header));
  TENON_RETURN_IF_ERROR(file->Append(header));
  for (const auto& [offset, l] : places) {
    TENON_RETURN_IF_ERROR(file->Append(std::string(offset - file->size(), '\0')));
    if (l->dtype() == DType::kString)
      TENON_RETURN_IF_ERROR(file->Append(StringBytes(*l)));
    else
      TENON_RETURN_IF_ERROR(file->Append(l->raw()));
  }
  TENON_RETURN_IF_ERROR(file->Append(table));
  TENON_RETURN_IF_ERROR(file->Append(text));
  return file->Commit();
}

Result<ir::Module> Read(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::shared_ptr<const base::MappedFile> file, base::MappedFile::Open(path));
  const std::string_view all = file->text();
  if (!Matches(all))
    return Status(Code::kInvalidArgument, path + ": not a native file, expected it to start with TENON");
  if (all.size() < kHeader)
    return Status(Code::kDataLoss, path + ": got " + std::to_string(all.size()) + " bytes, expected a header of 64");
  Cursor head(all.substr(8, kHeader - 8), path + ": header");
  std::uint32_t version = 0, zero = 0, text_crc = 0, table_crc = 0, zero2 = 0, header_crc = 0;
  std::uint64_t text_at = 0, text_size = 0, table_at = 0, table_size = 0;
  TENON_RETURN_IF_ERROR(head.Get(version));
  TENON_RETURN_IF_ERROR(head.Get(zero));
  TENON_RETURN_IF_ERROR(head.Get(text_at));
  TENON_RETURN_IF_ERROR(head.Get(text_size));
  TENON_RETURN_IF_ERROR(head.Get(table_at));
  TENON_RETURN_IF_ERROR(head.Get(table_size));
  TENON_RETURN_IF_ERROR(head.Get(text_crc));
  TENON_RETURN_IF_ERROR(head.Get(table_crc));
  TENON_RETURN_IF_ERROR(head.Get(zero2));
  TENON_RETURN_IF_ERROR(head.Get(header_crc));
  if (base::Crc32c(all.substr(0, kHeader - 4)) != header_crc)
    return Status(Code::kDataLoss, path + ": header: its checksum does not match; the file is damaged");
  if (version != kVersion)
    return Status(Code::kInvalidArgument, path + ": got version " + std::to_string(version) +
                                              ", this program reads version " + std::to_string(kVersion) +
                                              "; use a newer one");
  TENON_ASSIGN_OR_RETURN(const std::string_view text, Section(all, text_at, text_size, text_crc, path + ": text"));
  TENON_ASSIGN_OR_RETURN(const std::string_view table,
                         Section(all, table_at, table_size, table_crc, path + ": blob table"));
  Cursor in(table, path + ": blob table");
  std::uint64_t count = 0;
  TENON_RETURN_IF_ERROR(in.Get(count));
  ir::Blobs blobs;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint32_t name_size = 0, crc = 0;
    std::uint8_t dtype = 0, rank = 0;
    std::uint16_t pad = 0;
    std::uint64_t offset = 0, size = 0;
    TENON_RETURN_IF_ERROR(in.Get(name_size));
    TENON_ASSIGN_OR_RETURN(const std::string_view name, in.Take(name_size));
    TENON_RETURN_IF_ERROR(in.Get(dtype));
    TENON_RETURN_IF_ERROR(in.Get(rank));
    TENON_RETURN_IF_ERROR(in.Get(pad));
    std::vector<std::int64_t> dims(rank);
    for (std::int64_t& d : dims) TENON_RETURN_IF_ERROR(in.Get(d));
    TENON_RETURN_IF_ERROR(in.Get(offset));
    TENON_RETURN_IF_ERROR(in.Get(size));
    TENON_RETURN_IF_ERROR(in.Get(crc));
    const std::string where = path + ": blob " + std::string(name);
    if (dtype >= kNumDTypes) return Status(Code::kDataLoss, where + ": got dtype number " + std::to_string(dtype));
    TENON_ASSIGN_OR_RETURN(const std::string_view bytes, Section(all, offset, size, crc, where));
    const auto type = static_cast<DType>(dtype);
    if (type == DType::kString) {
      TENON_ASSIGN_OR_RETURN(Literal l, ParseStrings(bytes, std::move(dims), where));
      blobs.insert_or_assign(std::string(name), std::move(l));
      continue;
    }
    Result<Literal> l = Literal::from_buffer(
        type, std::move(dims), Buffer::view(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), file));
    if (!l.ok()) return l.status().with_context(where);
    blobs.insert_or_assign(std::string(name), *std::move(l));
  }
  Result<ir::Module> module = ir::ParseModule(text, blobs);
  if (!module.ok()) return module.status().with_context(path);
  return module;
}

}  // namespace tenon::native
