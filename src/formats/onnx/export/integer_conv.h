// Convolutions of i32 numbers in ONNX, whose Conv takes floats and whose ConvInteger takes bytes.
#pragma once
#include <vector>

#include "formats/onnx/export/exporter.h"

namespace tenon::onnx {

/// Writes a conv of i32 numbers with channels first and an OI kernel. Of bytes, each less a zero point or not, it is
/// ConvInteger. Other numbers are added up as f32 where that is exact, else as f64: right as long as the sums fit in
/// i32; where ours wrap around, the cast back is undefined in ONNX.
Status WriteIntegerConv(OpWriter& w, std::vector<Attribute> attributes);

}  // namespace tenon::onnx
