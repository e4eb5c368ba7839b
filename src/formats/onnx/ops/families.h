// The tables of ops/*.cc, one for each family.
#pragma once
#include "formats/onnx/node_context.h"

namespace tenon::onnx {

extern const std::span<const OpRow> kElementwiseRows, kActivationRows, kTypeRows, kShapeRows, kSliceRows, kIndexRows,
    kReduceRows, kDotRows, kConvRows, kPoolRows, kNormRows, kResizeRows, kRecurrentRows, kBranchRows, kControlRows,
    kSequenceRows, kQuantizeRows, kMathRows, kLossRows, kAttentionRows, kContribRows, kContribQuantizedRows,
    kVisionRows, kStateRows, kContribAttentionRows, kTextRows, kRandomRows, kMlRows, kMlMapRows, kMlTreeRows,
    kMlSvmRows, kTrainingRows;

}  // namespace tenon::onnx
