// TensorReader: values of a JSON document to one tensor.
#pragma once
#include <string>
#include <vector>

#include "serve/core/servable.h"
#include "serve/rest/json_dom.h"

namespace tenon::serve {

/// Collects the elements of one input. The shape of a value is read down its first elements; everything else must agree
/// with it. Messages are those of TensorFlow Serving, kInvalidArgument, or kUnimplemented for a type that JSON requests
/// cannot carry.
class TensorReader {
 public:
  explicit TensorReader(DType dtype) : dtype_(dtype) {}

  /// Appends the elements of a value; `dims` becomes its shape.
  Status Read(const JsonDocument& json, JsonDocument::Index value, std::vector<std::int64_t>& dims);
  /// Elements so far.
  std::size_t count() const { return dtype_ == DType::kString ? strings_.size() : count_; }
  /// All of them; the product of the dims must be count().
  Result<Literal> Take(std::vector<std::int64_t> dims);

 private:
  Status Leaf(const JsonDocument& json, JsonDocument::Index value);
  template <class T>
  void Put(T value);

  const DType dtype_;
  std::vector<std::byte> bytes_;
  std::vector<std::string> strings_;
  std::size_t count_ = 0;
};

/// 'JSON Value: "x" Type: String is not of expected type: int32'.
Status WrongJsonType(const JsonDocument& json, JsonDocument::Index value, DType dtype);

}  // namespace tenon::serve
