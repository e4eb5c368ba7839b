// The bytes of gRPC over HTTP/2 that are not HTTP/2's.
//
//   request    HEADERS :method POST, :path /SERVICE/METHOD, content-type application/grpc[+…], te trailers,
//              grpc-timeout TIME, grpc-encoding NAME; DATA: messages
//   response   HEADERS :status 200, content-type; DATA: messages; HEADERS grpc-status N, grpc-message TEXT
//              An error without messages is one HEADERS with the fields of both.
//   message    1 byte: 1 when compressed by grpc-encoding, else 0; 4 bytes, big-endian: its size; its bytes
//   TIME       1 to 8 digits and a unit: H M S m u n
//   TEXT       UTF-8 whose bytes outside 0x20 to 0x7E, and '%', are written %XX
// A message may lie across DATA frames, and a frame may hold several.
//
// Source: github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serve/core/byte_budget.h"
#include "tenon/status.h"

namespace tenon::serve::http2 {

inline constexpr std::size_t kMessageHead = 5;

/// The head of a message that is not compressed. `size` is below 2^32.
void WriteMessageHead(std::size_t size, char to[kMessageHead]);

/// nullopt for what is no TIME.
std::optional<std::chrono::nanoseconds> ParseTimeout(std::string_view text);

std::string PercentEncoded(std::string_view text);

/// Puts the messages of one stream together. Memory grows with what has come: a size that is only claimed takes at most
/// kTrusted bytes, and ByteBudget::kSmall when many bytes are under way.
class MessageReader {
 public:
  static constexpr std::size_t kTrusted = std::size_t{1} << 20;

  /// The next message's byte at `offset` will lie at a multiple of 64 in memory. To be called before its bytes come.
  void AlignAt(std::size_t offset) { align_at_ = offset; }
  /// Nothing of a message has come since Begin.
  bool fresh() const { return head_filled_ == 0; }

  /// For a new stream. `limit`: bytes of a message; below 0: none. `budget` (may be null) counts what is held, for as
  /// long as an owner() lives.
  void Begin(std::int64_t limit, ByteBudget* budget = nullptr);

  /// Takes bytes from the front of `in`, up to the end of the next message. True when it is there: bytes() until the
  /// next call. kResourceExhausted for a message beyond the limit or the budget (from the head on, when it would never
  /// fit), kInternal for a head that is none.
  Result<bool> Take(std::string_view& in);

  std::string_view bytes() const { return {data_.get() + pad_, filled_}; }
  /// Keeps bytes() alive.
  std::shared_ptr<const void> owner() const { return data_; }
  bool compressed() const { return head_[0] == 1; }
  /// A message has begun and has not come to its end.
  bool in_message() const { return head_filled_ > 0 && !complete_; }
  /// Gives the memory back.
  void Clear();

 private:
  Status ReadHead();
  Status Allocate(std::size_t capacity);

  std::int64_t limit_ = -1;
  ByteBudget* budget_ = nullptr;
  char head_[kMessageHead] = {};
  std::size_t head_filled_ = 0;
  std::shared_ptr<char[]> data_;
  std::size_t capacity_ = 0, filled_ = 0, size_ = 0, align_at_ = 0;
  std::size_t pad_ = 0;  // unused bytes in front of the message
  bool complete_ = false;
};

/// The message behind a compressed one; `encoding` is the stream's grpc-encoding. kUnimplemented for one that is not
/// known, kInternal for bytes that it did not make, kResourceExhausted for more than `limit` bytes (below 0: 2 GiB) or
/// than `held` (if any) may grow to; it counts the result afterwards.
Result<std::string> Decompress(std::string_view bytes, std::string_view encoding, std::int64_t limit,
                               HeldBytes* held = nullptr);

}  // namespace tenon::serve::http2
