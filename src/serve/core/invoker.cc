#include "serve/core/invoker.h"

#include <exception>
#include <string>

#include "base/log.h"

namespace tenon::serve {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

/// The observers that want this run, with the inputs that they will see.
Invoker::Watch Invoker::Begin(const ServableHandle& handle, const Signature& signature,
                              const std::vector<Literal>& inputs) const {
  Watch watch;
  for (const auto& observer : observers_)
    if (observer->Wants(handle.id(), signature)) watch.interested.push_back(observer.get());
  if (!watch.interested.empty()) watch.inputs = inputs;
  watch.begun = Clock::now();
  return watch;
}

void Invoker::End(const Watch& watch, const ServableHandle& handle, const Signature& signature,
                  std::span<const int> wanted, const CallKind& call,
                  const Result<std::vector<Literal>>& outputs) const {
  metrics_->Run(handle.id(), signature.name, call.api, outputs.status().code(), Clock::now() - watch.begun);
  for (RunObserver* observer : watch.interested) {
    try {
      observer->Ran(handle, signature, watch.inputs, wanted, call, outputs);
    } catch (const std::exception& error) {  // no memory for a record: the answer is there all the same
      base::Log(base::LogLevel::kWarning, std::string("a run could not be observed: ") + error.what());
    }
  }
}

Result<std::vector<Literal>> Invoker::Run(const ServableHandle& handle, const Signature& signature,
                                          std::vector<Literal> inputs, std::span<const int> wanted, Deadline deadline,
                                          const CallKind& call) const {
  const Watch watch = Begin(handle, signature, inputs);
  Result<std::vector<Literal>> outputs = handle->Run(signature, std::move(inputs), wanted, deadline);
  if (Tracer& tracer = metrics_->tracer; tracer.active())
    tracer.AddOnThread("run " + handle.id().name + ":" + std::to_string(handle.id().version) + " " + signature.name,
                       watch.begun);
  End(watch, handle, signature, wanted, call, outputs);
  return outputs;
}

void Invoker::RunAsync(const ServableHandle& handle, const Signature& signature, std::vector<Literal> inputs,
                       std::span<const int> wanted, Patience patience, const CallKind& call,
                       Servable::Done done) const {
  Watch watch = Begin(handle, signature, inputs);
  handle->RunAsync(
      signature, std::move(inputs), wanted, std::move(patience),
      [this, watch = std::move(watch), handle, &signature, call, done = std::move(done),
       positions = std::vector<int>(wanted.begin(), wanted.end())](Result<std::vector<Literal>> outputs) mutable {
        End(watch, handle, signature, positions, call, outputs);
        done(std::move(outputs));
      });
}

}  // namespace tenon::serve
