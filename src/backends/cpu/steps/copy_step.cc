#include <cstring>

#include "backends/cpu/steps/steps.h"

namespace tenon::cpu {
namespace {

class CopyStep : public runtime::Step {
 public:
  CopyStep(BufferId from, BufferId to, std::size_t bytes) : bytes_(bytes) {
    reads = {from};
    writes = {to};
  }
  Status Run(const runtime::StepContext& ctx) const override {
    std::memcpy(ctx.get<std::byte>(writes[0]), ctx.get<std::byte>(reads[0]), bytes_);
    return {};
  }
  std::string Describe() const override { return "copy " + std::to_string(bytes_) + " bytes"; }

 private:
  std::size_t bytes_;
};

}  // namespace

std::unique_ptr<runtime::Step> MakeCopyStep(BufferId from, BufferId to, std::size_t bytes) {
  return std::make_unique<CopyStep>(from, to, bytes);
}

}  // namespace tenon::cpu
