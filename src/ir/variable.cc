#include "ir/variable.h"

namespace tenon::ir {

Literal VariableCell::Read() const {
  const std::lock_guard lock(mutex_);
  return value_;
}

Status VariableCell::Assign(Literal value) {
  if (value.dtype() != dtype_ || value.shape() != shape_)
    return Status(Code::kInvalidArgument, "variable \"" + path_ + "\": got " + Type::Of(value).to_string() +
                                              ", expected " + type().to_string());
  const std::lock_guard lock(mutex_);
  value_ = std::move(value);
  ++version_;
  return {};
}

Literal VariableCell::Take() {
  mutex_.lock();
  return std::move(value_);
}

void VariableCell::Give(Literal value) {
  value_ = std::move(value);
  ++version_;
  mutex_.unlock();
}

}  // namespace tenon::ir
