#include "serve/rest/predict_response.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "serve/core/tf_names.h"
#include "serve/rest/base64.h"
#include "serve/rest/float_text.h"
#include "serve/rest/pretty_writer.h"

namespace tenon::serve {
namespace {

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

/// Elements [at, at + count) of the innermost dimension, or one scalar outside of any list.
class ElementWriter {
 public:
  ElementWriter(PrettyWriter& to, const TensorInfo& info, const Literal& tensor)
      : to_(to), tensor_(tensor), bytes_(info.alias.ends_with("_bytes")) {}

  Status Write(std::size_t at, std::size_t count) {
    switch (tensor_.dtype()) {
      case DType::kF32:
        return Floats(tensor_.data<float>().subspan(at, count));
      case DType::kF64: {
        const auto values = tensor_.data<double>().subspan(at, count);
        to_.Numbers(count, [&](std::size_t i, char* p) { return DoubleText(values[i], p); });
        return {};
      }
      case DType::kF16:
        return Halves(tensor_.data<Half>().subspan(at, count));
      case DType::kBF16:
        return Halves(tensor_.data<BFloat16>().subspan(at, count));
      case DType::kI8:
        return Integers(tensor_.data<std::int8_t>().subspan(at, count));
      case DType::kI16:
        return Integers(tensor_.data<std::int16_t>().subspan(at, count));
      case DType::kI32:
        return Integers(tensor_.data<std::int32_t>().subspan(at, count));
      case DType::kI64:
        return Integers(tensor_.data<std::int64_t>().subspan(at, count));
      case DType::kU8:
        return Integers(tensor_.data<std::uint8_t>().subspan(at, count));
      case DType::kU16:
        return Integers(tensor_.data<std::uint16_t>().subspan(at, count));
      case DType::kU32:
        return Integers(tensor_.data<std::uint32_t>().subspan(at, count));
      case DType::kU64:
        return Integers(tensor_.data<std::uint64_t>().subspan(at, count));
      case DType::kBool:
        for (const std::byte b : tensor_.raw().subspan(at, count)) to_.Raw(b != std::byte{0} ? "true" : "false");
        return {};
      case DType::kString:
        for (std::size_t i = at; i < at + count; ++i) String(tensor_.strings()[i]);
        return {};
      default:
        if (count == 0) return {};
        return Invalid(fmt::format("Failed to write JSON value for tensor type: {}", TfTypeName(tensor_.dtype())));
    }
  }

 private:
  Status Floats(std::span<const float> values) {
    to_.Numbers(values.size(), [&](std::size_t i, char* p) { return FloatText(values[i], p); });
    return {};
  }
  template <class T>
  Status Halves(std::span<const T> values) {
    to_.Numbers(values.size(), [&](std::size_t i, char* p) { return FloatText(to_float(values[i]), p); });
    return {};
  }
  template <class T>
  Status Integers(std::span<const T> values) {
    to_.Numbers(values.size(),
                [&](std::size_t i, char* p) { return std::to_chars(p, p + kFloatTextMax, values[i]).ptr; });
    return {};
  }
  void String(const std::string& text) {
    if (!bytes_) return to_.String(text);
    std::string encoded;
    Base64Encode(text, encoded);
    to_.StartObject();
    to_.Key("b64");
    to_.String(encoded);
    to_.EndObject();
  }

  PrettyWriter& to_;
  const Literal& tensor_;
  const bool bytes_;
};

/// The sub-tensor of the dimensions from `dim` on whose first element is number `at`; `at` moves behind it.
Status WriteValue(PrettyWriter& to, ElementWriter& elements, const std::vector<std::int64_t>& dims, std::size_t dim,
                  std::size_t& at) {
  if (dim >= dims.size()) return elements.Write(at++, 1);
  to.StartArray();
  const auto count = static_cast<std::size_t>(dims[dim]);
  if (dim + 1 == dims.size()) {
    if (Status s = elements.Write(at, count); !s.ok()) return s;
    at += count;
  } else {
    // As deep as the tensor's rank, which every backend bounds.
    for (std::size_t i = 0; i < count; ++i)
      if (Status s = WriteValue(to, elements, dims, dim + 1, at); !s.ok()) return s;
  }
  to.EndArray();
  return {};
}

Status WriteRows(const Signature& signature, std::span<const Literal> outputs, std::string& out) {
  std::int64_t batch = -1;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::string& alias = signature.outputs[i].alias;
    if (outputs[i].rank() == 0) return Invalid(fmt::format("Tensor name: {} has no shape information ", alias));
    const std::int64_t rows = outputs[i].dims()[0];
    if (batch >= 0 && rows != batch)
      return Invalid(fmt::format("Tensor name: {} has inconsistent batch size: {} expecting: {}", alias, rows, batch));
    batch = rows;
  }
  PrettyWriter to(out);
  struct Column {
    ElementWriter elements;
    std::size_t at = 0;
  };
  std::vector<Column> columns;
  columns.reserve(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) columns.push_back({{to, signature.outputs[i], outputs[i]}});
  to.StartObject();
  to.Key("predictions");
  to.StartArray();
  const bool named = outputs.size() > 1;
  for (std::int64_t row = 0; row < batch; ++row) {
    if (named) to.StartObject();
    to.set_single_line(true);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (named) to.Key(signature.outputs[i].alias);
      if (Status s = WriteValue(to, columns[i].elements, outputs[i].dims(), 1, columns[i].at); !s.ok()) return s;
    }
    to.set_single_line(false);
    if (named) to.EndObject();
  }
  to.EndArray();
  to.EndObject();
  return {};
}

Status WriteColumns(const Signature& signature, std::span<const Literal> outputs, std::string& out) {
  PrettyWriter to(out);
  to.StartObject();
  to.Key("outputs");
  const bool named = outputs.size() > 1;
  if (named) to.StartObject();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (named) to.Key(signature.outputs[i].alias);
    ElementWriter elements(to, signature.outputs[i], outputs[i]);
    std::size_t at = 0;
    if (Status s = WriteValue(to, elements, outputs[i].dims(), 0, at); !s.ok()) return s;
  }
  if (named) to.EndObject();
  to.EndObject();
  return {};
}

}  // namespace

Status WritePredictResponse(const Signature& signature, std::span<const Literal> outputs, PredictForm form,
                            std::string& out) {
  if (outputs.empty()) return Invalid("Cannot convert empty tensor map to JSON");
  if (outputs.size() != signature.outputs.size())
    return Status(Code::kInternal, fmt::format("signature {}: got {} outputs, expected {}", signature.name,
                                               outputs.size(), signature.outputs.size()));
  std::size_t elements = 0;
  for (const Literal& output : outputs) elements += static_cast<std::size_t>(output.size());
  out.reserve(128 + std::min<std::size_t>(40 * elements, 4096));
  return form == PredictForm::kRow ? WriteRows(signature, outputs, out) : WriteColumns(signature, outputs, out);
}

void WriteErrorResponse(std::string_view message, std::string& out) {
  PrettyWriter to(out);
  to.StartObject();
  to.Key("error");
  to.String(message);
  to.EndObject();
}

}  // namespace tenon::serve
