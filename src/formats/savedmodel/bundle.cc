#include "formats/savedmodel/bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/status_macros.h"
#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/tensor_proto.h"
#include "formats/savedmodel/varint.h"

namespace tenon::savedmodel {
namespace {

std::string ShardName(const std::string& prefix, std::int32_t shard, std::int32_t count) {
  return fmt::format("{}.data-{:05}-of-{:05}", prefix, shard, count);
}

Status ParseSlice(std::string_view bytes, const Place& place, Slice* slice) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() != 1) continue;
    std::pair<std::int64_t, std::int64_t> extent{0, -1};
    Reader fields(reader.bytes(), place);
    while (fields.Next()) {
      if (fields.number() == 1) fields.Get(&extent.first);
      if (fields.number() == 2) fields.Get(&extent.second);
    }
    TENON_RETURN_IF_ERROR(fields.status());
    slice->push_back(extent);
  }
  return reader.status();
}

/// A field of a message, by number, as bytes; empty when absent.
Result<std::string_view> Nested(std::string_view bytes, const Place& place, std::uint32_t number) {
  std::string_view out;
  Reader reader(bytes, place);
  while (reader.Next())
    if (reader.number() == number) out = reader.bytes();
  if (!reader.status().ok()) return reader.status();
  return out;
}

}  // namespace

Result<BundleReader> BundleReader::Open(const std::string& prefix) {
  BundleReader reader;
  reader.prefix_ = prefix;
  const bool v2 = base::FileExists(prefix + ".index");
  const std::string path = v2 ? prefix + ".index" : prefix;
  if (!v2 && (!base::FileExists(path) || base::IsFolder(path)))
    return Status(Code::kNotFound,
                  fmt::format("{}: no checkpoint there: neither {}.index nor {} is a file", prefix, prefix, prefix));
  TENON_ASSIGN_OR_RETURN(reader.index_, base::MappedFile::Open(path));
  TENON_ASSIGN_OR_RETURN(Table table, Table::Parse(reader.index_->text(), path));
  reader.table_ = std::make_shared<const Table>(std::move(table));
  TENON_RETURN_IF_ERROR(v2 ? reader.ReadV2() : reader.ReadV1());
  return reader;
}

Status BundleReader::ReadV2() {
  const std::string path = prefix_ + ".index";
  const Table::Entry* header = table_->Find("");
  if (header == nullptr) return Status(Code::kDataLoss, path + ": it has no header");
  std::int32_t shards = 0, endianness = 0;
  const Place header_place(path, header->value);
  Reader reader(header->value, header_place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&shards);
    if (reader.number() == 2) reader.Get(&endianness);
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (endianness != 0) return Status(Code::kUnimplemented, path + ": written on a big-endian machine");
  if (shards < 1) return Status(Code::kDataLoss, fmt::format("{}: got {} shards, expected at least 1", path, shards));
  for (const Table::Entry& entry : table_->entries()) {
    if (entry.key.empty()) continue;
    const Place place(path, entry.value);
    const Place inner(place, entry.key);
    Stored stored;
    std::vector<Slice> slices;
    TfShape shape;
    std::int64_t offset = 0, size = 0;
    Reader fields(entry.value, inner);
    while (fields.Next()) {
      switch (fields.number()) {
        case 1:
          fields.Get(&stored.dtype);
          break;
        case 2:
          TENON_RETURN_IF_ERROR(ParseShape(fields.bytes(), inner, &shape));
          break;
        case 3:
          fields.Get(&stored.shard);
          break;
        case 4:
          fields.Get(&offset);
          break;
        case 5:
          fields.Get(&size);
          break;
        case 6:
          fields.GetFixed(&stored.crc);
          break;
        case 7:
          TENON_RETURN_IF_ERROR(ParseSlice(fields.bytes(), inner, &slices.emplace_back()));
          break;
        default:
          break;
      }
    }
    TENON_RETURN_IF_ERROR(fields.status());
    if (shape.unknown_rank || std::ranges::count(shape.dims, -1) > 0)
      return inner.Error("its shape is not fully known");
    if (offset < 0 || size < 0 || stored.shard < 0 || stored.shard >= shards)
      return inner.Error("its shard, offset or size is out of range");
    stored.dims = std::move(shape.dims);
    stored.offset = static_cast<std::uint64_t>(offset);
    stored.size = static_cast<std::uint64_t>(size);
    if (entry.key.front() != '\0') tensors_[entry.key] = {stored.dtype, stored.dims, slices};
    if (slices.empty()) stored_.emplace(entry.key, std::move(stored));
  }
  return CheckShards(shards);
}

Status BundleReader::CheckShards(std::int32_t count) {
  std::map<std::int32_t, std::vector<const Stored*>> by_shard;
  for (const auto& [key, stored] : stored_) by_shard[stored.shard].push_back(&stored);
  for (auto& [shard, list] : by_shard) {
    const std::string path = ShardName(prefix_, shard, count);
    TENON_ASSIGN_OR_RETURN(std::shared_ptr<const base::MappedFile> file, base::MappedFile::Open(path));
    std::ranges::sort(list, [](const Stored* a, const Stored* b) {
      return std::pair(a->offset, a->size) < std::pair(b->offset, b->size);
    });
    std::uint64_t end = 0;
    for (const Stored* stored : list) {
      if (stored->offset < end && stored->size > 0)
        return Status(Code::kDataLoss,
                      fmt::format("{}.index: two tensors overlap at {} of shard {}", prefix_, stored->offset, shard));
      if (stored->offset > file->bytes().size() || stored->size > file->bytes().size() - stored->offset)
        return Status(Code::kDataLoss,
                      fmt::format("{}: {} bytes, the index names bytes {} to {}; the file is cut off", path,
                                  file->bytes().size(), stored->offset, stored->offset + stored->size));
      end = std::max(end, stored->offset + stored->size);
    }
    shards_[shard] = std::move(file);
  }
  return {};
}

Status BundleReader::ReadV1() {
  const Table::Entry* header = table_->Find("");
  if (header == nullptr) return Status(Code::kDataLoss, prefix_ + ": it has no header");
  const Place place(prefix_, header->value);
  TENON_ASSIGN_OR_RETURN(const std::string_view meta, Nested(header->value, place, 1));
  Reader reader(meta, place);
  while (reader.Next()) {
    if (reader.number() != 1) continue;
    std::string name;
    BundleTensor tensor;
    TfShape shape;
    Reader fields(reader.bytes(), place);
    while (fields.Next()) {
      switch (fields.number()) {
        case 1:
          fields.Get(&name);
          break;
        case 2:
          TENON_RETURN_IF_ERROR(ParseShape(fields.bytes(), place, &shape));
          break;
        case 3:
          fields.Get(&tensor.dtype);
          break;
        case 4:
          TENON_RETURN_IF_ERROR(ParseSlice(fields.bytes(), place, &tensor.slices.emplace_back()));
          break;
        default:
          break;
      }
    }
    TENON_RETURN_IF_ERROR(fields.status());
    if (shape.unknown_rank || std::ranges::count(shape.dims, -1) > 0) return place.Error("a shape is not fully known");
    tensor.dims = std::move(shape.dims);
    tensors_[name] = std::move(tensor);
  }
  TENON_RETURN_IF_ERROR(reader.status());
  for (const Table::Entry& entry : table_->entries()) {
    if (entry.key.empty()) continue;
    const Place inner(prefix_, entry.value);
    TENON_ASSIGN_OR_RETURN(const std::string_view data, Nested(entry.value, inner, 2));
    std::string name;
    Slice slice;
    Stored stored;
    Reader fields(data, inner);
    while (fields.Next()) {
      if (fields.number() == 1) fields.Get(&name);
      if (fields.number() == 2) TENON_RETURN_IF_ERROR(ParseSlice(fields.bytes(), inner, &slice));
      if (fields.number() == 3) stored.values = fields.bytes();
    }
    TENON_RETURN_IF_ERROR(fields.status());
    const auto tensor = tensors_.find(name);
    if (tensor == tensors_.end() || slice.size() != tensor->second.dims.size())
      return inner.Error("data of a tensor that its header does not list");
    stored.dtype = tensor->second.dtype;
    for (std::size_t d = 0; d < slice.size(); ++d)
      stored.dims.push_back(slice[d].second == -1 ? tensor->second.dims[d] : slice[d].second);
    stored_.emplace(SliceKey(name, slice), std::move(stored));
  }
  return {};
}

const BundleTensor* BundleReader::Find(std::string_view name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

Result<Literal> BundleReader::Read(std::string_view name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end())
    return Status(Code::kNotFound, fmt::format("{}: has no tensor {:?} ({} tensors)", prefix_, name, tensors_.size()));
  if (!it->second.slices.empty()) return ReadSlices(it->first, it->second);
  const auto stored = stored_.find(name);
  if (stored == stored_.end()) return Status(Code::kDataLoss, fmt::format("{}: no data of tensor {:?}", prefix_, name));
  return ReadStored(prefix_ + ": " + it->first, stored->second);
}

Result<Literal> BundleReader::ReadStored(const std::string& what, const Stored& stored) const {
  const std::optional<DType> dtype = DTypeOfTf(stored.dtype);
  if (!dtype) return Status(Code::kUnimplemented, fmt::format("{}: cannot hold {}", what, TfTypeName(stored.dtype)));
  if (stored.values.data() != nullptr || shards_.empty()) {
    TensorProto tensor;
    tensor.dtype = stored.dtype;
    tensor.shape.dims = stored.dims;
    tensor.encoded = stored.values;
    return LiteralOf(tensor, what);
  }
  const std::shared_ptr<const base::MappedFile>& file = shards_.at(stored.shard);
  const std::string_view bytes = file->text().substr(stored.offset, stored.size);
  if (*dtype == DType::kString) return ReadStrings(what, stored, bytes);
  TENON_RETURN_IF_ERROR(checked_bytes(DType::kF64, stored.dims).status().with_context(what));
  TENON_ASSIGN_OR_RETURN(const std::int64_t elements, checked_size(stored.dims));
  const auto width = static_cast<std::size_t>(StoredBytes(stored.dtype));
  if (bytes.size() != static_cast<std::size_t>(elements) * width)
    return Status(Code::kDataLoss, fmt::format("{}: got {} bytes for {} elements of {}", what, bytes.size(), elements,
                                               TfTypeName(stored.dtype)));
  if (base::MaskCrc(base::Crc32c(bytes)) != stored.crc)
    return Status(Code::kDataLoss, what + ": wrong checksum; the file is damaged");
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  if (dtype_bits(*dtype) == 4) {
    Literal out(*dtype, stored.dims);
    std::span<std::byte> raw = out.mutable_raw();
    for (std::size_t i = 0; i < bytes.size(); ++i) raw[i / 2] |= (data[i] & std::byte{15}) << (i % 2 == 0 ? 0 : 4);
    return out;
  }
  if (reinterpret_cast<std::uintptr_t>(data) % std::min<std::size_t>(width, 8) == 0)
    return Literal::from_buffer(*dtype, stored.dims, Buffer::view(data, bytes.size(), file));
  Literal out = Literal::uninitialized(*dtype, stored.dims);
  if (!bytes.empty()) std::memcpy(out.mutable_raw().data(), data, bytes.size());
  return out;
}

Result<Literal> BundleReader::ReadStrings(const std::string& what, const Stored& stored, std::string_view bytes) const {
  TENON_ASSIGN_OR_RETURN(const std::int64_t elements, checked_size(stored.dims));
  const Status damaged(Code::kDataLoss, what + ": malformed string data; the file is damaged");
  if (static_cast<std::uint64_t>(elements) > bytes.size()) return damaged;  // a length takes a byte at least
  std::vector<std::uint64_t> lengths(static_cast<std::size_t>(elements));
  std::uint32_t crc = 0;
  for (std::uint64_t& length : lengths) {
    if (!TakeVarint(bytes, length)) return damaged;
    std::string word;
    if (length <= 0xffffffff)
      PutLe32(word, static_cast<std::uint32_t>(length));
    else
      PutLe64(word, length);
    crc = base::Crc32c(word, crc);
  }
  if (bytes.size() < 4 || LoadLe32(bytes) != base::MaskCrc(crc)) return damaged;
  if (base::MaskCrc(base::Crc32c(bytes, crc)) != stored.crc)
    return Status(Code::kDataLoss, what + ": wrong checksum; the file is damaged");
  bytes.remove_prefix(4);
  std::vector<std::string> strings;
  strings.reserve(lengths.size());
  for (const std::uint64_t length : lengths) {
    if (length > bytes.size()) return damaged;
    strings.emplace_back(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  if (!bytes.empty()) return damaged;
  return Literal::from_strings(stored.dims, std::move(strings));
}

}  // namespace tenon::savedmodel
