// The sorted-string table of LevelDB, as the index of a TensorBundle and a V1 checkpoint use it.
//
//   file    = data block*, metaindex block, index block, footer
//   footer  = 48 bytes: handle of the metaindex block, handle of the index block, zeros up to 40 bytes, and the magic
//             0xdb4775248b80fb57 (little endian)
//   handle  = varint64 offset, varint64 size (the size without the 5-byte trailer)
//   block   = contents, then a trailer: a byte of compression (0 none, 1 Snappy) and the masked CRC-32C of contents
//             and that byte
//   contents = entry*, uint32 restart offset*, uint32 number of restarts (little endian)
//   entry   = varint32 bytes shared with the previous key, varint32 bytes that follow of this key, varint32 size of the
//             value, the key's tail, the value. At a restart nothing is shared.
// The index block maps a key >= the last key of each data block (and < the first of the next) to that block's handle.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/status.h"

namespace tenon::savedmodel {

/// A table read whole: its keys, and values as views of the file or of a block that was decompressed.
class Table {
 public:
  struct Entry {
    std::string key;
    std::string_view value;
  };

  /// Reads every block and checks every checksum, the order of the keys (ascending bytewise, each once) and all
  /// bounds. `file` must outlive the Table; `name` starts the messages. kDataLoss for a damaged or malformed file,
  /// kResourceExhausted when shared key prefixes expand beyond 64 MiB plus 64 times the file's size.
  static Result<Table> Parse(std::string_view file, const std::string& name);

  /// Ascending by key.
  const std::vector<Entry>& entries() const { return entries_; }
  /// The entry of that key, or null.
  const Entry* Find(std::string_view key) const;

 private:
  std::vector<Entry> entries_;
  std::vector<std::unique_ptr<std::string>> decompressed_;
};

/// Makes a table: uncompressed blocks of at least 256 KiB, a restart every 16 entries (what TensorFlow writes).
class TableWriter {
 public:
  /// Keys in ascending order, each once; kInvalidArgument otherwise.
  Status Add(std::string_view key, std::string_view value);
  /// The whole file. The writer is empty after it.
  std::string Finish();

 private:
  void EndBlock();
  std::string out_, block_, index_, last_key_;
  std::vector<std::uint32_t> restarts_, index_restarts_;
  int since_restart_ = 0;
  bool any_ = false;
};

}  // namespace tenon::savedmodel
