#include "serve/core/batch_round.h"

#include <algorithm>

namespace tenon::serve {
namespace {

thread_local BatchRound* current = nullptr;

}  // namespace

BatchRound::BatchRound() { current = this; }

BatchRound::~BatchRound() {
  Run();
  current = nullptr;
}

BatchRound* BatchRound::Current() { return current; }

BatchRound::Batch* BatchRound::Find(const void* queue) const {
  const auto it = std::ranges::find(kept_, queue, &decltype(kept_)::value_type::first);
  return it == kept_.end() ? nullptr : it->second.get();
}

BatchRound::Batch* BatchRound::Keep(const void* queue, std::unique_ptr<Batch> batch) {
  return kept_.emplace_back(queue, std::move(batch)).second.get();
}

std::unique_ptr<BatchRound::Batch> BatchRound::Take(const void* queue) {
  const auto it = std::ranges::find(kept_, queue, &decltype(kept_)::value_type::first);
  if (it == kept_.end()) return nullptr;
  std::unique_ptr<Batch> batch = std::move(it->second);
  kept_.erase(it);
  return batch;
}

void BatchRound::Run() {
  while (!kept_.empty()) Take(kept_.front().first)->Run();
}

}  // namespace tenon::serve
