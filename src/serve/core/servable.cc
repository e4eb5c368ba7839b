#include "serve/core/servable.h"

namespace tenon::serve {
namespace {
int Find(const std::vector<TensorInfo>& list, std::string_view alias) {
  for (std::size_t i = 0; i < list.size(); ++i)
    if (list[i].alias == alias) return static_cast<int>(i);
  return -1;
}
}  // namespace

int Signature::input_index(std::string_view alias) const { return Find(inputs, alias); }
int Signature::output_index(std::string_view alias) const { return Find(outputs, alias); }

std::string ServableId::to_string() const { return "{name: " + name + " version: " + std::to_string(version) + "}"; }

const Signature* Servable::FindSignature(std::string_view name) const {
  if (name.empty()) name = kDefaultSignature;
  for (const Signature& signature : signatures())
    if (signature.name == name && !signature.internal) return &signature;
  return nullptr;
}

}  // namespace tenon::serve
