// What reading and writing Attention share.
#pragma once
#include <string_view>

namespace tenon::onnx {

/// What qk_matmul_output_mode 0 to 3 means in the op attention.
inline constexpr std::string_view kAttentionScores[] = {"product", "capped", "masked", "weights"};

}  // namespace tenon::onnx
