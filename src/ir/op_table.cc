#include "ir/op_table.h"

#include <unordered_map>

namespace tenon::ir {

const OpDef* FindOp(std::string_view name) {
  static const auto* const kByName = [] {
    auto* map = new std::unordered_map<std::string_view, const OpDef*>();
    for (const OpFamily& family : OpFamilies())
      for (const OpDef& op : family.ops)
        if (!map->emplace(op.name, &op).second)
          fail(Code::kInternal, "op table: two ops are called " + std::string(op.name));
    return map;
  }();
  const auto it = kByName->find(name);
  return it == kByName->end() ? nullptr : it->second;
}

const OpDef& GetOp(std::string_view name) {
  const OpDef* op = FindOp(name);
  if (op == nullptr) fail(Code::kInternal, "op table: no op is called " + std::string(name));
  return *op;
}

}  // namespace tenon::ir
