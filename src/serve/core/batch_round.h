// BatchRound: the requests that one I/O thread found together.
#pragma once
#include <memory>
#include <utility>
#include <vector>

namespace tenon::serve {

/// While a round is open, batching servables keep what its thread submits (where a batch takes a fraction of a
/// millisecond, Servable::joins) and run it when the batch is full or the round runs. Nobody waits for anybody: what is
/// joined was there already. One round at a time on a thread; used by that thread alone.
class BatchRound {
 public:
  /// What one queue has in the round.
  class Batch {
   public:
    virtual ~Batch() = default;
    virtual void Run() = 0;
  };

  BatchRound();   // opens
  ~BatchRound();  // runs what is kept, then closes
  BatchRound(const BatchRound&) = delete;
  BatchRound& operator=(const BatchRound&) = delete;
  /// This thread's open round, or nullptr.
  static BatchRound* Current();

  /// nullptr when nothing is kept for that queue.
  Batch* Find(const void* queue) const;
  /// Only where Find gives nullptr.
  Batch* Keep(const void* queue, std::unique_ptr<Batch> batch);
  /// The batch leaves the round; nullptr when there is none.
  std::unique_ptr<Batch> Take(const void* queue);
  /// Runs everything, also what is kept meanwhile.
  void Run();

 private:
  std::vector<std::pair<const void*, std::unique_ptr<Batch>>> kept_;
};

}  // namespace tenon::serve
