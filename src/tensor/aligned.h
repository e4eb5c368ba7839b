// Weights that lie in a mapped file at an address that is no multiple of their elements' size. Such a Literal is a
// view: its bytes (raw, at) may be read where they lie; whoever wants them typed (data<T>) takes Aligned() first. Only
// formats make such views, only of large weights, and only op evaluation and plans read them.
#pragma once
#include "tenon/types.h"

namespace tenon {

bool IsAligned(const Literal& literal);
/// The literal itself, or a copy at an address that its elements may have. Throws kResourceExhausted without memory.
Literal Aligned(const Literal& literal);

}  // namespace tenon
