#include "serve/rest/http_message.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>
#include <exception>

#include "base/log.h"

namespace tenon::serve {
namespace {

/// "Tue, 15 Nov 1994 08:12:31 GMT", made once a second by each thread.
std::string_view Date() {
  thread_local std::time_t made = -1;
  thread_local std::array<char, 40> text;
  thread_local std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != made) {
    static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm t{};
    ::gmtime_r(&now, &t);
    const auto end = fmt::format_to_n(
        text.data(), text.size(), "{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[static_cast<std::size_t>(t.tm_wday)],
        t.tm_mday, kMonths[static_cast<std::size_t>(t.tm_mon)], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    size = end.size;
    made = now;
  }
  return {text.data(), size};
}

void AppendNumber(std::string& out, std::size_t n) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, n).ptr);
}

}  // namespace

std::string_view HttpReason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Request Entity Too Large";
    case 414:
      return "Request-URI Too Long";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

void AppendHttpResponse(const HttpResponse& response, bool head_only, bool keep_alive, std::string& out) {
  out.reserve(out.size() + response.body.size() + 192);
  out += "HTTP/1.1 ";
  AppendNumber(out, static_cast<std::size_t>(response.status));
  out += ' ';
  out += HttpReason(response.status);
  if (!response.content_type.empty()) {
    out += "\r\nContent-Type: ";
    out += response.content_type;
  }
  for (const auto& [name, value] : response.headers) {
    out += "\r\n";
    out += name;
    out += ": ";
    out += value;
  }
  out += "\r\nDate: ";
  out += Date();
  out += "\r\nContent-Length: ";
  AppendNumber(out, response.body.size());
  if (!keep_alive) out += "\r\nConnection: close";
  out += "\r\n\r\n";
  if (!head_only) out += response.body;
}

ReplyTo::~ReplyTo() {
  if (!take_) return;
  try {
    (*this)(HttpErrorPage(500));
  } catch (const std::exception& error) {
    base::Log(base::LogLevel::kWarning, std::string("HTTP server: a request is not answered: ") + error.what());
  }
}

HttpResponse HttpErrorPage(int status) {
  const std::string_view reason = HttpReason(status);
  return {.status = status,
          .content_type = "text/html",
          .body = fmt::format("<HTML><HEAD>\n<TITLE>{} {}</TITLE>\n</HEAD><BODY>\n<H1>{}</H1>\n</BODY></HTML>\n",
                              status, reason, reason)};
}

}  // namespace tenon::serve
