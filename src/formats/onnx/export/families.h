// The tables of export/*.cc, one for each family.
#pragma once
#include "formats/onnx/export/exporter.h"

namespace tenon::onnx {

extern const std::span<const ExportRow> kExportElementwise, kExportShape, kExportIndex, kExportReduce, kExportWindow,
    kExportNorm, kExportControl, kExportVision, kExportData, kExportAttention;

}  // namespace tenon::onnx
