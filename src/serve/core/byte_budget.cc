#include "serve/core/byte_budget.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::serve {

std::size_t ByteBudget::Room(std::size_t most) const {
  if (limit_ <= 0) return most;
  const std::int64_t room = std::max<std::int64_t>(0, limit_ - limit_ / 8 - used());
  return std::min(most, static_cast<std::size_t>(room));
}

Status ByteBudget::Refuse() const {
  if (refused_ != nullptr) refused_->Add();
  return Status(
      Code::kResourceExhausted,
      fmt::format("Request: the server holds {} bytes of requests and answers that are under way; its limit is {} "
                  "(--max_inflight_bytes): try again later",
                  used(), limit_));
}

Status ByteBudget::RefuseForEver() const {
  if (refused_ != nullptr) refused_->Add();
  return Status(Code::kResourceExhausted,
                fmt::format("Request: it takes more memory than the server has for any: {} bytes with the limit of {} "
                            "(--max_inflight_bytes); send less at a time, or raise the limit",
                            most(), limit_));
}

}  // namespace tenon::serve
