// Any bytes from a client, in any pieces: calls are answered or refused, never a crash.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "serve/grpc_http2/connection.h"
#include "serve/grpc_http2/fake_service.h"

namespace {

using namespace tenon::serve;

class NoLoop : public http2::ConnectionOwner {
 public:
  void Watch(http2::Http2Connection&, bool, bool) override {}
  void Post(std::shared_ptr<http2::Http2Connection>, std::int32_t, tenon::Status, std::string) override {}
};

/// Work ends at once, without a thread.
class Service : public http2::testing::FakeService {
 public:
  Service() { Go(); }
  bool Submit(std::function<void()> task) override {
    task();
    return true;
  }
};

}  // namespace

/// The first byte says how long the pieces are.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static Service service;
  static http2::Shared shared({.max_message_bytes = 1 << 20}, service);
  static std::string scratch(64 << 10, '\0');
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 0;
  for (const int fd : pair) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  NoLoop loop;
  {
    auto connection = std::make_shared<http2::Http2Connection>(pair[0], loop, shared, nullptr);
    const auto now = std::chrono::steady_clock::now();
    const std::string_view magic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    std::string bytes(magic);
    bytes.append("\0\0\0\4\0\0\0\0\0", 9);  // its settings
    const std::size_t piece = data[0] == 0 ? size : data[0];
    bytes.append(reinterpret_cast<const char*>(data + 1), size - 1);
    char sink[4096];
    for (std::size_t at = 0; at < bytes.size() && !connection->done(); at += piece) {
      if (::send(pair[1], bytes.data() + at, std::min(piece, bytes.size() - at), MSG_NOSIGNAL) < 0) break;
      connection->Readable(now, scratch);
      while (::recv(pair[1], sink, sizeof sink, 0) > 0) {
      }
      connection->Writable(now);
    }
    shared.serving = !shared.serving;
    connection->UpdateWatches(now);
    connection->Drain(now);
    connection->Tick(now + std::chrono::seconds(1));
  }
  ::close(pair[1]);
  return 0;
}
