// Promotion: the dtype that the public functions give their inputs. Ops never promote; these do, by Keras 3's rules
// (keras.backend.result_type): bool < integers < floats < complex; i64 with f32 gives f32; i8 with u8 gives i16; u64
// with a signed integer and bf16 with f16 give f32. C++ numbers are weak (eager::Weak) and never widen a Tensor.
#pragma once
#include <span>
#include <vector>

#include "eager/dispatch.h"
#include "ir/op_def.h"

namespace tenon::eager {

/// The smallest dtype that holds both. Throws kInvalidArgument for a string, an f8 or a 4-bit integer with another
/// dtype.
DType PromotedType(DType a, DType b);

/// The inputs as `op` wants them: those of one type variable in one dtype, and for an elementwise op in one that it
/// takes (integers become f32 for exp, bools i32 for add; divide takes integers as f32). Undefined ones stay.
std::vector<Tensor> PromoteFor(const ir::OpDef& op, std::span<const Tensor> inputs);
/// PromoteFor, then Apply: what every function of ops.h does.
std::vector<Tensor> CallOp(const ir::OpDef& op, std::span<const Tensor> inputs, ir::Attrs attrs);

}  // namespace tenon::eager
