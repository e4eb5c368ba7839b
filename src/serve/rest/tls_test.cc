// A client whose every byte the test holds back or sends.
#include "serve/rest/tls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace tenon::serve {
namespace {

std::string TextOf(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

/// A key and a certificate that it has signed itself.
Tls Keys() {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = ::X509_new();
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate), 0);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate), 3600);
  ::X509_set_pubkey(certificate, key);
  ::X509_sign(certificate, key, ::EVP_sha256());
  BIO *const key_text = ::BIO_new(::BIO_s_mem()), *const certificate_text = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_PrivateKey(key_text, key, nullptr, nullptr, 0, nullptr, nullptr);
  ::PEM_write_bio_X509(certificate_text, certificate);
  Tls tls{.key = TextOf(key_text), .certificate = TextOf(certificate_text)};
  ::BIO_free(key_text);
  ::BIO_free(certificate_text);
  ::X509_free(certificate);
  ::EVP_PKEY_free(key);
  return tls;
}

class TlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto context = TlsContext::Make(Keys());
    ASSERT_TRUE(context.ok()) << context.status().message();
    context_ = *context;
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_), 0);
    session_ = context_->Accept(fds_[0]);
    ASSERT_NE(session_, nullptr);
    client_context_ = ::SSL_CTX_new(::TLS_client_method());
    client_ = ::SSL_new(client_context_);
    ::SSL_set_bio(client_, ::BIO_new(::BIO_s_mem()), ::BIO_new(::BIO_s_mem()));
    ::SSL_set_connect_state(client_);
  }
  void TearDown() override {
    session_.reset();
    ::SSL_free(client_);
    ::SSL_CTX_free(client_context_);
    for (const int fd : fds_) ::close(fd);
  }
  /// What the client has to send, taken from it.
  std::string FromClient() {
    std::string bytes(1 << 16, '\0');
    const int n = ::BIO_read(::SSL_get_wbio(client_), bytes.data(), static_cast<int>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(n < 0 ? 0 : n));
    return bytes;
  }
  void Send(std::string_view bytes) {
    ASSERT_EQ(::send(fds_[1], bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  /// The server reads; what it writes goes to the client.
  ssize_t Read(std::size_t most = 4096) {
    std::string bytes(most, '\0');
    const ssize_t n = session_->Read(bytes.data(), bytes.size());
    read_.append(bytes, 0, static_cast<std::size_t>(n > 0 ? n : 0));
    char answer[8192];
    for (ssize_t got; (got = ::recv(fds_[1], answer, sizeof answer, 0)) > 0;)
      ::BIO_write(::SSL_get_rbio(client_), answer, static_cast<int>(got));
    return n;
  }
  void Handshake() {
    for (int i = 0; i < 10 && ::SSL_do_handshake(client_) != 1; ++i) {
      Send(FromClient());
      Read();
    }
    ASSERT_EQ(::SSL_is_init_finished(client_), 1);
    Send(FromClient());
    EXPECT_EQ(Read(), -1);
  }

  std::shared_ptr<TlsContext> context_;
  std::unique_ptr<TlsSession> session_;
  int fds_[2] = {-1, -1};
  SSL_CTX* client_context_ = nullptr;
  SSL* client_ = nullptr;
  std::string read_;
};

TEST_F(TlsTest, APartOfARecordIsNothingToRead) {
  ::SSL_do_handshake(client_);
  const std::string hello = FromClient();
  ASSERT_GT(hello.size(), 100U);
  EXPECT_FALSE(session_->pending());
  for (const auto& [at, size] : {std::pair<std::size_t, std::size_t>{0, 3}, {3, 2}, {5, 90}}) {
    Send(std::string_view(hello).substr(at, size));
    EXPECT_EQ(Read(), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_FALSE(session_->pending()) << "after byte " << at + size;
  }
  Send(std::string_view(hello).substr(95));
  Read();
  Handshake();
}

TEST_F(TlsTest, TheRestOfARecordIsThere) {
  Handshake();
  const std::string text = "one record, read in pieces";
  ASSERT_EQ(::SSL_write(client_, text.data(), static_cast<int>(text.size())), static_cast<int>(text.size()));
  const std::string record = FromClient();
  Send(std::string_view(record).substr(0, 20));
  EXPECT_EQ(Read(10), -1);
  EXPECT_FALSE(session_->pending());
  Send(std::string_view(record).substr(20));
  EXPECT_EQ(Read(10), 10);
  EXPECT_TRUE(session_->pending());
  EXPECT_EQ(Read(), static_cast<ssize_t>(text.size()) - 10);
  EXPECT_FALSE(session_->pending());
  EXPECT_EQ(Read(), -1);
  EXPECT_EQ(read_, text);
}

}  // namespace
}  // namespace tenon::serve
