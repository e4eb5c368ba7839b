// VariableCell: a named cell of state. Weights, statistics, optimizer slots, counters, random state, learning rate.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "ir/type.h"
#include "tenon/types.h"

namespace tenon::ir {

/// Shared by handle; any thread. Reading takes a snapshot that shares the storage; an executable that updates the cell
/// in place takes the storage out for the run and writes into it only when nobody else holds it (else it copies first).
class VariableCell {
 public:
  VariableCell(std::string path, Literal value, bool trainable, std::string initializer = {})
      : dtype_(value.dtype()),
        shape_(value.shape()),
        initializer_(std::move(initializer)),
        path_(std::move(path)),
        trainable_(trainable),
        value_(std::move(value)) {}
  VariableCell(const VariableCell&) = delete;
  VariableCell& operator=(const VariableCell&) = delete;

  /// Unique within a Module: "sequential/dense/kernel".
  const std::string& path() const { return path_; }
  void set_path(std::string path) { path_ = std::move(path); }  // before the cell is shared between threads
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  Type type() const { return Type::Tensor(dtype_, shape_); }
  const std::string& initializer() const { return initializer_; }  // "glorot_uniform"; empty when unknown
  bool trainable() const { return trainable_; }
  void set_trainable(bool trainable) { trainable_ = trainable; }

  Literal Read() const;
  /// kInvalidArgument unless dtype and dims are those of the cell.
  Status Assign(Literal value);
  /// Grows with every Assign, Give and set_trainable-independent change: caches key on it.
  std::uint64_t version() const { return version_; }

  /// For executables: Take() moves the storage out (reads wait until Give() puts it back). One taker at a time.
  Literal Take();
  void Give(Literal value);

 private:
  const DType dtype_;
  const Shape shape_;
  const std::string initializer_;
  std::string path_;
  std::atomic<bool> trainable_;
  std::atomic<std::uint64_t> version_{0};
  mutable std::mutex mutex_;
  Literal value_;
};
using VariablePtr = std::shared_ptr<VariableCell>;

}  // namespace tenon::ir
