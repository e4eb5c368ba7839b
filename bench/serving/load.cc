// A load client that costs less than the servers: bytes made beforehand, one epoll thread, no library.
//
//   load KIND PORT REQUEST_FILE CONNECTIONS CALLS SECONDS [--rate N] [--spin] [--reply BYTES]
//
// KIND: grpc    PredictionService/Predict over HTTP/2; REQUEST_FILE holds the PredictRequest
//       http    REQUEST_FILE holds a whole HTTP/1.1 request
//       echo    REQUEST_FILE holds any bytes, each answered with --reply BYTES
// Each of the CONNECTIONS to the loopback has CALLS under way, or with --rate N calls begin N times a second (Poisson)
// and their latency counts from when they were due. --spin polls instead of sleeping. Prints one line of JSON:
// requests, failed, seconds, the latencies p50, p99 in microseconds, and window_p99: the median of the p99s of each
// thousand answers in the order in which they came.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

std::string Big(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

std::uint32_t ReadBig(const char* at, int bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

/// One connection: what is to be sent, and what has come back.
class Connection {
 public:
  virtual ~Connection() { ::close(fd_); }
  bool Connect(int port) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return false;
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
    return true;
  }
  int fd() const { return fd_; }
  virtual void Begin(Time due) = 0;
  /// Takes bytes that have come.
  virtual void Take(const char* at, std::size_t size) = 0;
  void Flush() {
    while (sent_ < out_.size()) {
      const ssize_t n = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
      if (n <= 0) {
        broken |= errno != EAGAIN;
        return;
      }
      sent_ += static_cast<std::size_t>(n);
    }
    out_.clear();
    sent_ = 0;
  }
  bool pending() const { return sent_ < out_.size(); }
  std::vector<Time> done;  // when the calls that ended since the last look were due
  std::size_t failed = 0;
  bool broken = false, watching = false;

 protected:
  std::string out_;
  std::size_t sent_ = 0;

 private:
  int fd_ = -1;
};

/// Answers in order, each of a known size.
class Echo : public Connection {
 public:
  Echo(const std::string& request, std::size_t reply) : request_(request), reply_(reply) {}
  void Begin(Time due) override {
    due_.push_back(due);
    out_ += request_;
  }
  void Take(const char*, std::size_t size) override {
    for (got_ += size; got_ >= reply_ && !due_.empty(); got_ -= reply_) {
      done.push_back(due_.front());
      due_.pop_front();
    }
  }

 private:
  const std::string& request_;
  const std::size_t reply_;
  std::size_t got_ = 0;
  std::deque<Time> due_;
};

class Http : public Connection {
 public:
  explicit Http(const std::string& request) : request_(request) {}
  void Begin(Time due) override {
    due_.push_back(due);
    out_ += request_;
  }
  void Take(const char* at, std::size_t size) override {
    head_.append(at, size);
    for (;;) {
      const std::size_t skipped = std::min(left_, head_.size());
      head_.erase(0, skipped);
      left_ -= skipped;
      if (left_ > 0) return;
      if (in_body_) {
        in_body_ = false;
        done.push_back(due_.front());
        due_.pop_front();
      }
      const std::size_t end = head_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      const std::size_t length = head_.find("Content-Length: ");
      if (!head_.starts_with("HTTP/1.1 200") && failed++ == 0) std::cerr << head_ << "\n";
      if (length > end) {
        broken = true;
        return;
      }
      left_ = std::stoul(head_.substr(length + 16));
      in_body_ = true;
      head_.erase(0, end + 4);
    }
  }

 private:
  const std::string& request_;
  std::string head_;
  std::size_t left_ = 0;
  bool in_body_ = false;
  std::deque<Time> due_;
};

/// HTTP/2 as far as a client of unary calls needs it (RFC 9113); headers are sent as literals and not read.
class Grpc : public Connection {
 public:
  explicit Grpc(const std::string& message) : body_(std::string(1, '\0') + Big(message.size(), 4) + message) {
    const auto field = [&](std::string_view name, std::string_view value) {
      head_ += '\0';
      for (const std::string_view text : {name, value}) {
        head_ += static_cast<char>(text.size());  // below 127
        head_ += text;
      }
    };
    field(":method", "POST");
    field(":scheme", "http");
    field(":path", "/tensorflow.serving.PredictionService/Predict");
    field(":authority", "localhost");
    field("te", "trailers");
    field("content-type", "application/grpc");
    out_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    Frame(4, 0, 0, Big(4, 2) + Big(0x7FFFFFFF, 4) + Big(5, 2) + Big(16384, 4) + Big(1, 2) + Big(0, 4));
    Frame(8, 0, 0, Big(0x7FFFFFFF - 65535, 4));
  }
  void Begin(Time due) override {
    const std::uint32_t id = next_;
    next_ += 2;
    calls_[id].due = due;
    Frame(1, 4, id, head_);
    sending_.push_back(id);
    Pump();
  }
  void Take(const char* at, std::size_t size) override {
    while (size > 0) {
      if (skip_ > 0) {
        const std::size_t n = std::min(skip_, size);
        if (keep_) payload_.append(at, n);
        at += n;
        size -= n;
        skip_ -= n;
        if (skip_ > 0) return;
        Whole();
        continue;
      }
      const std::size_t n = std::min<std::size_t>(9 - frame_.size(), size);
      frame_.append(at, n);
      at += n;
      size -= n;
      if (frame_.size() < 9) return;
      skip_ = ReadBig(frame_.data(), 3);
      keep_ = frame_[3] == 4 || frame_[3] == 6 || frame_[3] == 8;
      if (skip_ == 0) Whole();
    }
  }

 private:
  struct Call {
    Time due;
    std::size_t at = 0;       // bytes of the body sent
    std::int64_t window = 0;  // beyond the initial one
    std::size_t got = 0;
  };
  void Frame(int type, int flags, std::uint32_t id, std::string_view payload) {
    out_ += Big(payload.size(), 3);
    out_ += static_cast<char>(type);
    out_ += static_cast<char>(flags);
    out_ += Big(id, 4);
    out_ += payload;
  }
  /// Sends as much of the bodies as the windows allow.
  void Pump() {
    while (!sending_.empty()) {
      Call& call = calls_[sending_.front()];
      const std::int64_t room = std::min({connection_window_, initial_ + call.window, max_frame_});
      if (room <= 0) return;
      const std::size_t n = std::min<std::size_t>(static_cast<std::size_t>(room), body_.size() - call.at);
      const bool last = call.at + n == body_.size();
      Frame(0, last ? 1 : 0, sending_.front(), std::string_view(body_).substr(call.at, n));
      call.at += n;
      call.window -= static_cast<std::int64_t>(n);
      connection_window_ -= static_cast<std::int64_t>(n);
      if (last) sending_.pop_front();
    }
  }
  void End(std::uint32_t id, bool good) {
    const auto call = calls_.find(id);
    if (call == calls_.end()) return;
    failed += good && call->second.got > 0 ? 0 : 1;
    done.push_back(call->second.due);
    calls_.erase(call);
  }
  void Whole() {
    const int type = frame_[3], flags = frame_[4];
    const std::uint32_t id = ReadBig(frame_.data() + 5, 4), size = ReadBig(frame_.data(), 3);
    if (type == 0) {
      if (const auto call = calls_.find(id); call != calls_.end()) call->second.got += size;
      received_ += size;
      if (received_ > (256U << 20)) {
        Frame(8, 0, 0, Big(received_, 4));
        received_ = 0;
      }
    }
    if ((type == 0 || type == 1) && (flags & 1) != 0) End(id, true);
    if (type == 3) End(id, false);
    if (type == 7) broken = true;
    if (type == 6 && (flags & 1) == 0) Frame(6, 1, 0, payload_);
    if (type == 4 && (flags & 1) == 0) {
      for (std::size_t i = 0; i + 6 <= payload_.size(); i += 6) {
        if (ReadBig(payload_.data() + i, 2) == 4) initial_ = ReadBig(payload_.data() + i + 2, 4);
        if (ReadBig(payload_.data() + i, 2) == 5) max_frame_ = ReadBig(payload_.data() + i + 2, 4);
      }
      Frame(4, 1, 0, {});
    }
    if (type == 8) {
      const std::uint32_t more = ReadBig(payload_.data(), 4);
      if (id == 0)
        connection_window_ += more;
      else if (const auto call = calls_.find(id); call != calls_.end())
        call->second.window += more;
    }
    if (type == 4 || type == 8) Pump();
    frame_.clear();
    payload_.clear();
  }

  const std::string body_;
  std::string head_;
  std::unordered_map<std::uint32_t, Call> calls_;
  std::deque<std::uint32_t> sending_;
  std::uint32_t next_ = 1;
  std::int64_t connection_window_ = 65535, initial_ = 65535, max_frame_ = 16384;
  std::string frame_, payload_;
  std::size_t skip_ = 0, received_ = 0;
  bool keep_ = false;
};

/// Of all answers where there are not a thousand.
float WindowP99(const std::vector<float>& latencies) {
  constexpr std::size_t kWindow = 1000;
  std::vector<float> each;
  for (std::size_t from = 0; from == 0 || from + kWindow <= latencies.size(); from += kWindow) {
    const std::size_t to = std::min(from + kWindow, latencies.size());
    std::vector<float> window(latencies.data() + from, latencies.data() + to);
    std::sort(window.begin(), window.end());
    each.push_back(window[window.size() * 99 / 100]);
  }
  std::sort(each.begin(), each.end());
  return each[each.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::cerr << "usage: load grpc|http|echo PORT REQUEST_FILE CONNECTIONS CALLS SECONDS [--rate N] [--spin] "
                 "[--reply BYTES]\n";
    return 2;
  }
  const std::string kind = argv[1];
  std::ifstream file(argv[3], std::ios::binary);
  const std::string request{std::istreambuf_iterator<char>(file), {}};
  const int count = std::stoi(argv[4]), depth = std::stoi(argv[5]);
  double rate = 0;
  bool spin = false;
  std::size_t reply = 0;
  for (int i = 7; i < argc; ++i) {
    const std::string option = argv[i];
    spin |= option == "--spin";
    if (option == "--rate") rate = std::stod(argv[++i]);
    if (option == "--reply") reply = std::stoul(argv[++i]);
  }
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<Connection>> connections;
  for (int i = 0; i < count; ++i) {
    if (kind == "grpc")
      connections.push_back(std::make_unique<Grpc>(request));
    else if (kind == "http")
      connections.push_back(std::make_unique<Http>(request));
    else
      connections.push_back(std::make_unique<Echo>(request, reply));
    Connection& connection = *connections.back();
    if (!connection.Connect(std::stoi(argv[2]))) {
      std::cerr << "cannot connect\n";
      return 1;
    }
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, connection.fd(), &event);
  }
  const Time begun = Clock::now();
  const Time end = begun + std::chrono::microseconds(static_cast<long>(std::stod(argv[6]) * 1e6));
  std::mt19937_64 random(1);
  std::exponential_distribution<double> gap(rate > 0 ? rate : 1);
  const auto next_gap = [&] { return std::chrono::nanoseconds(static_cast<long>(gap(random) * 1e9)); };
  std::size_t open = 0, turn = 0, failed = 0;
  const auto start = [&](Connection& connection, Time due) {
    connection.Begin(due);
    ++open;
  };
  Time due = begun + next_gap();
  if (rate == 0)
    for (const auto& connection : connections) {
      for (int k = 0; k < depth; ++k) start(*connection, Clock::now());
      connection->Flush();
    }
  std::vector<float> latencies;
  std::vector<char> buffer(256 << 10);
  bool broken = false;
  while (!broken && (open > 0 || (rate > 0 && Clock::now() < end))) {
    Time now = Clock::now();
    if (now > end + std::chrono::seconds(10)) break;  // an answer that does not come
    for (; rate > 0 && due <= now && due < end; due += next_gap()) {
      Connection& connection = *connections[turn++ % connections.size()];
      start(connection, due);
      connection.Flush();
    }
    epoll_event events[64];
    const int n = ::epoll_wait(poll, events, 64, spin || rate > 0 ? 0 : 1000);
    for (int i = 0; i < n; ++i) {
      Connection& connection = *static_cast<Connection*>(events[i].data.ptr);
      if ((events[i].events & EPOLLIN) != 0) {
        const ssize_t bytes = ::recv(connection.fd(), buffer.data(), buffer.size(), 0);
        if (bytes == 0 || (bytes < 0 && errno != EAGAIN)) broken = true;
        if (bytes > 0) connection.Take(buffer.data(), static_cast<std::size_t>(bytes));
      }
      now = Clock::now();
      for (const Time from : connection.done) {
        latencies.push_back(std::chrono::duration<float, std::micro>(now - from).count());
        --open;
        if (rate == 0 && now < end) start(connection, now);
      }
      connection.done.clear();
      connection.Flush();
      broken |= connection.broken;
      if (connection.pending() != connection.watching) {
        connection.watching = connection.pending();
        epoll_event event{.events = connection.watching ? EPOLLIN | EPOLLOUT : EPOLLIN, .data = {.ptr = &connection}};
        ::epoll_ctl(poll, EPOLL_CTL_MOD, connection.fd(), &event);
      }
    }
  }
  const double took = std::chrono::duration<double>(Clock::now() - begun).count();
  for (const auto& connection : connections) failed += connection->failed;
  failed += open;
  if (latencies.empty()) latencies.push_back(0);
  const float window_p99 = WindowP99(latencies);
  std::sort(latencies.begin(), latencies.end());
  std::cout << "{\"requests\": " << latencies.size() << ", \"failed\": " << failed << ", \"seconds\": " << took
            << ", \"p50\": " << latencies[latencies.size() / 2]
            << ", \"p99\": " << latencies[latencies.size() * 99 / 100] << ", \"window_p99\": " << window_p99 << "}"
            << std::endl;
}
