// HTTP requests: no byte sequence may crash the parser, and the result must not depend on how the bytes arrive.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "serve/rest/http_parser.h"

namespace {

using tenon::serve::HttpLimits;
using tenon::serve::HttpParser;

/// Everything that the parser says about the bytes when they come in pieces of `step`.
std::string Run(std::string_view bytes, std::size_t step) {
  HttpParser parser(HttpLimits{.head_bytes = 512, .headers = 8, .body_bytes = 256});
  std::string log, buffer;
  std::size_t fed = 0;
  for (;;) {
    const HttpParser::State state = parser.Parse(buffer);
    if (state == HttpParser::State::kComplete) {
      const auto& r = parser.request();
      log += std::string(r.method) + " " + std::string(r.target) + " " + std::string(r.body) +
             (r.keep_alive ? " k" : " c");
      for (const auto& h : r.headers) log += "\n" + std::string(h.name) + ":" + std::string(h.value);
      log += "\n";
      buffer.erase(0, parser.consumed());
      buffer.shrink_to_fit();
      parser.Next();
      continue;
    }
    if (state == HttpParser::State::kError) return log + "error";
    if (fed == bytes.size()) return log;
    const std::size_t n = step < bytes.size() - fed ? step : bytes.size() - fed;
    buffer.append(bytes.substr(fed, n));
    buffer.shrink_to_fit();
    fed += n;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = Run(bytes, bytes.size() + 1);
  if (Run(bytes, 1) != whole || Run(bytes, 7) != whole) std::abort();
  return 0;
}
