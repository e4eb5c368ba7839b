#include "data/rows.h"

#include <algorithm>
#include <cstring>

namespace tenon::data {

using pipeline::Element;

namespace {

// The rows of one array: what is needed to copy them.
struct Column {
  Literal values;
  std::vector<std::int64_t> row_dims;
  std::size_t row_bytes = 0;
};

class ArrayRows : public RowSource {
 public:
  ArrayRows(std::vector<Column> columns, std::shared_ptr<const void> like)
      : columns_(std::move(columns)), like_(std::move(like)) {}
  Element Row(std::int64_t index) const override {
    return Copy(std::span(&index, 1), [](const Column& c) { return c.row_dims; });
  }
  Element Gather(std::span<const std::int64_t> indices) const override {
    return Copy(indices, [&](const Column& c) {
      std::vector<std::int64_t> dims = {static_cast<std::int64_t>(indices.size())};
      dims.insert(dims.end(), c.row_dims.begin(), c.row_dims.end());
      return dims;
    });
  }

 private:
  template <class DimsOf>
  Element Copy(std::span<const std::int64_t> indices, DimsOf&& dims_of) const {
    Element out{{}, like_};
    out.tensors.reserve(columns_.size());
    for (const Column& column : columns_) {
      Literal values = Literal::uninitialized(column.values.dtype(), dims_of(column));
      if (values.dtype() == DType::kString) {
        CopyStrings(column, indices, values.mutable_strings());
      } else {
        CopyBytes(column, indices, values.mutable_raw().data());
      }
      out.tensors.emplace_back(std::move(values));
    }
    return out;
  }
  static void CopyBytes(const Column& column, std::span<const std::int64_t> indices, std::byte* to) {
    const std::byte* from = column.values.raw().data();
    for (std::size_t i = 0; i < indices.size();) {  // neighbours in one copy
      std::size_t n = 1;
      while (i + n < indices.size() && indices[i + n] == indices[i] + static_cast<std::int64_t>(n)) ++n;
      if (column.row_bytes > 0)
        std::memcpy(to + i * column.row_bytes, from + static_cast<std::size_t>(indices[i]) * column.row_bytes,
                    n * column.row_bytes);
      i += n;
    }
  }
  static void CopyStrings(const Column& column, std::span<const std::int64_t> indices, std::vector<std::string>& to) {
    const std::vector<std::string>& from = column.values.strings();
    const std::size_t width = indices.empty() ? 0 : to.size() / indices.size();
    for (std::size_t i = 0; i < indices.size(); ++i)
      for (std::size_t k = 0; k < width; ++k)
        to[i * width + k] = from[static_cast<std::size_t>(indices[i]) * width + k];
  }
  std::vector<Column> columns_;
  std::shared_ptr<const void> like_;
};

class MappedRows : public RowSource {
 public:
  MappedRows(std::shared_ptr<const RowSource> source, std::function<Element(Element)> body)
      : source_(std::move(source)), body_(std::move(body)) {}
  Element Row(std::int64_t index) const override { return body_(source_->Row(index)); }
  Element Gather(std::span<const std::int64_t> indices) const override {
    std::vector<Element> rows;
    rows.reserve(indices.size());
    for (const std::int64_t index : indices) rows.push_back(Row(index));
    return Stack(rows);
  }

 private:
  std::shared_ptr<const RowSource> source_;
  std::function<Element(Element)> body_;
};

struct RowsPass : pipeline::Pass {
  RowsPass(std::shared_ptr<const RowSource> source, std::unique_ptr<IndexPass> indices)
      : source_(std::move(source)), indices_(std::move(indices)) {}
  bool Next(Element& out) override {
    std::int64_t index = 0;
    if (indices_->Fill(std::span(&index, 1)) == 0) return false;
    out = source_->Row(index);
    return true;
  }
  std::shared_ptr<const RowSource> source_;
  std::unique_ptr<IndexPass> indices_;
};

std::string TypeText(const Literal& value) {
  return std::string(dtype_name(value.dtype())) + value.shape().to_string();
}

// Tensor `t` of every element.
Literal StackOne(std::span<const Element> elements, std::size_t t) {
  const Literal& first = elements[0].tensors[t].literal();
  if (is_packed(first.dtype()))
    fail(Code::kInvalidArgument,
         "Dataset: cannot batch packed " + std::string(dtype_name(first.dtype())) + ", cast it first");
  std::vector<std::int64_t> dims = {static_cast<std::int64_t>(elements.size())};
  dims.insert(dims.end(), first.dims().begin(), first.dims().end());
  Literal out = Literal::uninitialized(first.dtype(), std::move(dims));
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const Literal& value = elements[i].tensors[t].literal();
    if (value.dtype() != first.dtype() || value.dims() != first.dims())
      fail(Code::kInvalidArgument, "Dataset: batch: element " + std::to_string(i) + " of the batch has " +
                                       TypeText(value) + ", the first one " + TypeText(first) +
                                       "; make them alike with map, or use batches of 1");
    if (first.dtype() == DType::kString) {
      std::copy(value.strings().begin(), value.strings().end(),
                out.mutable_strings().begin() + static_cast<std::ptrdiff_t>(i * value.strings().size()));
    } else if (value.nbytes() > 0) {
      std::memcpy(out.mutable_raw().data() + i * value.nbytes(), value.raw().data(), value.nbytes());
    }
  }
  return out;
}

}  // namespace

Element Stack(std::span<const Element> elements) {
  Element out{{}, elements[0].like};
  const std::size_t count = elements[0].tensors.size();
  for (const Element& element : elements)
    if (element.tensors.size() != count)
      fail(Code::kInvalidArgument, "Dataset: batch: got elements of " + std::to_string(element.tensors.size()) +
                                       " and of " + std::to_string(count) + " tensors");
  for (std::size_t t = 0; t < count; ++t) out.tensors.emplace_back(StackOne(elements, t));
  return out;
}

std::unique_ptr<pipeline::Pass> RowsNode::Begin() const {
  return std::make_unique<RowsPass>(source_, indices_->Begin());
}

std::shared_ptr<const RowSource> MapRows(std::shared_ptr<const RowSource> source,
                                         std::function<Element(Element)> body) {
  return std::make_shared<MappedRows>(std::move(source), std::move(body));
}

namespace pipeline {

NodePtr Slices(Element rows) {
  if (rows.tensors.empty()) fail(Code::kInvalidArgument, "Dataset: got no tensors to slice");
  std::vector<Column> columns;
  for (const Tensor& tensor : rows.tensors) {
    const Literal& values = tensor.literal();
    if (values.rank() == 0)
      fail(Code::kInvalidArgument, "Dataset: got a scalar, expected tensors with rows along axis 0");
    const std::int64_t count = values.dims()[0];
    if (!columns.empty() && count != columns[0].values.dims()[0])
      fail(Code::kInvalidArgument, "Dataset: got " + TypeText(columns[0].values) + " and " + TypeText(values) +
                                       ", expected the same number of rows");
    Column column{values, {values.dims().begin() + 1, values.dims().end()}, 0};
    const std::size_t row_bits =
        checked_bytes(DType::kU8, column.row_dims).value() * static_cast<std::size_t>(dtype_bits(values.dtype()));
    if (row_bits % 8 != 0)
      fail(Code::kInvalidArgument, "Dataset: rows of " + TypeText(values) + " are no whole bytes; cast it first");
    column.row_bytes = row_bits / 8;
    columns.push_back(std::move(column));
  }
  const std::int64_t count = columns[0].values.dims()[0];
  return std::make_shared<RowsNode>(std::make_shared<ArrayRows>(std::move(columns), std::move(rows.like)),
                                    RangeIndices(count));
}

}  // namespace pipeline
}  // namespace tenon::data
