// Input: the examples of Classify, Regress and MultiInference requests.
//
//   Input                   example_list 1 or example_list_with_context 2
//   ExampleList             examples 1, repeated Example
//   ExampleListWithContext  examples 1, repeated Example; context 2, an Example
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "formats/proto_wire/wire_reader.h"

namespace tenon::serve::rpc {

/// The serialized examples, each with the context in front, so that the example's own features win: kInvalidArgument
/// when that takes too much memory (CheckContext). Whether they are Examples is seen by the model.
Status ParseInput(std::string_view bytes, const proto_wire::Place& place, std::vector<std::string>* examples);

}  // namespace tenon::serve::rpc
