// Ops that only the compiler makes: what fusion leaves. They have records like all ops (so they infer, evaluate and
// print), but stand in no table: importers, users and the text parser do not know them.
#pragma once
#include "ir/op_def.h"

namespace tenon::compiler {

/// gemm(x, y, c?, bias?, factor?): z = act(alpha * factor * x' y' + beta * c + bias). x' is [..., m, k] and y' [..., k,
/// n] with equal leading dims (x and y themselves, or with the last two axes swapped when transpose_x / transpose_y); c
/// has the shape of z; bias is [n]; factor is one element. Attributes transpose_x, transpose_y, alpha, beta, activation
/// ("" or the name of an elementwise op with one input).
const ir::OpDef& GemmOp();

/// fused_conv(x, kernel, bias?): act(conv(x, kernel) + bias), bias one element an output channel. The attributes of
/// conv, and activation as for gemm.
const ir::OpDef& FusedConvOp();

/// fused_loop(inputs…) -> outputs…: the closed graph `body`, all of whose nodes are elementwise, broadcasting or
/// reductions over one index space: dims [0, batch_rank) of `space` are the batch, [batch_rank, row_rank) the rows, the
/// rest the columns (row_rank -1: no reductions, any split).
const ir::OpDef& FusedLoopOp();

}  // namespace tenon::compiler
