#include "serve/core/invoker.h"

namespace tenon::serve {

Result<std::vector<Literal>> Invoker::Run(const ServableHandle& handle, const Signature& signature,
                                          std::vector<Literal> inputs, std::span<const int> wanted, Deadline deadline,
                                          const CallKind& call) const {
  using Clock = std::chrono::steady_clock;
  std::vector<RunObserver*> interested;
  for (const auto& observer : observers_)
    if (observer->Wants(handle.id(), signature)) interested.push_back(observer.get());
  std::vector<Literal> kept;
  if (!interested.empty()) kept = inputs;
  const Clock::time_point begun = Clock::now();
  Result<std::vector<Literal>> outputs = handle->Run(signature, std::move(inputs), wanted, deadline);
  metrics_->Run(handle.id(), signature.name, call.api, outputs.status().code(), Clock::now() - begun);
  for (RunObserver* observer : interested) observer->Ran(handle, signature, kept, wanted, outputs);
  return outputs;
}

}  // namespace tenon::serve
