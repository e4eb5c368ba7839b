#include "eager/seed.h"

#include "base/philox.h"
#include "eager/random.h"

namespace tenon::eager {

std::uint64_t NextSeed() {
  const Tensor drawn = NextRandomState();
  const Literal state = drawn.literal();
  const std::span<const std::uint64_t> words = state.data<std::uint64_t>();
  constexpr std::uint64_t kSeedStream = 0x736565642d68;  // apart from the draws of tensors
  return base::PhiloxStream(words[0], words[1] ^ (kSeedStream << 16)).Bits64();
}

}  // namespace tenon::eager
