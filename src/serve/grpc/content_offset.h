// Where the values of a tensor lie in a PredictRequest, so that a transport can put them where they can be used in
// place.
#pragma once
#include <cstddef>
#include <string_view>

namespace tenon::serve::rpc {

/// `begin`: the first bytes of a PredictRequest, which may end anywhere. The offset of the first tensor_content or
/// packed float_val of at least 1 KB; 0 when these bytes show none.
std::size_t ContentOffset(std::string_view begin);

}  // namespace tenon::serve::rpc
