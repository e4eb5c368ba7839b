// Checkpoints: TensorBundle (V2: PREFIX.index and PREFIX.data-0000i-of-0000n) and the older V1 form (one table).
//
// V2. The index is a table (table.h). Key "" holds BundleHeaderProto {num_shards 1, endianness 2 (0 little), version 3
// {producer 1}}; every other key is a tensor's name with BundleEntryProto {dtype 1, shape 2, shard_id 3, offset 4,
// size 5, crc32c 6 (fixed32, masked), slices 7}. Shards hold raw little-endian elements. A string tensor is the
// varint64 lengths of its elements, a word with the masked CRC of the lengths (each as uint32, or uint64 from 2^32 on),
// then the bytes; its crc32c covers the lengths in that form, the word and the bytes. int4 elements take a byte each.
// A partitioned tensor's entry lists slices and has no data; the data of each slice is an entry whose key is the
// ordered code of (0, name, rank, start and length of each dim). V1. Key "" holds SavedTensorSlices {meta 1 {tensor 1
// {name 1, shape 2, type 3, slice 4}}}; the others SavedTensorSlices {data 2 {name 1, slice 2, data 3 (a TensorProto
// without type and shape)}}. TensorSliceProto: extent 1 {start 1, length 2}; an extent without length is the whole dim.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "formats/savedmodel/dtype.h"
#include "formats/savedmodel/table.h"
#include "tenon/types.h"

namespace tenon::savedmodel {

/// Start and length in each dim; length -1 is the whole dim.
using Slice = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// The key under which a bundle keeps a slice of a tensor.
std::string SliceKey(std::string_view name, const Slice& slice);

struct BundleTensor {
  TfType dtype = TfType::kInvalid;
  std::vector<std::int64_t> dims;
  std::vector<Slice> slices;  // of a partitioned tensor; empty otherwise
};

/// Reads a checkpoint. Const methods are safe from several threads.
class BundleReader {
 public:
  /// `prefix` is the path without ".index". Reads the index and checks that every tensor's bytes lie inside its
  /// shard and that none overlap. kNotFound when there is no such checkpoint or a shard is missing, kDataLoss for a
  /// damaged one.
  static Result<BundleReader> Open(const std::string& prefix);

  /// By name; slices of partitioned tensors are not listed.
  const std::map<std::string, BundleTensor, std::less<>>& tensors() const { return tensors_; }
  const BundleTensor* Find(std::string_view name) const;
  /// The value, its checksum verified. A view of the mapped shard where the elements are aligned. kNotFound for an
  /// unknown name, kDataLoss for a wrong checksum or malformed data, kUnimplemented for a type that Tenon has not.
  Result<Literal> Read(std::string_view name) const;

 private:
  struct Stored {  // where the bytes of a tensor or slice are
    TfType dtype = TfType::kInvalid;
    std::vector<std::int64_t> dims;
    std::int32_t shard = 0;
    std::uint64_t offset = 0, size = 0;
    std::uint32_t crc = 0;
    std::string_view values;  // V1: the TensorProto
  };
  Status ReadV2();
  Status ReadV1();
  Status CheckShards(std::int32_t count);
  Result<Literal> ReadStored(const std::string& what, const Stored& stored) const;
  Result<Literal> ReadStrings(const std::string& what, const Stored& stored, std::string_view bytes) const;
  Result<Literal> ReadSlices(const std::string& name, const BundleTensor& tensor) const;

  std::string prefix_;
  std::shared_ptr<const base::MappedFile> index_;
  std::shared_ptr<const Table> table_;
  std::map<std::int32_t, std::shared_ptr<const base::MappedFile>> shards_;
  std::map<std::string, BundleTensor, std::less<>> tensors_;
  std::map<std::string, Stored, std::less<>> stored_;
};

/// Writes a V2 checkpoint of one shard. The same tensors give the same bytes, in whatever order they are added; each
/// tensor starts at a multiple of 64 bytes, so that a reader can use it in place.
class BundleWriter {
 public:
  /// kInvalidArgument for an empty name or one that was added before.
  Status Add(const std::string& name, Literal value);
  /// Writes PREFIX.data-00000-of-00001, then PREFIX.index; each is replaced atomically.
  Status Write(const std::string& prefix, base::Sync sync = base::Sync::kNow) const;

 private:
  std::map<std::string, Literal> tensors_;
};

}  // namespace tenon::savedmodel
