#include "serve/rest/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace tenon::serve {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Deleter<SSL_free>>;

Bio BioOf(const std::string& text) {
  return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(std::min<std::size_t>(text.size(), INT_MAX))));
}

Status Bad(std::string what) {
  ::ERR_clear_error();
  return Status(Code::kInvalidArgument, "TLS: " + std::move(what));
}

Certificate NextCertificate(const Bio& bio) {
  return Certificate(::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

class OpenSslSession : public TlsSession {
 public:
  explicit OpenSslSession(Session ssl) : ssl_(std::move(ssl)) {}
  ssize_t Read(char* to, std::size_t size) override {
    const ssize_t n = Done(::SSL_read(ssl_.get(), to, static_cast<int>(std::min<std::size_t>(size, INT_MAX))));
    starved_ = n <= 0;
    return n;
  }
  ssize_t Write(const char* from, std::size_t size) override {
    return Done(::SSL_write(ssl_.get(), from, static_cast<int>(std::min<std::size_t>(size, INT_MAX))));
  }
  // OpenSSL has a part of a record pending too: what a Read has left that gave nothing waits for the socket.
  bool pending() const override { return !starved_ && ::SSL_has_pending(ssl_.get()) == 1; }
  bool wants_write() const override { return wants_write_; }
  void Shutdown() override {
    ::SSL_shutdown(ssl_.get());
    ::ERR_clear_error();
  }

 private:
  ssize_t Done(int n) {
    wants_write_ = false;
    if (n > 0) return n;
    const int why = ::SSL_get_error(ssl_.get(), n);
    ::ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    wants_write_ = why == SSL_ERROR_WANT_WRITE;
    errno = why == SSL_ERROR_WANT_READ || wants_write_ ? EAGAIN : ECONNRESET;
    return -1;
  }
  const Session ssl_;
  bool wants_write_ = false;
  bool starved_ = false;  // the last Read gave nothing
};

class OpenSslContext : public TlsContext {
 public:
  OpenSslContext(Context context, std::string protocol) : protocol_(std::move(protocol)), context_(std::move(context)) {
    if (!protocol_.empty()) ::SSL_CTX_set_alpn_select_cb(context_.get(), Select, this);
  }
  std::unique_ptr<TlsSession> Accept(int fd) override {
    Session ssl(::SSL_new(context_.get()));
    if (!ssl || ::SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
    ::SSL_set_accept_state(ssl.get());
    return std::make_unique<OpenSslSession>(std::move(ssl));
  }

 private:
  /// The client's offer: protocols, each behind a byte with its size.
  static int Select(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned in_size,
                    void* self) {
    const std::string& wanted = static_cast<const OpenSslContext*>(self)->protocol_;
    for (unsigned at = 0; at < in_size && at + in[at] < in_size; at += 1U + in[at]) {
      const std::string_view one(reinterpret_cast<const char*>(in + at + 1), in[at]);
      if (one != wanted) continue;
      *out = in + at + 1;
      *size = in[at];
      return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  const std::string protocol_;
  const Context context_;
};

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::Make(const Tls& tls, std::string protocol) {
  Context context(::SSL_CTX_new(::TLS_server_method()));
  if (!context) return Status(Code::kResourceExhausted, "TLS: no memory");
  ::SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  ::SSL_CTX_set_mode(context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  ::SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  const Bio key_bio = BioOf(tls.key), chain_bio = BioOf(tls.certificate), ca_bio = BioOf(tls.client_ca);
  const Certificate leaf = NextCertificate(chain_bio);
  if (!leaf || ::SSL_CTX_use_certificate(context.get(), leaf.get()) != 1)
    return Bad("server_cert: expected a certificate as PEM text");
  while (Certificate next = NextCertificate(chain_bio))
    if (::SSL_CTX_add_extra_chain_cert(context.get(), next.get()) == 1) (void)next.release();
  const Key key(::PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  if (!key) return Bad("server_key: expected a private key as PEM text");
  if (::SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) return Bad("server_key: is not the key of server_cert");
  int authorities = 0;
  while (const Certificate ca = NextCertificate(ca_bio)) {
    ::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context.get()), ca.get());
    ::SSL_CTX_add_client_CA(context.get(), ca.get());
    ++authorities;
  }
  if (!tls.client_ca.empty() && authorities == 0) return Bad("custom_ca: expected certificates as PEM text");
  if (tls.verify_client) {
    if (authorities == 0) return Bad("client_verify needs custom_ca, which client certificates are checked with");
    ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  ::SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>("tenon"), 5);
  ::ERR_clear_error();
  return std::shared_ptr<TlsContext>(std::make_shared<OpenSslContext>(std::move(context), std::move(protocol)));
}

}  // namespace tenon::serve
