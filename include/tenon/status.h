// Status, Result<T>, Error: the one way in which a call fails.
#pragma once
#include <concepts>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#define TENON_API __attribute__((visibility("default")))

namespace tenon {

/// The canonical codes that gRPC and TensorFlow Serving speak, with their numbers.
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// "INVALID_ARGUMENT", …: the name as gRPC spells it.
TENON_API std::string_view code_name(Code code);

/// A code and a message. The message starts with the op or the file, says what was got, what was expected
/// and what to do. Costs no allocation when ok. A value; safe to copy between threads.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  /// The same code with `context` and ": " in front of the message; ok stays ok.
  Status with_context(std::string_view context) const {
    return ok() ? Status() : Status(code_, std::string(context) + ": " + message_);
  }
  friend bool operator==(const Status&, const Status&) = default;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

/// The only exception type: thrown by the eager facade and by Result::value().
class TENON_API Error : public std::runtime_error {
 public:
  explicit Error(Status status) : std::runtime_error(status.message()), status_(std::move(status)) {}
  const Status& status() const { return status_; }

 private:
  Status status_;
};

[[noreturn]] inline void fail(Code code, std::string message) { throw Error(Status(code, std::move(message))); }
[[noreturn]] inline void fail(Status status) { throw Error(std::move(status)); }

/// A T, or the Status that says why there is none. value() throws Error when there is none; value() of a
/// temporary returns by value, so that nothing taken from it can dangle.
template <class T>
class [[nodiscard]] Result {
 public:
  template <std::convertible_to<T> U = T>
    requires(!std::same_as<std::remove_cvref_t<U>, Status> && !std::same_as<std::remove_cvref_t<U>, Result>)
  Result(U&& value) : value_(std::forward<U>(value)) {}
  Result(Status error) : status_(std::move(error)) {
    if (status_.ok()) status_ = Status(Code::kInternal, "Result: made from an ok status without a value");
  }
  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  const T& value() const& {
    if (!ok()) throw Error(status_);
    return *value_;
  }
  T& value() & {
    if (!ok()) throw Error(status_);
    return *value_;
  }
  T value() && {
    if (!ok()) throw Error(status_);
    return *std::move(value_);
  }
  /// Unchecked access, after ok().
  const T& operator*() const& { return *value_; }
  T& operator*() & { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  const T* operator->() const { return &*value_; }
  T* operator->() { return &*value_; }

 private:
  Status status_;
  std::optional<T> value_;
};

template <>
class [[nodiscard]] Result<void> : public Status {
 public:
  Result(Status status = {}) : Status(std::move(status)) {}
  const Status& status() const { return *this; }
  void value() const {
    if (!ok()) throw Error(*this);
  }
};

}  // namespace tenon
