// For tests: the code of the error that a function throws.
#pragma once
#include <functional>

#include "tenon/status.h"

namespace tenon {

/// kOk when it throws nothing.
inline Code CodeOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.status().code();
  }
  return Code::kOk;
}

}  // namespace tenon
