#include "serve/grpc_http2/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "base/gzip.h"

namespace tenon::serve::http2 {

void WriteMessageHead(std::size_t size, char to[kMessageHead]) {
  to[0] = 0;
  for (int i = 0; i < 4; ++i) to[1 + i] = static_cast<char>(size >> (24 - 8 * i) & 0xFF);
}

std::optional<std::chrono::nanoseconds> ParseTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  switch (text.back()) {
    case 'H':
      return std::chrono::hours(std::min<std::int64_t>(value, 1'000'000));  // more does not fit into nanoseconds
    case 'M':
      return std::chrono::minutes(value);
    case 'S':
      return std::chrono::seconds(value);
    case 'm':
      return std::chrono::milliseconds(value);
    case 'u':
      return std::chrono::microseconds(value);
    case 'n':
      return std::chrono::nanoseconds(value);
    default:
      return std::nullopt;
  }
}

std::string PercentEncoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c >= 0x20 && c <= 0x7E && c != '%')
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

void MessageReader::Begin(std::int64_t limit, ByteBudget* budget) {
  Clear();
  limit_ = limit;
  budget_ = budget;
}

void MessageReader::Clear() {
  data_.reset();
  head_filled_ = capacity_ = filled_ = size_ = align_at_ = pad_ = 0;
  head_[0] = 0;
  complete_ = false;
}

Status MessageReader::ReadHead() {
  if (head_[0] != 0 && head_[0] != 1)
    return Status(Code::kInternal, fmt::format("Request: a message begins with {}, expected 0 or 1",
                                               static_cast<unsigned char>(head_[0])));
  size_ = 0;
  for (std::size_t i = 1; i < kMessageHead; ++i) size_ = size_ << 8 | static_cast<unsigned char>(head_[i]);
  if (limit_ >= 0 && size_ > static_cast<std::size_t>(limit_))
    return Status(Code::kResourceExhausted, fmt::format("Received message larger than max ({} vs. {})", size_, limit_));
  if (budget_ != nullptr && size_ > budget_->most()) return budget_->RefuseForEver();
  return Allocate(std::min(size_, budget_ == nullptr || budget_->easy() ? kTrusted : ByteBudget::kSmall));
}

/// Room for the message, with what has come of it.
Status MessageReader::Allocate(std::size_t capacity) {
  constexpr std::size_t kAlignment = 64;
  const std::size_t bytes = capacity + (align_at_ > 0 ? kAlignment : 0);
  if (budget_ != nullptr && !budget_->Admits(size_, bytes)) return budget_->Refuse();
  std::shared_ptr<char[]> data = std::allocate_shared_for_overwrite<char[]>(BudgetAllocator<char>(budget_), bytes);
  const std::size_t pad =
      align_at_ > 0 ? (0 - reinterpret_cast<std::uintptr_t>(data.get()) - align_at_) % kAlignment : 0;
  if (filled_ > 0) std::memcpy(data.get() + pad, data_.get() + pad_, filled_);
  data_ = std::move(data);
  pad_ = pad;
  capacity_ = capacity;
  return {};
}

Result<bool> MessageReader::Take(std::string_view& in) {
  if (complete_) Clear();
  if (head_filled_ < kMessageHead) {
    const std::size_t n = std::min(in.size(), kMessageHead - head_filled_);
    std::memcpy(head_ + head_filled_, in.data(), n);
    head_filled_ += n;
    in.remove_prefix(n);
    if (head_filled_ < kMessageHead) return false;
    if (Status s = ReadHead(); !s.ok()) return s;
  }
  const std::size_t n = std::min(in.size(), size_ - filled_);
  if (filled_ + n > capacity_)
    if (Status s = Allocate(std::min(size_, std::max(2 * capacity_, filled_ + n))); !s.ok()) return s;
  if (n > 0) std::memcpy(data_.get() + pad_ + filled_, in.data(), n);
  filled_ += n;
  in.remove_prefix(n);
  complete_ = filled_ == size_;
  return complete_;
}

Result<std::string> Decompress(std::string_view bytes, std::string_view encoding, std::int64_t limit, HeldBytes* held) {
  if (encoding != "gzip" && encoding != "deflate") {
    if (encoding.empty() || encoding == "identity")
      return Status(Code::kInternal, "Request: a compressed message came without grpc-encoding");
    return Status(Code::kUnimplemented,
                  fmt::format("Request: compression algorithm '{}' is not known; gzip and deflate are", encoding));
  }
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  const auto most = static_cast<std::size_t>(limit < 0 ? kMost : std::min(limit, kMost));
  Result<std::string> out = base::Gunzip(std::as_bytes(std::span(bytes)), "Request", most,
                                         [&](std::size_t all) { return held == nullptr ? Status() : held->Grow(all); });
  if (held != nullptr) held->Set(out.ok() ? out->capacity() : 0);
  if (!out.ok() && out.status().code() != Code::kResourceExhausted)
    return Status(Code::kInternal, std::string(out.status().message()));
  return out;
}

}  // namespace tenon::serve::http2
