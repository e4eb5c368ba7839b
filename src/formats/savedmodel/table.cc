#include "formats/savedmodel/table.h"

#include <fmt/format.h>
#include <snappy.h>

#include <algorithm>

#include "base/crc32c.h"
#include "base/status_macros.h"
#include "formats/savedmodel/varint.h"

namespace tenon::savedmodel {
namespace {

constexpr std::size_t kFooterSize = 48;
constexpr std::size_t kTrailerSize = 5;
constexpr std::uint32_t kMagicLow = 0x8b80fb57;
constexpr std::uint32_t kMagicHigh = 0xdb477524;
constexpr std::size_t kBlockSize = 262144;
constexpr int kRestartInterval = 16;

struct Handle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

bool TakeHandle(std::string_view& bytes, Handle& handle) {
  return TakeVarint(bytes, handle.offset) && TakeVarint(bytes, handle.size);
}

Status Damaged(const std::string& name, const std::string& what) {
  return Status(Code::kDataLoss, fmt::format("{}: {}; the file is damaged or not a checkpoint index", name, what));
}

struct Reading {
  std::string_view file;
  const std::string& name;
  std::vector<std::unique_ptr<std::string>>& decompressed;
  std::uint64_t budget;  // bytes that keys and decompressed blocks may still take
};

Status Spend(Reading& r, std::uint64_t bytes) {
  if (bytes > r.budget)
    return Status(Code::kResourceExhausted,
                  fmt::format("{}: its blocks expand beyond what a file of {} bytes may hold", r.name, r.file.size()));
  r.budget -= bytes;
  return {};
}

/// The contents of a block, decompressed when it is compressed.
Result<std::string_view> ReadBlock(Reading& r, Handle handle) {
  const std::uint64_t end = r.file.size() - kFooterSize;
  if (handle.offset > end || handle.size > end - handle.offset || end - handle.offset - handle.size < kTrailerSize)
    return Damaged(r.name, fmt::format("a block at {} of {} bytes lies outside the file", handle.offset, handle.size));
  const std::string_view stored = r.file.substr(handle.offset, handle.size + 1);
  const std::uint32_t crc = LoadLe32(r.file.substr(handle.offset + handle.size + 1, 4));
  if (base::MaskCrc(base::Crc32c(stored)) != crc)
    return Damaged(r.name, fmt::format("the block at {} has a wrong checksum", handle.offset));
  const char compression = stored.back();
  const std::string_view contents = stored.substr(0, handle.size);
  if (compression == 0) return contents;
  if (compression != 1)
    return Damaged(r.name, fmt::format("the block at {} has the unknown compression {}", handle.offset,
                                       static_cast<int>(compression)));
  std::size_t length = 0;
  // A Snappy element of two bytes yields at most 64, so a larger claim cannot be true.
  if (!snappy::GetUncompressedLength(contents.data(), contents.size(), &length) || length / 64 > contents.size())
    return Damaged(r.name, fmt::format("the block at {} is not Snappy data", handle.offset));
  TENON_RETURN_IF_ERROR(Spend(r, length));
  auto out = std::make_unique<std::string>();
  out->resize(length);
  if (!snappy::RawUncompress(contents.data(), contents.size(), out->data()))
    return Damaged(r.name, fmt::format("the block at {} is not Snappy data", handle.offset));
  r.decompressed.push_back(std::move(out));
  return std::string_view(*r.decompressed.back());
}

/// Appends the entries of a block to `out`. Keys must ascend, also after those that `out` holds already.
Status ReadEntries(Reading& r, std::string_view contents, std::vector<Table::Entry>& out) {
  if (contents.size() < 4) return Damaged(r.name, "a block is shorter than its restart count");
  const std::uint64_t restarts = LoadLe32(contents.substr(contents.size() - 4));
  if (restarts > contents.size() / 4 - 1) return Damaged(r.name, "a block claims more restarts than it holds");
  std::string_view left = contents.substr(0, contents.size() - 4 - 4 * restarts);
  std::string key;
  while (!left.empty()) {
    std::uint64_t shared = 0, tail = 0, size = 0;
    if (!TakeVarint(left, shared) || !TakeVarint(left, tail) || !TakeVarint(left, size))
      return Damaged(r.name, "an entry's header is cut off");
    if (shared > key.size()) return Damaged(r.name, "an entry shares more bytes than the previous key has");
    if (tail > left.size() || size > left.size() - tail) return Damaged(r.name, "an entry is cut off");
    TENON_RETURN_IF_ERROR(Spend(r, shared + tail + sizeof(Table::Entry)));
    key.resize(shared);
    key.append(left.substr(0, tail));
    if (!out.empty() && !(out.back().key < key)) return Damaged(r.name, "its keys are not in order");
    out.push_back({key, left.substr(tail, size)});
    left.remove_prefix(tail + size);
  }
  return {};
}

void PutEntry(std::string& block, std::string_view last, std::string_view key, std::string_view value) {
  const auto mismatch = std::mismatch(last.begin(), last.end(), key.begin(), key.end());
  const auto shared = static_cast<std::size_t>(mismatch.first - last.begin());
  PutVarint(block, shared);
  PutVarint(block, key.size() - shared);
  PutVarint(block, value.size());
  block.append(key.substr(shared));
  block.append(value);
}

Handle PutBlock(std::string& out, std::string& block, std::vector<std::uint32_t>& restarts) {
  if (restarts.empty()) restarts.push_back(0);
  for (const std::uint32_t restart : restarts) PutLe32(block, restart);
  PutLe32(block, static_cast<std::uint32_t>(restarts.size()));
  const Handle handle{out.size(), block.size()};
  block.push_back(0);
  out.append(block);
  PutLe32(out, base::MaskCrc(base::Crc32c(block)));
  block.clear();
  restarts.clear();
  return handle;
}

void PutHandle(std::string& out, Handle handle) {
  PutVarint(out, handle.offset);
  PutVarint(out, handle.size);
}

}  // namespace

Result<Table> Table::Parse(std::string_view file, const std::string& name) {
  if (file.size() < kFooterSize) return Damaged(name, fmt::format("{} bytes are too few for a footer", file.size()));
  std::string_view footer = file.substr(file.size() - kFooterSize);
  if (LoadLe32(footer.substr(40)) != kMagicLow || LoadLe32(footer.substr(44)) != kMagicHigh)
    return Damaged(name, "the magic number of a table is missing at its end");
  footer = footer.substr(0, 40);
  Handle metaindex, index;
  if (!TakeHandle(footer, metaindex) || !TakeHandle(footer, index)) return Damaged(name, "its footer is malformed");
  Table table;
  Reading r{file, name, table.decompressed_, (64ULL << 20) + 64ULL * file.size()};
  TENON_ASSIGN_OR_RETURN(const std::string_view index_block, ReadBlock(r, index));
  std::vector<Entry> blocks;
  TENON_RETURN_IF_ERROR(ReadEntries(r, index_block, blocks));
  std::uint64_t end = 0;
  for (const Entry& block : blocks) {
    std::string_view value = block.value;
    Handle handle;
    if (!TakeHandle(value, handle)) return Damaged(name, "its index holds a malformed handle");
    // Blocks stand one after the other, so no file can make us read one twice.
    if (handle.offset < end) return Damaged(name, "its blocks overlap");
    TENON_ASSIGN_OR_RETURN(const std::string_view contents, ReadBlock(r, handle));
    end = handle.offset + handle.size + kTrailerSize;
    TENON_RETURN_IF_ERROR(ReadEntries(r, contents, table.entries_));
  }
  return table;
}

const Table::Entry* Table::Find(std::string_view key) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), key,
                                   [](const Entry& entry, std::string_view wanted) { return entry.key < wanted; });
  return it == entries_.end() || it->key != key ? nullptr : &*it;
}

Status TableWriter::Add(std::string_view key, std::string_view value) {
  if (any_ && !(last_key_ < key))
    return Status(Code::kInvalidArgument, fmt::format("table: key {:?} does not follow {:?}", key, last_key_));
  if (block_.size() >= kBlockSize) EndBlock();
  if (restarts_.empty() || since_restart_ == kRestartInterval) {
    restarts_.push_back(static_cast<std::uint32_t>(block_.size()));
    since_restart_ = 0;
    PutEntry(block_, "", key, value);
  } else {
    PutEntry(block_, last_key_, key, value);
  }
  ++since_restart_;
  last_key_ = key;
  any_ = true;
  return {};
}

void TableWriter::EndBlock() {
  std::string handle;
  PutHandle(handle, PutBlock(out_, block_, restarts_));
  index_restarts_.push_back(static_cast<std::uint32_t>(index_.size()));
  PutEntry(index_, "", last_key_, handle);
  since_restart_ = 0;
}

std::string TableWriter::Finish() {
  if (any_) EndBlock();
  std::string metaindex, footer;
  std::vector<std::uint32_t> no_restarts;
  PutHandle(footer, PutBlock(out_, metaindex, no_restarts));
  PutHandle(footer, PutBlock(out_, index_, index_restarts_));
  footer.resize(40);
  PutLe32(footer, kMagicLow);
  PutLe32(footer, kMagicHigh);
  out_ += footer;
  std::string out = std::move(out_);
  *this = TableWriter();
  return out;
}

}  // namespace tenon::savedmodel
