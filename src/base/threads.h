// How many threads this process may use.
#pragma once

namespace tenon::base {

/// Processors that the process may run on, cut to what the cgroup's CPU quota grants (v2 cpu.max, v1 cfs quota; rounded
/// up), at least 1. Read once.
int DefaultThreads();

}  // namespace tenon::base
