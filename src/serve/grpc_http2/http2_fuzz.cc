// Frames of an HTTP/2 client, well formed or not, cut anywhere: the connection answers, refuses or ends. An input is a
// row of commands, one byte each with what it needs behind it: most make one frame of the right form with any payload,
// some make a whole request, some put raw bytes on the wire, let a worker answer, or let time pass.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "serve/grpc_http2/connection.h"
#include "serve/grpc_http2/fake_service.h"

namespace {

using namespace tenon::serve;
using http2::Http2Connection;
using tenon::Status;

constexpr std::array<std::string_view, 8> kPaths = {"/s/Echo",  "/s/Work",  "/s/Fail", "/s/Reflect",
                                                    "/s/Check", "/s/Watch", "/none",   "/s/Later"};

/// Work ends at once, without a thread; its answer is given later. Later's answers are promised.
class Service : public http2::testing::FakeService {
 public:
  Service() { Go(); }
  Route Find(std::string_view path) const override {
    return path == "/s/Join" ? Route() : FakeService::Find(path);  // there is no round here
  }
  std::optional<Status> Handle(int method, std::string_view request, const std::shared_ptr<const void>& owner,
                               tenon::serve::Deadline deadline, std::string& reply, GrpcLater& later) const override {
    constexpr int kLater = 3;
    if (method != kLater) return FakeService::Handle(method, request, owner, deadline, reply, later);
    promised.push_back(later.Make());
    return std::nullopt;
  }
  mutable std::vector<std::shared_ptr<GrpcReply>> promised;
  bool Submit(std::function<void()> task) override {
    task();
    return true;
  }
};

struct Owner : http2::ConnectionOwner {
  struct Reply {
    std::int32_t stream;
    Status status;
    std::string bytes;
  };
  void Watch(Http2Connection&, bool read, bool) override { reading = read; }
  void Post(std::shared_ptr<Http2Connection>, std::int32_t stream, Status status, std::string reply) override {
    replies.push_back({stream, std::move(status), std::move(reply)});
  }
  bool reading = true;
  std::vector<Reply> replies;
};

struct Input {
  std::string_view left;
  unsigned Byte() {
    if (left.empty()) return 0;
    const auto value = static_cast<unsigned char>(left.front());
    left.remove_prefix(1);
    return value;
  }
  std::string_view Bytes(std::size_t n) {
    const std::string_view out = left.substr(0, n);
    left.remove_prefix(out.size());
    return out;
  }
};

std::string Frame(unsigned type, unsigned flags, unsigned stream, std::string_view payload) {
  std::string out;
  for (const std::size_t shift : {16UL, 8UL, 0UL}) out += static_cast<char>(payload.size() >> shift & 0xFF);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (const unsigned shift : {24U, 16U, 8U, 0U}) out += static_cast<char>(stream >> shift & 0xFF);
  return out.append(payload);
}

/// A header that enters no table (RFC 7541, 6.2.2).
std::string Header(std::string_view name, std::string_view value) {
  std::string out(1, '\0');
  out += static_cast<char>(name.size());
  out += name;
  out += static_cast<char>(value.size());
  return out.append(value);
}

std::string RequestHead(Input& input) {
  const unsigned what = input.Byte();
  std::string out = Header(":method", (what & 0x10) != 0 ? "GET" : "POST") + Header(":scheme", "http") +
                    Header(":path", kPaths[what % kPaths.size()]) + Header(":authority", "a") +
                    Header("content-type", (what & 0x20) != 0 ? "text/html" : "application/grpc") +
                    Header("te", "trailers");
  if ((what & 0x40) != 0) out += Header("grpc-timeout", input.Bytes(input.Byte() % 12));
  if ((what & 0x80) != 0) out += Header("grpc-encoding", (what & 0x08) != 0 ? "gzip" : "deflate");
  return out;
}

std::string GrpcMessage(Input& input) {
  const unsigned what = input.Byte();
  const std::string_view bytes = input.Bytes(what % 64);
  std::string out(1, static_cast<char>(what >> 7));
  for (const std::size_t shift : {24UL, 16UL, 8UL, 0UL}) out += static_cast<char>(bytes.size() >> shift & 0xFF);
  return out.append(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Service service;
  static http2::Shared shared({.budget = ByteBudget::Make(100'000)}, service);
  static std::string scratch(64 << 10, '\0');
  shared.max_message = 1 << 16;
  shared.max_streams = 20;
  service.align_at = size % 80;
  int ends[2];
  if (size > 4096 || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) return 0;
  Owner owner;
  auto now = Http2Connection::Clock::now();
  auto connection = std::make_shared<Http2Connection>(Socket(ends[0]), owner, shared);
  Input input{{reinterpret_cast<const char*>(data), size}};
  const unsigned form = input.Byte();
  const std::size_t piece = form < 16 ? 1 + form : SIZE_MAX;
  const auto put = [&](std::string_view bytes) {
    while (!bytes.empty() && owner.reading && !connection->done()) {
      const std::string_view part = bytes.substr(0, piece);
      if (::send(ends[1], part.data(), part.size(), MSG_NOSIGNAL) < 0) return;
      connection->Readable(now, scratch);
      bytes.remove_prefix(part.size());
    }
  };
  if (form % 16 != 0) put("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, {}));
  while (!input.left.empty() && !connection->done()) {
    const unsigned command = input.Byte(), stream = 2 * (command >> 4) + 1;
    switch (command & 0xF) {
      case 10:
        put(Frame(1, 4, stream, RequestHead(input)));
        break;
      case 11:
        put(Frame(0, input.Byte() & 1, stream, GrpcMessage(input)));
        break;
      case 12: {
        const std::string head = RequestHead(input);
        put(Frame(1, 4, stream, head) + Frame(0, 1, stream, GrpcMessage(input)));
        break;
      }
      case 13:
        put(input.Bytes(input.Byte()));
        break;
      case 14: {  // the client reads, workers answer
        if ((stream & 2) != 0)
          while (::recv(ends[1], scratch.data(), scratch.size(), 0) > 0) connection->Writable(now);
        for (const auto& reply : service.promised) reply->Send({}, "later");
        service.promised.clear();
        std::vector<Owner::Reply> replies;
        replies.swap(owner.replies);
        for (Owner::Reply& reply : replies)
          connection->Answered(reply.stream, reply.status, std::move(reply.bytes), now);
        break;
      }
      case 15:  // time, the server's state, its end
        now += std::chrono::milliseconds(stream * 100);
        shared.serving = (stream & 2) != 0;
        connection->UpdateWatches(now);
        if (stream > 28) connection->Drain(now);
        connection->Tick(now);
        break;
      default: {
        const unsigned flags = input.Byte(), length = input.Byte();
        put(Frame(command & 0xF, flags, (command & 0xF) == 4 || (command & 0xF) == 6 ? 0 : stream,
                  input.Bytes(length)));
      }
    }
  }
  service.promised.clear();  // not kept
  ::close(ends[1]);
  return 0;
}
