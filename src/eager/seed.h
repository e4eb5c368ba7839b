// Seeds for what draws outside of graphs: datasets, shuffles.
#pragma once
#include <cstdint>

namespace tenon::eager {

/// A seed from the global generator, which random::set_random_seed restarts. Any thread. Throws kFailedPrecondition
/// under tracing.
std::uint64_t NextSeed();

}  // namespace tenon::eager
