// How many connections the process may have.
#pragma once

namespace tenon::serve {

/// Raises the process's soft limit of open files to its hard limit, as far as it may.
void RaiseOpenFileLimit();

}  // namespace tenon::serve
