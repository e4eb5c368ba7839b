// What a Tensor holds: an eager value, or a symbol that knows the call that produces it.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/op_def.h"
#include "tenon/tensor.h"

namespace tenon::eager {

/// Something that turns symbolic Tensors into others and can be replayed on other inputs (a Keras layer).
class Producer {
 public:
  virtual ~Producer() = default;
};

/// One application of an op, or of a producer, to Tensors.
struct Call {
  const ir::OpDef* op = nullptr;  // null: `producer`
  ir::Attrs attrs;
  std::vector<Tensor> inputs;
  std::shared_ptr<Producer> producer;
};

struct Node {
  std::optional<Literal> value;      // eager
  ir::Type type;                     // symbolic
  ir::SymbolicValue symbolic;        // symbolic small integer tensors
  std::shared_ptr<const Call> call;  // symbolic; null for an input
  int index = 0;                     // which output of the call
  std::int64_t scope = 0;            // the trace that made it; 0: none (keras::Input)
  std::string name;                  // of an input

  Node() = default;
  explicit Node(Literal v) : value(std::move(v)) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();  // releases long chains without recursion
};
using NodePtr = std::shared_ptr<const Node>;

inline const Node& NodeOf(const Tensor& t) {
  if (!t.defined())
    fail(Code::kInvalidArgument, "Tensor: undefined (default-made or moved from); give it a value first");
  return *t.node();
}
inline Tensor MakeEager(Literal value) { return Tensor(std::make_shared<const Node>(std::move(value))); }
/// A symbolic input of the present scope.
Tensor MakeSymbol(ir::Type type, std::string name, std::int64_t scope);
/// The type of an eager or symbolic Tensor.
ir::Type TypeOf(const Tensor& t);

}  // namespace tenon::eager
