// The bodies that nodes stand in (the main graph, library functions) with their edges resolved.
#pragma once
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/savedmodel/graph_def.h"
#include "ir/graph.h"

namespace tenon::savedmodel {

/// An input of a node: an argument of the function, or an output of a node (flattened: the outputs of all output
/// arguments in a row). Both negative: the name does not exist.
struct Ref {
  int node = -1;
  int arg = -1;
  int output = 0;
  bool control = false;
};

/// A loop of TF1: the nodes around one LoopCond.
struct Frame {
  struct Variable {
    int enter = -1, merge = -1, loop_switch = -1;
    Ref next;  // what NextIteration takes
    std::vector<int> exits;
  };
  std::vector<Variable> variables;
  std::vector<int> constants;  // Enter nodes of values that stay
  Ref condition;               // what LoopCond takes
  std::vector<Ref> outer;      // what the Enter nodes take: variables, then constants
  std::string problem;         // why it is no loop that we know; empty when it is
};

/// The main graph or a library function, indexed. Its edges are resolved once; it is immutable afterwards.
struct Body {
  const std::vector<NodeDef>* nodes = nullptr;
  const FunctionDef* function = nullptr;  // null for the main graph
  std::unordered_map<std::string_view, int> index;
  std::unordered_map<std::string_view, int> args;
  std::vector<std::vector<Ref>> inputs;  // of each node; data first, in order
  std::vector<std::uint8_t> effect;      // of each node: it or something before it writes state
  bool has_effect = false;               // any node has
  std::vector<Frame> frames;
  std::unordered_map<int, std::size_t> frame_of_exit;

  /// "node", "node:k", "^node"; in a function "arg", "node:out:k", "^node".
  Ref Find(std::string_view input) const;
};

/// The functions of a graph by name, indexed on first use. Not thread-safe.
class Library {
 public:
  explicit Library(const GraphDef& graph);
  const Body& main();
  /// Null when there is none.
  const Body* Find(std::string_view function);

 private:
  std::unique_ptr<Body> Index(const std::vector<NodeDef>& nodes, const FunctionDef* function);
  bool NodeHasEffect(const NodeDef& node);
  const GraphDef& graph_;
  std::unordered_map<std::string_view, const FunctionDef*> functions_;
  std::unordered_map<std::string_view, std::unique_ptr<Body>> bodies_;
  std::unique_ptr<Body> main_;
  int depth_ = 0;
};

/// The position of the first output of an output argument: ("FusedBatchNormV3", "batch_mean") -> 1. 0 for the one
/// output argument of an op that has no other. -1 when an op of several has none of that name.
int OutputOffset(const NodeDef& node, std::string_view argument);

struct PendingList;

/// What an edge carries at translation time.
struct Slot {
  enum class Kind {
    kNone,       // nothing: the node could not be translated
    kTensor,     // a value of the graph that is built
    kResource,   // a variable or table by its handle
    kReference,  // the same, of TF1: a tensor when it is read
    kRestored,   // a tensor of the checkpoint, while the restore graph is walked
    kList,       // a TensorList, held as one tensor with the items along axis 0
    kArray,      // the handle of a TF1 TensorArray (`pending` says of what); its items travel with the flow
    kSumTo,      // axes for Sum that depend on a dim of run time: sum to the shape of `value`
  };
  Kind kind = Kind::kNone;
  ir::Value value;
  int cell = -1;                               // of a resource or reference
  std::string key, spec;                       // of a restored tensor: its name, and "shape start,length:…" of a slice
  std::shared_ptr<const PendingList> pending;  // of a list without a value
  std::vector<std::pair<ir::Value, bool>> guards;  // of TF1: the Switches behind which it stands, and the side
};

/// One evaluation of a body.
struct Scope {
  const Body* body = nullptr;
  std::vector<Slot> args;
  std::vector<std::vector<Slot>> results;  // by node; empty while not translated
  std::vector<std::uint8_t> done;
  std::unordered_map<std::int64_t, Slot> fed;  // node << 16 | output
  std::string prefix;                          // of value names
};

}  // namespace tenon::savedmodel
