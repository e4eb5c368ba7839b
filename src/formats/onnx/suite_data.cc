#include "formats/onnx/suite_data.h"

#include <fmt/format.h>

#include <cmath>
#include <complex>

#include "base/file.h"
#include "formats/onnx/data_type.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/parse_util.h"
#include "formats/onnx/tensor.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

Result<ir::Datum> ReadTensor(std::string_view bytes, const Place& place) {
  Model none;
  Tensor tensor;
  TENON_RETURN_IF_ERROR(ParseInto(bytes, place, &tensor));
  TENON_ASSIGN_OR_RETURN(Literal literal, TensorReader(none).Read(tensor));
  return ir::Datum(std::move(literal));
}

// What stands in a SequenceProto or OptionalProto: its items in order.
Result<std::vector<ir::Datum>> ReadItems(std::string_view bytes, const Place& place) {
  TENON_RETURN_IF_ERROR(place.CheckDepth());
  std::vector<ir::Datum> items;
  Reader reader(bytes, place);
  while (reader.Next()) {
    const std::uint32_t field = reader.number();
    if (field < 3) continue;
    const Place inner(place, "value", static_cast<std::int64_t>(items.size()));
    if (field == 3) {
      TENON_ASSIGN_OR_RETURN(ir::Datum item, ReadTensor(reader.bytes(), inner));
      items.push_back(std::move(item));
    } else if (field == 5 || field == 7) {
      TENON_ASSIGN_OR_RETURN(std::vector<ir::Datum> inside, ReadItems(reader.bytes(), inner));
      const ir::Type element = inside.empty() ? ir::Type() : inside[0].type();
      if (field == 5) {
        items.push_back(ir::Datum::Sequence(std::move(inside), element));
      } else {
        std::optional<ir::Datum> value;
        if (!inside.empty()) value = std::move(inside[0]);
        items.push_back(ir::Datum::Optional(std::move(value), element));
      }
    } else {
      return Status(Code::kUnimplemented, fmt::format("{}: sparse tensors and maps in test data", place.ToString()));
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  return items;
}

Result<ir::Type> ElementType(const TypeProto& type) {
  switch (type.kind) {
    case TypeKind::kTensor: {
      TENON_ASSIGN_OR_RETURN(const DType dtype, ToDType(type.elem_type));
      return ir::Type::TensorOfUnknownRank(dtype);
    }
    case TypeKind::kSequence:
    case TypeKind::kOptional: {
      if (type.element.empty()) break;
      TENON_ASSIGN_OR_RETURN(ir::Type element, ElementType(type.element[0]));
      return type.kind == TypeKind::kSequence ? ir::Type::Sequence(element) : ir::Type::Optional(element);
    }
    default:
      break;
  }
  return Status(Code::kUnimplemented, "a value that is neither tensor, sequence nor optional");
}

std::string TensorDifference(const Literal& got, const Literal& wanted, TestTolerance tolerance) {
  if (got.dtype() != wanted.dtype())
    return fmt::format("{}, expected {}", dtype_name(got.dtype()), dtype_name(wanted.dtype()));
  if (got.dims() != wanted.dims())
    return fmt::format("shape {}, expected {}", got.shape().to_string(), wanted.shape().to_string());
  if (got.dtype() == DType::kString) {
    for (std::size_t i = 0; i < got.strings().size(); ++i)
      if (got.strings()[i] != wanted.strings()[i])
        return fmt::format("element {}: \"{}\", expected \"{}\"", i, got.strings()[i], wanted.strings()[i]);
    return "";
  }
  if (got.dtype() == DType::kBF16) tolerance.relative = std::max(tolerance.relative, std::ldexp(1.0, -6));
  const std::vector<std::complex<double>> a = ir::ToComplex(got), b = ir::ToComplex(wanted);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto is_nan = [](std::complex<double> z) { return std::isnan(z.real()) || std::isnan(z.imag()); };
    if (a[i] == b[i] || (is_nan(a[i]) && is_nan(b[i]))) continue;
    if (std::isfinite(std::abs(b[i])) &&
        std::abs(a[i] - b[i]) <= tolerance.absolute + tolerance.relative * std::abs(b[i]))
      continue;
    if (is_complex(got.dtype()))
      return fmt::format("element {}: {}{:+}i, expected {}{:+}i", i, a[i].real(), a[i].imag(), b[i].real(),
                         b[i].imag());
    return fmt::format("element {}: {}, expected {}", i, a[i].real(), b[i].real());
  }
  return "";
}

}  // namespace

Result<ir::Datum> ReadTestValue(const std::string& path, const TypeProto& type) {
  TENON_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(path));
  const Place place(path, bytes);
  if (type.kind == TypeKind::kTensor) {
    Result<ir::Datum> view = ReadTensor(bytes, place);
    return view;
  }
  TENON_ASSIGN_OR_RETURN(const ir::Type declared, ElementType(type));
  TENON_ASSIGN_OR_RETURN(std::vector<ir::Datum> items, ReadItems(bytes, place));
  if (type.kind == TypeKind::kSequence) return ir::Datum::Sequence(std::move(items), declared.element());
  std::optional<ir::Datum> value;
  if (!items.empty()) value = std::move(items[0]);
  return ir::Datum::Optional(std::move(value), declared.element());
}

std::string TestDifference(const ir::Datum& got, const ir::Datum& wanted, TestTolerance tolerance) {
  // An optional that is there and its value are the same to a caller.
  if (wanted.kind == ir::Type::Kind::kOptional && got.kind != ir::Type::Kind::kOptional && wanted.items->size() == 1)
    return TestDifference(got, (*wanted.items)[0], tolerance);
  if (got.kind == ir::Type::Kind::kOptional && wanted.kind != ir::Type::Kind::kOptional && got.items->size() == 1)
    return TestDifference((*got.items)[0], wanted, tolerance);
  if (got.kind != wanted.kind) return fmt::format("{}, expected {}", got.type().to_string(), wanted.type().to_string());
  if (got.kind == ir::Type::Kind::kTensor) return TensorDifference(got.literal(), wanted.literal(), tolerance);
  if (got.items->size() != wanted.items->size())
    return fmt::format("{} items, expected {}", got.items->size(), wanted.items->size());
  for (std::size_t i = 0; i < got.items->size(); ++i)
    if (std::string d = TestDifference((*got.items)[i], (*wanted.items)[i], tolerance); !d.empty())
      return fmt::format("item {}: {}", i, d);
  return "";
}

}  // namespace tenon::onnx
