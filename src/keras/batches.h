// Batches of rows from arrays in memory, or from a Dataset.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "tenon/keras/model.h"

namespace tenon::keras {

/// Rows of axis 0 of several Tensors, in batches, in order or by a permutation. Checks once that all have as many rows.
class Batches {
 public:
  /// Throws kInvalidArgument when the row counts differ or there is no row. `data` comes with its names resolved.
  Batches(std::vector<Tensor> x, std::vector<Tensor> y, Tensor sample_weight, int batch_size);
  explicit Batches(std::function<DataArg::Next()> start) : start_(std::move(start)) {}

  /// Batches of a pass, or -1 when not known.
  int count() const;
  /// Starts a pass; with a seed in a new random order (a full permutation).
  void Reset(std::optional<std::uint64_t> shuffle_seed);
  std::optional<DataArg::Batch> Next();
  bool in_memory() const { return start_ == nullptr; }
  std::int64_t rows() const { return rows_; }
  /// The first and the last rows: [0, at) and [at, rows).
  std::pair<Batches, Batches> Split(std::int64_t at, int second_batch_size) const;

 private:
  Tensor Gather(const Tensor& rows, std::int64_t begin, std::int64_t end, Literal& spare) const;
  std::vector<Tensor> x_, y_;
  Tensor sample_weight_;
  std::int64_t rows_ = 0;
  int batch_size_ = 0;
  std::vector<std::uint32_t> order_;  // empty: in order
  std::int64_t at_ = 0;
  std::vector<Literal> spare_;  // by array: the batch given last, used again when nobody holds it any more
  std::function<DataArg::Next()> start_;
  DataArg::Next next_;
};

}  // namespace tenon::keras
