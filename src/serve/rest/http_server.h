// HttpServer: HTTP/1.1 on epoll.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "serve/core/byte_budget.h"
#include "serve/core/spinner.h"
#include "serve/core/task_pool.h"
#include "serve/rest/http_message.h"
#include "serve/rest/tls.h"

namespace tenon::serve {

struct HttpServerOptions {
  std::string address = {};  // numeric; empty: every one, IPv6 and IPv4
  int port = 0;              // 0: a free one
  int io_threads = 1;
  int worker_threads = 4;  // for requests that are not cheap
  HttpLimits limits = {};
  std::size_t max_connections = 65536;                // more are closed at once
  std::chrono::milliseconds request_timeout{30'000};  // from the complete request to its deadline
  std::chrono::milliseconds idle_timeout{120'000};    // between two requests of a connection
  std::chrono::milliseconds read_timeout{20'000};     // for the head of a request, and without any byte of a body
  std::chrono::milliseconds write_timeout{30'000};    // without any byte taken by the client, or with too few of them
  std::shared_ptr<TlsContext> tls = {};               // none: plain HTTP
  SpinOptions spin = {};                              // of the I/O threads
  std::size_t least_rate = 1024;                      // bytes a second: of a body after read_timeout, of a reply taken
  std::shared_ptr<ByteBudget> budget = {};            // of requests that are under way; beyond it 503. None: no limit
  std::function<void()> refused = {};                 // called for each connection beyond the limit; must not throw
};

/// Connections are dealt out to the I/O threads in turn. Cheap requests run to their end on the I/O thread; the others
/// run on a worker. Replies of a connection keep the order of its requests. A connection that waits holds no buffer.
/// The process's soft limit of open files is raised to its hard limit.
class HttpServer {
 public:
  HttpServer(HttpServerOptions options, std::shared_ptr<HttpHandler> handler);
  ~HttpServer();  // Stop at once
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Takes the port without listening: clients are still refused. kUnavailable when it is in use, kInvalidArgument for
  /// an address that is none.
  Status Bind();
  /// Listens (after Bind) and starts the threads. kUnavailable when somebody else listens by now.
  Status Start();
  /// The port taken by Bind.
  int port() const { return port_; }
  std::size_t connections() const;

  /// The server is about to stop: it goes on serving, and tells clients with each reply that the connection closes.
  void AnnounceEnd();
  /// Closes the port and the idle connections, finishes the requests that have begun, joins the threads. What is not
  /// done at `until` is cut off. Idempotent.
  void Stop(std::chrono::steady_clock::time_point until);

  class Loop;     // one I/O thread
  struct Shared;  // what the loops and the tasks share

 private:
  std::shared_ptr<Shared> shared_;
  std::vector<std::shared_ptr<Loop>> loops_;
  std::vector<std::thread> threads_;
  int listener_ = -1;
  int port_ = 0;
  bool stopped_ = false;
};

}  // namespace tenon::serve
