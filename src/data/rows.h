// Rows that can be fetched by number, and joining elements into batches.
#pragma once
#include <memory>
#include <span>

#include "data/index_stream.h"
#include "tenon/data.h"

namespace tenon::data {

/// Immutable; any thread.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual pipeline::Element Row(std::int64_t index) const = 0;
  /// The rows of those numbers (at least one) along a new axis 0.
  virtual pipeline::Element Gather(std::span<const std::int64_t> indices) const = 0;
};

/// Rows in the order of an index stream. Steps that only pick and order rows look for this node and change the stream.
class RowsNode : public pipeline::Node {
 public:
  RowsNode(std::shared_ptr<const RowSource> source, IndexStreamPtr indices)
      : source_(std::move(source)), indices_(std::move(indices)) {}
  std::unique_ptr<pipeline::Pass> Begin() const override;
  std::int64_t Cardinality() const override { return indices_->Cardinality(); }
  const std::shared_ptr<const RowSource>& source() const { return source_; }
  const IndexStreamPtr& indices() const { return indices_; }

 private:
  std::shared_ptr<const RowSource> source_;
  IndexStreamPtr indices_;
};

/// Each row of `source` passed through `body`.
std::shared_ptr<const RowSource> MapRows(std::shared_ptr<const RowSource> source,
                                         std::function<pipeline::Element(pipeline::Element)> body);

/// Elements (at least one) along a new axis 0. Throws kInvalidArgument when they differ in structure, dtype or shape.
pipeline::Element Stack(std::span<const pipeline::Element> elements);

}  // namespace tenon::data
