#include "serve/grpc/request_tensor.h"

#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/tensor_proto.h"

namespace tenon::serve::rpc {
namespace {

constexpr const char* kWhat = "TensorProto";
constexpr std::size_t kUncounted = 1 << 20, kTexts = 16 << 20;

struct Counted {
  explicit Counted(ByteBudget* budget) : held(budget) {}
  HeldBytes held;
  Literal literal;
};

/// More of one value than any message may say is no tensor; kResourceExhausted is left to what may fit later.
Result<Literal> ValueOf(const savedmodel::TensorProto& proto, const std::shared_ptr<const void>& owner) {
  Result<Literal> value = savedmodel::LiteralOf(proto, kWhat, owner, true);
  if (!value.ok() && value.status().code() == Code::kResourceExhausted)
    return Status(Code::kInvalidArgument, value.status().message());
  return value;
}

}  // namespace

Result<Literal> RequestTensor(std::string_view tensor, const std::shared_ptr<const void>& owner, ByteBudget* budget) {
  savedmodel::TensorProto proto;
  const proto_wire::Place place(kWhat, tensor);
  TENON_RETURN_IF_ERROR(savedmodel::ParseTensor(tensor, place, &proto));
  const std::optional<DType> dtype = savedmodel::DTypeOfTf(proto.dtype);
  const Result<std::int64_t> size = checked_size(proto.shape.dims);
  if (!dtype || !size.ok() || *size <= static_cast<std::int64_t>(tensor.size())) return ValueOf(proto, owner);
  if (*dtype == DType::kString) {
    const std::size_t most = kTexts / (sizeof(std::string) + tensor.size());
    if (static_cast<std::size_t>(*size) > most)
      return Status(Code::kInvalidArgument, fmt::format("{}: got {} texts in {} bytes, expected at most {}", kWhat,
                                                        *size, tensor.size(), most));
    return ValueOf(proto, owner);
  }
  TENON_ASSIGN_OR_RETURN(const std::size_t bytes, checked_bytes(*dtype, proto.shape.dims));
  if (budget == nullptr || bytes <= kUncounted + tensor.size()) return ValueOf(proto, owner);
  const auto counted = std::make_shared<Counted>(budget);
  TENON_RETURN_IF_ERROR(counted->held.Grow(bytes));
  TENON_ASSIGN_OR_RETURN(counted->literal, ValueOf(proto, owner));
  const Literal& whole = counted->literal;
  return Literal::from_buffer(*dtype, whole.dims(), Buffer::view(whole.raw().data(), whole.nbytes(), counted));
}

}  // namespace tenon::serve::rpc
