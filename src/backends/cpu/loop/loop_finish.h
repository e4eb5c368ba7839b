// The last steps of building a loop: peephole, direct stores, register file, parts.
#pragma once
#include "backends/cpu/loop/loop_program.h"

namespace tenon::cpu {

/// `operations`: a measure of the work for one element.
void FinishLoop(LoopProgram& program, int operations);

}  // namespace tenon::cpu
