#include "serve/rest/predict_request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "serve/rest/request_json.h"
#include "serve/rest/tensor_reader.h"

namespace tenon::serve {
namespace {

using Index = JsonDocument::Index;

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

/// As absl prints a status within a message.
std::string StatusText(const Status& s) { return std::string(code_name(s.code())) + ": " + s.message(); }

std::string ShapeText(const std::vector<std::int64_t>& dims) { return fmt::format("[{}]", fmt::join(dims, ",")); }

/// An object that stands for named values, not for bytes.
bool IsNamed(const JsonDocument& json, Index value) {
  return json.kind(value) == JsonKind::kObject && json.Base64Member(value).data() == nullptr;
}

/// The rows of one input.
struct Column {
  explicit Column(DType dtype) : reader(dtype) {}
  TensorReader reader;
  std::vector<std::int64_t> dims;  // of a row
  std::size_t row_size = 0;
  bool begun = false;

  Status Add(const JsonDocument& json, Index value) {
    const std::size_t before = reader.count();
    std::vector<std::int64_t> shape;
    if (Status s = reader.Read(json, value, shape); !s.ok()) return s;
    const std::size_t size = reader.count() - before;
    if (!begun) {
      begun = true;
      dims = std::move(shape);
      row_size = size;
    } else if (size != row_size) {
      return Invalid(fmt::format("Expecting tensor size: {} but got: {}", row_size, size));
    } else if (shape != dims) {
      return Invalid(fmt::format("Expecting shape {} but got: {}", ShapeText(dims), ShapeText(shape)));
    }
    return {};
  }
};

Status AddNamedRow(const JsonDocument& json, Index row, std::size_t number, const Signature& signature,
                   std::vector<Column>& columns) {
  std::set<std::string_view> seen;
  for (Index name = json.first(row); name != json.end(row); name = json.end(name + 1)) {
    const std::string_view alias = json.text(name);
    if (!seen.insert(alias).second) continue;  // the first of two equal keys counts
    const int input = signature.input_index(alias);
    const Status s = input < 0 ? Invalid(fmt::format("JSON object: does not have named input: {}", alias))
                               : columns[static_cast<std::size_t>(input)].Add(json, name + 1);
    if (!s.ok())
      return Invalid(fmt::format("Failed to process element: {} key: {} of 'instances' list. Error: {}", number, alias,
                                 StatusText(s)));
  }
  if (seen.size() == columns.size()) return {};
  std::set<std::string_view> expected;
  for (const TensorInfo& input : signature.inputs) expected.insert(input.alias);
  return Invalid(
      fmt::format("Failed to process element: {} of 'instances' list. JSON object: {} keys must be equal to: {}",
                  number, json.ToText(row), fmt::join(expected, ",")));
}

Status ReadRows(const JsonDocument& json, Index list, PredictRequest& out) {
  const Signature& signature = *out.signature;
  const Index first = json.first(list);
  const bool named = IsNamed(json, first);
  if (!named && signature.inputs.size() > 1)
    return Invalid(
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map");
  std::vector<Column> columns;
  for (const TensorInfo& input : signature.inputs) columns.emplace_back(input.dtype);
  std::size_t number = 0;
  for (Index row = first; row != json.end(list); row = json.end(row), ++number) {
    if (named) {
      if (!IsNamed(json, row))
        return Invalid(fmt::format("Expecting object but got list at item {} of input list", number));
      if (Status s = AddNamedRow(json, row, number, signature, columns); !s.ok()) return s;
    } else {
      if (IsNamed(json, row))
        return Invalid(fmt::format("Expecting value/list but got object at item {} of input list", number));
      if (const Status s = columns[0].Add(json, row); !s.ok())
        return Invalid(
            fmt::format("Failed to process element: {} of 'instances' list. Error: {}", number, StatusText(s)));
    }
  }
  for (Column& column : columns) {
    std::vector<std::int64_t> dims{static_cast<std::int64_t>(number)};
    dims.insert(dims.end(), column.dims.begin(), column.dims.end());
    Result<Literal> tensor = column.reader.Take(std::move(dims));
    if (!tensor.ok()) return tensor.status();
    out.inputs.push_back(*std::move(tensor));
  }
  return {};
}

Status ReadColumns(const JsonDocument& json, Index value, PredictRequest& out) {
  const Signature& signature = *out.signature;
  const bool named = IsNamed(json, value);
  if (!named && signature.inputs.size() > 1)
    return Invalid(
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
        "tensorinfo_map");
  for (const TensorInfo& input : signature.inputs) {
    Index item = value;
    if (named) {
      item = json.Find(value, input.alias);
      if (item == JsonDocument::kNone)
        return Invalid(fmt::format("Missing named input: {} in 'inputs' object.", input.alias));
    }
    TensorReader reader(input.dtype);
    std::vector<std::int64_t> dims;
    if (Status s = reader.Read(json, item, dims); !s.ok()) return s;
    Result<Literal> tensor = reader.Take(std::move(dims));
    if (!tensor.ok()) return tensor.status();
    out.inputs.push_back(*std::move(tensor));
  }
  return {};
}

}  // namespace

Result<PredictRequest> ReadPredictRequest(std::string_view body, const Status& found, const Servable* servable,
                                          ByteBudget* budget) {
  if (servable != nullptr)
    if (std::optional<PredictRequest> plain = ReadPlainPredictRequest(body, *servable)) return *std::move(plain);

  const Result<JsonDocument> parsed = JsonDocument::Parse(body, budget);
  if (!parsed.ok()) return parsed.status();
  const JsonDocument& json = *parsed;
  const auto bad = [&](std::string_view what) { return BadRequest(json, what); };
  const Result<std::string_view> named = SignatureNameOf(json);
  if (!named.ok()) return named.status();
  const std::string_view name = *named;
  if (!found.ok()) return found;
  PredictRequest out;
  out.signature = servable->FindSignature(name);
  if (out.signature == nullptr)
    return Invalid(fmt::format("Serving signature name: \"{}\" not found in signature def",
                               name.empty() ? kDefaultSignature : name));
  if (out.signature->inputs.empty())
    return Invalid(fmt::format("Failed to get input map for signature: {}", name.empty() ? "DEFAULT" : name));
  const Index instances = json.Find(JsonDocument::kRoot, "instances");
  const Index inputs = json.Find(JsonDocument::kRoot, "inputs");
  if (instances != JsonDocument::kNone) {
    if (inputs != JsonDocument::kNone)
      return bad("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ");
    if (json.kind(instances) != JsonKind::kArray) return bad("Expecting 'instances' to be an list/array");
    if (json.size(instances) == 0) return bad("No values in 'instances' array");
    out.form = PredictForm::kRow;
    if (Status s = ReadRows(json, instances, out); !s.ok()) return s;
    return out;
  }
  if (inputs == JsonDocument::kNone) return Invalid("Missing 'inputs' or 'instances' key");
  out.form = PredictForm::kColumnar;
  if (Status s = ReadColumns(json, inputs, out); !s.ok()) return s;
  return out;
}

}  // namespace tenon::serve
