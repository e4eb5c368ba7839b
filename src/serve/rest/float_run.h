// Many JSON numbers in a row, faster than one by one.
#pragma once

namespace tenon::serve {

/// Reads numbers that a comma follows, from `p` (the first byte of a number) on, and writes them behind `next`, which
/// moves with them: the values of ScanFloat. Stops in front of the first number that is not in a plain form, that no
/// comma follows, or that lies near `end`, and returns its first byte. A space after a comma is skipped. Takes nothing
/// on processors that it does not know.
const char* ScanFloatRun(const char* p, const char* end, float*& next);

/// What the processor has for it: 0 nothing, 1 SSE 4.1, 2 AVX-512 (BW, DQ, VL), 3 that with VBMI2.
int FloatRunLevel();
/// ScanFloatRun by a level of at most FloatRunLevel(): for tests.
const char* ScanFloatRunAt(int level, const char* p, const char* end, float*& next);

}  // namespace tenon::serve
