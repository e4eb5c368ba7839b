#include <ostream>

#include "tenon/types.h"

namespace tenon {

const Dim& Shape::operator[](int axis) const {
  const int at = axis < 0 ? axis + rank() : axis;
  if (at < 0 || at >= rank())
    fail(Code::kOutOfRange, "Shape " + to_string() + ": got axis " + std::to_string(axis) + ", expected one in [-" +
                                std::to_string(rank()) + ", " + std::to_string(rank()) + ")");
  return dims_[static_cast<std::size_t>(at)];
}

bool Shape::is_static() const {
  for (const Dim& d : dims_)
    if (d.is_symbolic()) return false;
  return true;
}

std::vector<std::int64_t> Shape::values() const {
  std::vector<std::int64_t> out;
  out.reserve(dims_.size());
  for (const Dim& d : dims_) out.push_back(d.value());
  return out;
}

Dim Shape::size() const {
  Dim n = 1;
  for (const Dim& d : dims_) n = n * d;
  return n;
}

std::string Shape::to_string() const {
  std::string out = "[";
  for (std::size_t i = 0; i < dims_.size(); ++i) out += (i ? ", " : "") + dims_[i].to_string();
  return out + "]";
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.to_string(); }

}  // namespace tenon
