// Guarded: work for a request that may throw.
#pragma once
#include <exception>
#include <new>

#include "tenon/status.h"

namespace tenon::serve {

/// What `answer` gives, or the error that it throws. Its result is a Status or can be made from one.
template <class Answer>
auto Guarded(const Answer& answer) -> decltype(answer()) {
  try {
    return answer();
  } catch (const Error& error) {
    return error.status();
  } catch (const std::bad_alloc&) {
    return Status(Code::kResourceExhausted, "Request: no memory to answer it");
  } catch (const std::exception& error) {
    return Status(Code::kInternal, std::string("Request: ") + error.what());
  }
}

}  // namespace tenon::serve
