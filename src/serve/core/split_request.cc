#include "serve/core/split_request.h"

#include "serve/core/batch_tensors.h"

namespace tenon::serve {

void SplitRequest::Part(std::size_t at, Result<std::vector<Literal>> outputs) {
  {
    const std::lock_guard lock(mutex_);
    if (outputs.ok())
      parts_[at] = *std::move(outputs);
    else if (error_.ok())
      error_ = outputs.status();
    if (--missing_ > 0) return;
  }
  done_(error_.ok() ? Joined() : Result<std::vector<Literal>>(error_));
}

Result<std::vector<Literal>> SplitRequest::Joined() const {
  try {
    std::vector<Literal> joined;
    for (std::size_t i = 0; i < parts_[0].size(); ++i) {
      std::vector<const Literal*> pieces;
      for (const auto& part : parts_) pieces.push_back(&part[i]);
      Result<Literal> one = JoinRows(pieces, 0, false, "output");
      if (!one.ok()) return one.status();
      joined.push_back(*std::move(one));
    }
    return joined;
  } catch (const std::exception& error) {
    return NoMemoryForRows(error);
  }
}

}  // namespace tenon::serve
