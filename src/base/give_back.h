// GiveBack: the memory of a container that is not needed any more.
#pragma once

namespace tenon::base {

/// Empties a string or a vector and frees its memory. `container = {}` empties it alone: an assignment of few elements
/// goes into the memory that is there.
template <class Container>
void GiveBack(Container& container) {
  Container().swap(container);
}

}  // namespace tenon::base
