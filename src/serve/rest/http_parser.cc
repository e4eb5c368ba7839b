// The bytes (RFC 9112):
//   request-line  = method SP target SP "HTTP/1." DIGIT CRLF
//   header        = name ":" spaces value spaces CRLF      (no line folding)
//   empty line, then the body: Content-Length bytes, or with "Transfer-Encoding: chunked"
//   chunk         = hex-size [";" anything] CRLF data CRLF, ending with a chunk of size 0, trailers and an empty line
// A bare LF ends a line as well. Empty lines before the request line are skipped.
#include "serve/rest/http_parser.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/give_back.h"

namespace tenon::serve {
namespace {

constexpr std::array<bool, 256> MakeTokenBytes() {
  std::array<bool, 256> token{};
  for (int c = '0'; c <= '9'; ++c) token[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) token[static_cast<std::size_t>(c)] = token[static_cast<std::size_t>(c - 32)] = true;
  for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
    token[static_cast<unsigned char>(c)] = true;
  return token;
}
constexpr std::array<bool, 256> kTokenBytes = MakeTokenBytes();

bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return kTokenBytes[static_cast<unsigned char>(c)]; });
}

bool EqualsNoCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return low(x) == low(y);
  });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Whether a comma list holds the word.
bool ListHas(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (EqualsNoCase(Trim(list.substr(0, comma)), word)) return true;
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
  return false;
}

bool IsMethod(std::string_view m) {
  return m == "GET" || m == "POST" || m == "HEAD" || m == "PUT" || m == "DELETE" || m == "OPTIONS" || m == "PATCH";
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const Header& h : headers)
    if (EqualsNoCase(h.name, name)) return h.value;
  return {};
}

HttpParser::State HttpParser::Parse(std::string_view input) {
  if (stage_ == Stage::kHead) {
    if (const State s = ParseHead(input); s != State::kComplete) return s;
  } else {
    Moved(input);
  }
  if (stage_ != Stage::kFixedBody) return ParseChunks(input);
  if (input.size() - head_ < left_) return State::kMore;
  request_.body = input.substr(head_, static_cast<std::size_t>(left_));
  return Complete(input, head_ + static_cast<std::size_t>(left_));
}

void HttpParser::MoveHead(const char* to) {
  const auto move = [&](std::string_view& view) { view = {to + (view.data() - base_), view.size()}; };
  move(request_.method);
  move(request_.target);
  for (HttpRequest::Header& h : request_.headers) {
    move(h.name);
    move(h.value);
  }
  base_ = to;
}

void HttpParser::Moved(std::string_view input) {
  if (input.data() == base_) return;
  MoveHead(input.data());
  if (stage_ == Stage::kFixedBody) request_.body = input.substr(head_, request_.body.size());
}

void HttpParser::KeepHead(std::string& head) {
  head.assign(base_, head_);
  MoveHead(head.data());
}

/// kComplete: the head has been read, and stage_ says what kind of body follows.
HttpParser::State HttpParser::ParseHead(std::string_view input) {
  while (start_ < input.size() && (input[start_] == '\r' || input[start_] == '\n')) {
    if (++start_ > 16) return Fail(400);
  }
  scanned_ = std::max(scanned_, start_);
  if (start_ == input.size()) return State::kMore;
  begun_ = true;
  // The end: an empty line.
  std::size_t end = std::string_view::npos;
  for (std::size_t at = scanned_; (at = input.find('\n', at)) != std::string_view::npos; ++at) {
    if (at > start_ && input[at - 1] == '\n') end = at + 1;
    if (at > start_ + 1 && input[at - 1] == '\r' && input[at - 2] == '\n') end = at + 1;
    if (end != std::string_view::npos) break;
    scanned_ = at + 1;
  }
  if (end == std::string_view::npos ? input.size() - start_ > limits_.head_bytes : end - start_ > limits_.head_bytes)
    return Fail(input.substr(start_, limits_.head_bytes).find('\n') == std::string_view::npos ? 414 : 431);
  if (end == std::string_view::npos) return State::kMore;

  request_.headers.clear();
  base_ = input.data();
  head_ = end;
  std::string_view rest = input.substr(start_, end - start_);
  bool first = true;
  for (;;) {
    const std::size_t newline = rest.find('\n');  // there is one: the head ends with it
    std::string_view line = rest.substr(0, newline);
    rest.remove_prefix(newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) break;
    if (first ? !ParseRequestLine(line) : !ParseHeader(line)) return State::kError;
    first = false;
  }
  return Framing() ? State::kComplete : State::kError;
}

bool HttpParser::ParseRequestLine(std::string_view line) {
  error_ = 400;
  const std::size_t a = line.find(' '), b = line.rfind(' ');
  if (a == std::string_view::npos || a == b) return false;
  request_.method = line.substr(0, a);
  request_.target = line.substr(a + 1, b - a - 1);
  const std::string_view version = line.substr(b + 1);
  if (!IsToken(request_.method)) return false;
  for (const char c : request_.target)
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return false;
  if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.') return false;
  if (version[5] != '1' || (version[7] != '0' && version[7] != '1')) {
    error_ = 505;
    return false;
  }
  minor_ = version[7] - '0';
  if (!IsMethod(request_.method)) {
    error_ = 501;
    return false;
  }
  if (request_.target.starts_with('/')) return true;
  if (request_.target == "*") return request_.method == "OPTIONS";
  // The absolute form that proxies get: http://host/path
  const std::size_t scheme = request_.target.find("://");
  if (scheme == std::string_view::npos || !IsToken(request_.target.substr(0, scheme))) return false;
  const std::size_t path = request_.target.find('/', scheme + 3);
  if (path == std::string_view::npos) return false;
  request_.target.remove_prefix(path);
  return true;
}

bool HttpParser::ParseHeader(std::string_view line) {
  error_ = 400;
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view name = line.substr(0, colon), value = Trim(line.substr(colon + 1));
  if (!IsToken(name)) return false;  // also a folded line and a space before the colon
  for (const char c : value)
    if ((static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f') return false;
  if (request_.headers.size() >= limits_.headers) {
    error_ = 431;
    return false;
  }
  request_.headers.push_back({name, value});
  return true;
}

/// How long the body is, and what the connection headers say.
bool HttpParser::Framing() {
  error_ = 400;
  bool has_length = false, chunked = false, close = false, keep = false;
  left_ = 0;
  for (const HttpRequest::Header& h : request_.headers) {
    if (EqualsNoCase(h.name, "Content-Length")) {
      std::uint64_t length = 0;
      const char* const last = h.value.data() + h.value.size();
      const auto [end, error] = std::from_chars(h.value.data(), last, length);
      if (error != std::errc() || end != last) return false;
      if (has_length && length != left_) return false;
      has_length = true;
      left_ = length;
    } else if (EqualsNoCase(h.name, "Transfer-Encoding")) {
      if (chunked || !EqualsNoCase(h.value, "chunked")) {
        error_ = 501;
        return false;
      }
      chunked = true;
    } else if (EqualsNoCase(h.name, "Connection")) {
      close |= ListHas(h.value, "close");
      keep |= ListHas(h.value, "keep-alive");
    } else if (EqualsNoCase(h.name, "Expect")) {
      if (!EqualsNoCase(h.value, "100-continue")) {
        error_ = 417;
        return false;
      }
      expect_ = minor_ == 1;
    }
  }
  if (chunked && (has_length || minor_ == 0)) return false;  // two lengths: one of them is a lie
  if (left_ > limits_.body_bytes) {
    error_ = 413;
    return false;
  }
  request_.keep_alive = !close && (minor_ == 1 || keep);
  stage_ = chunked ? Stage::kChunkSize : Stage::kFixedBody;
  at_ = head_;
  return true;
}

HttpParser::State HttpParser::ParseChunks(std::string_view input) {
  constexpr std::size_t kMaxLine = 4096;
  for (;;) {
    if (stage_ == Stage::kChunkData) {
      const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - at_));
      chunks_.append(input, at_, there);
      at_ += there;
      left_ -= there;
      if (left_ > 0) return State::kMore;
      stage_ = Stage::kChunkEnd;
    }
    const std::size_t newline = input.find('\n', at_);
    if (newline == std::string_view::npos) return input.size() - at_ > kMaxLine ? Fail(400) : State::kMore;
    if (newline - at_ > kMaxLine) return Fail(400);
    std::string_view line = input.substr(at_, newline - at_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    at_ = newline + 1;
    // Whatever the chunks look like, their frames may not take much more than their data.
    if (at_ - head_ > limits_.body_bytes / 8 + 8 * chunks_.size() + (1 << 20)) return Fail(413);
    switch (stage_) {
      case Stage::kChunkSize: {
        const std::string_view digits = Trim(line.substr(0, line.find(';')));
        const char* const last = digits.data() + digits.size();
        const auto [end, error] = std::from_chars(digits.data(), last, left_, 16);
        if (error != std::errc() || end != last || digits.starts_with('-')) return Fail(400);
        if (left_ > limits_.body_bytes - chunks_.size()) return Fail(413);
        stage_ = left_ == 0 ? Stage::kTrailers : Stage::kChunkData;
        break;
      }
      case Stage::kChunkEnd:
        if (!line.empty()) return Fail(400);
        stage_ = Stage::kChunkSize;
        break;
      default:  // trailers: read and dropped
        if (line.empty()) {
          request_.body = chunks_;
          return Complete(input, at_);
        }
        trailer_bytes_ += line.size();
        if (trailer_bytes_ > limits_.head_bytes) return Fail(431);
    }
  }
}

HttpParser::State HttpParser::Complete(std::string_view input, std::size_t consumed) {
  base_ = input.data();
  consumed_ = consumed;
  expect_ = false;
  return State::kComplete;
}

bool HttpParser::TakeContinue() {
  const bool wanted = expect_ && head_done();
  if (wanted) expect_ = false;
  return wanted;
}

void HttpParser::Next() {
  stage_ = Stage::kHead;
  scanned_ = start_ = head_ = at_ = consumed_ = trailer_bytes_ = 0;
  left_ = 0;
  request_.body = {};
  begun_ = expect_ = false;
  if (chunks_.capacity() > (64 << 10)) base::GiveBack(chunks_);
  chunks_.clear();
}

}  // namespace tenon::serve
