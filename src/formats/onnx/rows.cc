#include <array>

#include "formats/onnx/ops/families.h"

namespace tenon::onnx {

std::span<const std::span<const OpRow>> RowFamilies() {
  static const std::array kAll = {
      kElementwiseRows, kActivationRows,       kTypeRows,      kShapeRows,    kSliceRows,
      kIndexRows,       kReduceRows,           kDotRows,       kConvRows,     kPoolRows,
      kNormRows,        kBranchRows,           kControlRows,   kSequenceRows, kQuantizeRows,
      kResizeRows,      kRecurrentRows,        kAttentionRows, kLossRows,     kMathRows,
      kContribRows,     kContribQuantizedRows, kVisionRows,    kStateRows,    kContribAttentionRows,
      kTextRows,        kRandomRows,           kMlRows,        kMlMapRows,    kMlTreeRows,
      kMlSvmRows,       kTrainingRows};
  return kAll;
}

}  // namespace tenon::onnx
