// Streams of row numbers: what shuffle, take, skip and repeat make of the rows of an array, without touching a row.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

namespace tenon::data {

class IndexPass {
 public:
  virtual ~IndexPass() = default;
  /// Fills `out` with the next numbers; returns how many, fewer than asked for only at the end.
  virtual std::size_t Fill(std::span<std::int64_t> out) = 0;
};
/// Immutable; any thread.
class IndexStream {
 public:
  virtual ~IndexStream() = default;
  virtual std::unique_ptr<IndexPass> Begin() const = 0;
  virtual std::int64_t Cardinality() const = 0;  // never kUnknown
};
using IndexStreamPtr = std::shared_ptr<const IndexStream>;

IndexStreamPtr RangeIndices(std::int64_t count);
IndexStreamPtr TakeIndices(IndexStreamPtr source, std::int64_t count);
IndexStreamPtr SkipIndices(IndexStreamPtr source, std::int64_t count);
IndexStreamPtr RepeatIndices(IndexStreamPtr source, std::int64_t times);
/// A finite source is permuted as a whole, 8 bytes a row. Pass k draws from stream k of the seed, or 0 unless
/// `reshuffle`.
IndexStreamPtr ShuffleIndices(IndexStreamPtr source, std::uint64_t seed, bool reshuffle);

/// Cardinalities: numbers, kInfinite, kUnknown.
std::int64_t TakeCardinality(std::int64_t source, std::int64_t count);
std::int64_t SkipCardinality(std::int64_t source, std::int64_t count);
std::int64_t RepeatCardinality(std::int64_t source, std::int64_t times);

}  // namespace tenon::data
