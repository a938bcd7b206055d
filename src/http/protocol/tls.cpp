#include "http/protocol/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <climits>

namespace ferry::http {
namespace {

constexpr unsigned char kProtocols[] = "\x08http/1.1";
/// For who speaks HTTP to it in the clear: a browser would show nothing else.
constexpr std::string_view kSpeakTls =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 32\r\n"
    "Connection: close\r\n\r\nthis port speaks TLS: use https\n";

/// The reason of the last of OpenSSL's errors, which are forgotten.
std::string take_reason() {
  const unsigned long code = ::ERR_peek_last_error();
  ::ERR_clear_error();
  const char* reason = ::ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown reason";
}

/// Nobody is there to be asked for the key's passphrase.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  const int chosen = ::SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kProtocols,
                                             sizeof kProtocols - 1, offered, offered_size);
  return chosen == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

struct FreeContext {
  void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
};
struct FreeSession {
  void operator()(SSL* session) const { ::SSL_free(session); }
};

class TlsStream final : public Stream {
 public:
  TlsStream(SSL* session, int fd) : session_(session), fd_(fd) {}

  Step read(std::span<char> space) override {
    ::ERR_clear_error();
    std::size_t count = 0;
    const int result = ::SSL_read_ex(session_.get(), space.data(), space.size(), &count);
    return step(result, count);
  }

  Step write(std::string_view bytes) override {
    ::ERR_clear_error();
    std::size_t count = 0;
    const int result = ::SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &count);
    return step(result, count);
  }

  void end() override {
    if (!has_failed_ && ::SSL_is_init_finished(session_.get()) == 1) {
      ::SSL_shutdown(session_.get());
    }
    ::shutdown(fd_, SHUT_WR);
  }

 private:
  Step step(int result, std::size_t count) {
    if (result == 1) return {What::kMoved, count};
    switch (::SSL_get_error(session_.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return {What::kWantsRead};
      case SSL_ERROR_WANT_WRITE:
        return {What::kWantsWrite};
      case SSL_ERROR_SSL:
        if (ERR_GET_REASON(::ERR_peek_error()) == SSL_R_HTTP_REQUEST) {
          ::send(fd_, kSpeakTls.data(), kSpeakTls.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        break;
      default:
        break;
    }
    has_failed_ = true;
    ::ERR_clear_error();
    return {What::kEnded};
  }

  std::unique_ptr<SSL, FreeSession> session_;
  int fd_;
  bool has_failed_ = false;
};

}  // namespace

struct Tls::Context {
  std::unique_ptr<SSL_CTX, FreeContext> context;
};

Tls::~Tls() = default;

Result<std::unique_ptr<Tls>> Tls::load(const TlsFiles& files) {
  std::unique_ptr<Tls> tls(new Tls(files));
  if (auto loaded = tls->reload(); !loaded) return loaded.error();
  return tls;
}

Result<void> Tls::reload() {
  // What is not there, or not for us, is told in the system's words.
  for (const fs::path& file : {files_.certificate, files_.key}) {
    if (const auto readable = read_file(file); !readable) return readable.error();
  }
  ::ERR_clear_error();
  auto next = std::make_shared<Context>();
  next->context.reset(::SSL_CTX_new(::TLS_server_method()));
  SSL_CTX* context = next->context.get();
  if (context == nullptr) return make_error(ErrorKind::kFailed, "TLS: {}", take_reason());
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  ::SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
  ::SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
  ::SSL_CTX_set_default_passwd_cb(context, &no_passphrase);
  ::SSL_CTX_set_alpn_select_cb(context, &choose_protocol, nullptr);
  if (::SSL_CTX_use_certificate_chain_file(context, files_.certificate.c_str()) != 1) {
    return make_error(ErrorKind::kInvalid, "{}: not a certificate in PEM form: {}",
                      files_.certificate.string(), take_reason());
  }
  if (::SSL_CTX_use_PrivateKey_file(context, files_.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return make_error(ErrorKind::kInvalid,
                      "{}: not the certificate's private key, in PEM form and without a "
                      "passphrase: {}",
                      files_.key.string(), take_reason());
  }
  const std::lock_guard lock(mutex_);
  context_ = std::move(next);
  return {};
}

std::unique_ptr<Stream> Tls::open_stream(int fd) const {
  std::shared_ptr<Context> context;
  {
    const std::lock_guard lock(mutex_);
    context = context_;
  }
  // The session holds the context for as long as it needs it.
  SSL* session = ::SSL_new(context->context.get());
  if (session == nullptr) return nullptr;
  auto stream = std::make_unique<TlsStream>(session, fd);
  if (::SSL_set_fd(session, fd) != 1) return nullptr;
  ::SSL_set_accept_state(session);
  return stream;
}

}  // namespace ferry::http
