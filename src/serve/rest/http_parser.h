// HTTP/1.x requests from bytes.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::serve {

/// The limits of what a client may send; beyond them the request is refused.
struct HttpLimits {
  std::size_t head_bytes = 64 << 10;              // request line and headers: 431
  std::size_t headers = 128;                      // 431
  std::size_t body_bytes = std::size_t{1} << 30;  // after the chunks are joined: 413
};

/// A complete request. All views are into the bytes given to the parser, except a chunked body, which is the parser's.
struct HttpRequest {
  struct Header {
    std::string_view name, value;  // the value without surrounding spaces
  };
  std::string_view method;  // GET, POST, HEAD, PUT, DELETE, OPTIONS or PATCH
  std::string_view target;  // path and query; an absolute URL is cut down to them
  std::vector<Header> headers;
  std::string_view body;
  bool keep_alive = true;
  std::string_view peer = {};  // the client's address as text, without its port; empty when unknown

  /// The value of the first header of that name (any case); a null view when there is none.
  std::string_view header(std::string_view name) const;
};

/// Reads one request after the other from a connection. Not thread-safe.
class HttpParser {
 public:
  enum class State {
    kMore,      // more bytes are needed
    kComplete,  // request() is valid as long as the bytes given stay where they are
    kError,     // error_status() says which; nothing more can be read from this connection
  };
  explicit HttpParser(HttpLimits limits) : limits_(limits) {}

  /// `input` is what was received and not yet consumed; at each call it begins at the same byte, with more at its end
  /// (and may have moved). What was already looked at is not looked at again.
  State Parse(std::string_view input);
  const HttpRequest& request() const { return request_; }
  /// What every request of this connection says of its client; must outlive the parser.
  void SetPeer(std::string_view peer) { request_.peer = peer; }
  /// Bytes of the input that the complete request took.
  std::size_t consumed() const { return consumed_; }
  /// The bytes of the complete request have moved: the views of request() follow. `input` begins at the same byte.
  void Moved(std::string_view input);
  /// The bytes of the complete request will go: its head is kept in `head`, which must outlive the request. The body
  /// stays where it is.
  void KeepHead(std::string& head);
  /// Forgets the request; the next Parse begins at the byte after it.
  void Next();

  /// The client waits for "100 Continue" before it sends the body. Says so once a request.
  bool TakeContinue();
  /// Some bytes of a request are there, but not all.
  bool in_request() const { return begun_; }
  bool head_done() const { return stage_ != Stage::kHead; }
  /// What the request says to have in all, head and body; 0 while its head is not read, the most for chunks.
  std::size_t expected() const {
    if (stage_ == Stage::kHead) return 0;
    return stage_ == Stage::kFixedBody ? head_ + static_cast<std::size_t>(left_) : SIZE_MAX;
  }
  /// Bytes of memory that the body takes beside the input.
  std::size_t held() const { return chunks_.capacity(); }
  /// 400, 413, 414, 417, 431, 501 or 505.
  int error_status() const { return error_; }

 private:
  enum class Stage { kHead, kFixedBody, kChunkSize, kChunkData, kChunkEnd, kTrailers };
  State Fail(int status) {
    error_ = status;
    return State::kError;
  }
  State ParseHead(std::string_view input);
  bool ParseRequestLine(std::string_view line);
  bool ParseHeader(std::string_view line);
  void MoveHead(const char* to);
  bool Framing();
  State ParseChunks(std::string_view input);
  State Complete(std::string_view input, std::size_t consumed);

  const HttpLimits limits_;
  HttpRequest request_;
  Stage stage_ = Stage::kHead;
  const char* base_ = nullptr;  // where the views of request_ point to
  std::size_t scanned_ = 0;     // bytes of the head already searched for its end
  std::size_t start_ = 0;       // of the request line, after empty lines
  std::size_t head_ = 0;        // bytes up to the body
  std::size_t at_ = 0;          // next byte of a chunked body
  std::uint64_t left_ = 0;      // of a fixed body or of the current chunk
  std::string chunks_;
  std::size_t trailer_bytes_ = 0;
  std::size_t consumed_ = 0;
  int minor_ = 1;
  bool begun_ = false;
  bool expect_ = false;
  int error_ = 400;
};

}  // namespace tenon::serve
