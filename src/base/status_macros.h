// Early return on a failed Status or Result.
#pragma once
#include "tenon/status.h"

#define TENON_CONCAT_TOKENS(a, b) a##b
#define TENON_CONCAT(a, b) TENON_CONCAT_TOKENS(a, b)

#define TENON_RETURN_IF_ERROR(expr)                                                                 \
  do {                                                                                              \
    if (auto tenon_status_ = (expr); !tenon_status_.ok()) return ::tenon::as_status(tenon_status_); \
  } while (false)

/// TENON_ASSIGN_OR_RETURN(auto x, f()): declares or assigns x from a Result, or returns its status.
#define TENON_ASSIGN_OR_RETURN(lhs, expr)                                                                 \
  auto TENON_CONCAT(tenon_result_, __LINE__) = (expr);                                                    \
  if (!TENON_CONCAT(tenon_result_, __LINE__).ok()) return TENON_CONCAT(tenon_result_, __LINE__).status(); \
  lhs = *std::move(TENON_CONCAT(tenon_result_, __LINE__))

namespace tenon {
inline const Status& as_status(const Status& s) { return s; }
template <class T>
const Status& as_status(const Result<T>& r) {
  return r.status();
}
}  // namespace tenon
