// SplitRequest: a large request that runs in several batches.
#pragma once
#include <cstddef>
#include <mutex>
#include <vector>

#include "serve/core/servable.h"

namespace tenon::serve {

/// Answered when the last of its parts is: with their outputs one after the other, or the first error. Thread-safe.
class SplitRequest {
 public:
  SplitRequest(std::size_t parts, Servable::Done done) : missing_(parts), parts_(parts), done_(std::move(done)) {}
  /// The result of one part, each once.
  void Part(std::size_t at, Result<std::vector<Literal>> outputs);

 private:
  Result<std::vector<Literal>> Joined() const;
  std::mutex mutex_;
  std::size_t missing_;
  std::vector<std::vector<Literal>> parts_;  // their outputs
  Status error_;
  Servable::Done done_;
};

}  // namespace tenon::serve
