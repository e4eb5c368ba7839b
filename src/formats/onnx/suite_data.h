// The test data of the ONNX backend suite: files input_0.pb, output_0.pb, … beside a model.onnx.
//
// Each file holds one message whose kind follows from the declared type of the input or output:
//   TensorProto
//   SequenceProto { string name = 1; int32 elem_type = 2; repeated TensorProto = 3, SparseTensorProto = 4,
//                   SequenceProto = 5, MapProto = 6, OptionalProto = 7 }
//   OptionalProto { string name = 1; int32 elem_type = 2; TensorProto = 3, SparseTensorProto = 4, SequenceProto = 5,
//                   MapProto = 6, OptionalProto = 7 }
// elem_type: 1 tensor, 2 sparse tensor, 3 sequence, 4 map, 5 optional.
#pragma once
#include <string>
#include <vector>

#include "formats/onnx/model.h"
#include "ir/eval.h"

namespace tenon::onnx {

/// Reads one file as a value of the declared type. Tensors, sequences and optionals of them; kUnimplemented for others.
Result<ir::Datum> ReadTestValue(const std::string& path, const TypeProto& type);

/// How the suite compares: shapes and dtypes equal, texts equal, numbers within absolute + relative * |wanted| (NaN
/// and infinities where the other has them; bfloat16 at least two of its units).
struct TestTolerance {
  double relative = 1e-3, absolute = 1e-7;
};
/// The first difference between values, or an empty text.
std::string TestDifference(const ir::Datum& got, const ir::Datum& wanted, TestTolerance tolerance);

}  // namespace tenon::onnx
