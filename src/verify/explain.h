// What two nodes do differently, in words.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "verify/match.h"

namespace tenon::verify {

/// What people call a value: its own name, else that of the first named value that is made of it (an operator of a file
/// may be several of our nodes), else "#<node> <op>". `node` is the source format's name of the node.
struct Layer {
  std::string value, node;
};
class Layers {
 public:
  explicit Layers(const ir::Function& function);
  const Layer& operator()(ir::Value v) const { return layers_.at(v); }

 private:
  std::unordered_map<ir::Value, Layer, ir::ValueHash> layers_;
};

/// Differences of the two nodes that make a pair of values: op, attributes, shape, operands (weights by their
/// elements), one line each. Empty when nodes and operands are the same.
struct Named {
  const ir::Function& function;
  const Layers& layers;
};
std::vector<std::string> Explain(const Named& expected, ir::Value a, const Named& got, ir::Value b,
                                 const Matches& matches);

}  // namespace tenon::verify
