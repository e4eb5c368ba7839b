#include "runtime/ports.h"

#include <algorithm>

#include "tensor/sole_owner.h"

namespace tenon::runtime {

const Literal& EmptyLiteral() {
  static const Literal kEmpty;
  return kEmpty;
}

Status CheckDonations(const std::vector<Donation>& donations, std::size_t num_inputs, std::size_t num_outputs) {
  for (std::size_t i = 0; i < donations.size(); ++i) {
    const Donation& d = donations[i];
    if (d.input < 0 || static_cast<std::size_t>(d.input) >= num_inputs || d.output < 0 ||
        static_cast<std::size_t>(d.output) >= num_outputs)
      return Status(Code::kInvalidArgument, "compile: donation of input " + std::to_string(d.input) + " to output " +
                                                std::to_string(d.output) + ", there are " + std::to_string(num_inputs) +
                                                " inputs and " + std::to_string(num_outputs) + " outputs");
    for (std::size_t k = 0; k < i; ++k)
      if (donations[k].input == d.input || donations[k].output == d.output)
        return Status(Code::kInvalidArgument, "compile: input " + std::to_string(d.input) + " or output " +
                                                  std::to_string(d.output) + " stands in two donations");
  }
  return {};
}

bool MayOverwrite(const Literal& literal, DType dtype, std::span<const std::int64_t> dims) {
  return literal.dtype() == dtype && dtype != DType::kString && std::ranges::equal(literal.dims(), dims) &&
         IsSoleOwner(literal.buffer());
}

}  // namespace tenon::runtime
