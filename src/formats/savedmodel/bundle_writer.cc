#include <fmt/format.h>

#include "base/crc32c.h"
#include "base/status_macros.h"
#include "formats/savedmodel/bundle.h"
#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/tensor_proto.h"
#include "formats/savedmodel/varint.h"

namespace tenon::savedmodel {
namespace {

constexpr std::uint64_t kAlignment = 64;

/// The stored form of strings, and its unmasked CRC.
std::string StringBytes(const Literal& value, std::uint32_t& crc) {
  std::string out;
  crc = 0;
  for (const std::string& text : value.strings()) {
    PutVarint(out, text.size());
    std::string word;
    if (text.size() <= 0xffffffff)
      PutLe32(word, static_cast<std::uint32_t>(text.size()));
    else
      PutLe64(word, text.size());
    crc = base::Crc32c(word, crc);
  }
  std::string word;
  PutLe32(word, base::MaskCrc(crc));
  crc = base::Crc32c(word, crc);
  out += word;
  for (const std::string& text : value.strings()) {
    crc = base::Crc32c(text, crc);
    out += text;
  }
  return out;
}

/// One byte for each element of int4 or uint4.
std::string WideBytes(const Literal& value) {
  std::string out;
  for (std::int64_t i = 0; i < value.size(); ++i) out.push_back(static_cast<char>(static_cast<int>(value.at(i))));
  return out;
}

struct Extent {
  std::uint64_t offset, size;
  std::uint32_t crc;  // masked
};

Result<Extent> PutTensor(base::AtomicFile& file, const Literal& value) {
  const std::uint64_t pad = (kAlignment - file.size() % kAlignment) % kAlignment;
  if (value.dtype() != DType::kString) TENON_RETURN_IF_ERROR(file.Append(std::string(pad, '\0')));
  const std::uint64_t offset = file.size();
  if (value.dtype() == DType::kString) {
    std::uint32_t crc = 0;
    TENON_RETURN_IF_ERROR(file.Append(StringBytes(value, crc)));
    return Extent{offset, file.size() - offset, base::MaskCrc(crc)};
  }
  std::string wide;
  std::string_view bytes(reinterpret_cast<const char*>(value.raw().data()), value.nbytes());
  if (dtype_bits(value.dtype()) == 4) bytes = wide = WideBytes(value);
  TENON_RETURN_IF_ERROR(file.Append(bytes));
  return Extent{offset, bytes.size(), base::MaskCrc(base::Crc32c(bytes))};
}

}  // namespace

Status BundleWriter::Add(const std::string& name, Literal value) {
  if (name.empty() || name.front() == '\0')
    return Status(Code::kInvalidArgument, fmt::format("checkpoint: {:?} cannot be the name of a tensor", name));
  if (!tensors_.emplace(name, std::move(value)).second)
    return Status(Code::kInvalidArgument, fmt::format("checkpoint: two tensors are named {:?}", name));
  return {};
}

Status BundleWriter::Write(const std::string& prefix, base::Sync sync) const {
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<base::AtomicFile> data,
                         base::AtomicFile::Create(prefix + ".data-00000-of-00001"));
  TableWriter table;
  Writer header;
  header.Varint(1, 1);
  header.Message(3, [&] { header.Varint(1, 1); });
  TENON_RETURN_IF_ERROR(table.Add("", header.bytes()));
  for (const auto& [name, value] : tensors_) {
    TENON_ASSIGN_OR_RETURN(const Extent extent, PutTensor(*data, value));
    Writer entry;
    entry.Varint(1, TfOfDType(value.dtype()));
    WriteShape(entry, 2, TfShape{false, value.dims()});
    if (extent.offset != 0) entry.Varint(4, extent.offset);
    if (extent.size != 0) entry.Varint(5, extent.size);
    entry.Fixed32(6, extent.crc);
    TENON_RETURN_IF_ERROR(table.Add(name, entry.bytes()));
  }
  TENON_RETURN_IF_ERROR(data->Commit(sync));
  return base::WriteFile(prefix + ".index", table.Finish(), sync);
}

}  // namespace tenon::savedmodel
