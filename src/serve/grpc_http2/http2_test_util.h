// For tests of the transport: one that serves a FakeService, and connections to it.
#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <memory>
#include <string>

#include "serve/grpc_http2/fake_service.h"
#include "serve/grpc_http2/http2_transport.h"
#include "serve/grpc_http2/raw_client.h"

namespace tenon::serve::http2::testing {

class Http2 : public ::testing::Test {
 protected:
  void TearDown() override {
    service_.Stop();
    transport_.reset();
  }
  void Open(GrpcTransportOptions options = {}) {
    options.addresses = {"127.0.0.1:0"};
    transport_ = MakeHttp2Transport(options, service_);
    const Status started = transport_->Start();
    ASSERT_TRUE(started.ok()) << started.message();
  }
  int Connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(transport_->port()));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
  }
  static std::string Framed(std::string_view message, char flag = 0) { return RawClient::Framed(message, flag); }

  FakeService service_;
  std::unique_ptr<GrpcTransport> transport_;
};

}  // namespace tenon::serve::http2::testing
