#include "sftp/ssh/private_key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "sftp/ssh/base64.h"
#include "sftp/ssh/known_hosts.h"

namespace ferry::sftp {
namespace {

constexpr std::string_view kOpenSshBegin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view kOpenSshEnd = "-----END OPENSSH PRIVATE KEY-----";

Error unusable(std::string_view why) {
  return make_error(ErrorKind::kInvalid, "{}", why);
}

Error no_passphrase() {
  return make_error(ErrorKind::kDenied, "is encrypted, and no passphrase was given");
}

std::optional<std::string_view> take_string(std::string_view& bytes) {
  constexpr std::size_t kLengthBytes = 4;
  if (bytes.size() < kLengthBytes) return std::nullopt;
  std::size_t size = 0;
  for (const char byte : bytes.substr(0, kLengthBytes)) {
    size = size << 8 | static_cast<unsigned char>(byte);
  }
  bytes.remove_prefix(kLengthBytes);
  if (size > bytes.size()) return std::nullopt;
  const std::string_view field = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return field;
}

// openssh-key-v1: cipher, key derivation, its options, number of keys, public key, … (PROTOCOL.key)
Result<PrivateKey> look_into_openssh(PrivateKey key, std::size_t begin) {
  constexpr std::string_view kMagic("openssh-key-v1\0", 15);
  constexpr std::size_t kCountBytes = 4;
  const Error damaged = unusable("is damaged: not an OpenSSH private key inside");
  const std::size_t body = begin + kOpenSshBegin.size();
  const std::size_t end = key.text.find(kOpenSshEnd, body);
  if (end == std::string::npos) return damaged;
  std::string base64 = key.text.substr(body, end - body);
  std::erase_if(base64, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  const auto bytes = base64_decode(base64);
  if (!bytes || !bytes->starts_with(kMagic)) return damaged;

  std::string_view rest = std::string_view(*bytes).substr(kMagic.size());
  const auto cipher = take_string(rest);
  const auto derivation = take_string(rest);
  const auto derivation_options = take_string(rest);
  if (!cipher || !derivation || !derivation_options || rest.size() < kCountBytes) return damaged;
  rest.remove_prefix(kCountBytes);
  const auto public_key = take_string(rest);
  if (!public_key) return damaged;

  key.encrypted = *cipher != "none";
  const auto type = key_type_of(*public_key);
  key.is_rsa = type == "ssh-rsa";
  key.is_in_hardware = type.starts_with("sk-");
  return key;
}

Result<PrivateKey> look_into_pem(PrivateKey key, const std::string& passphrase) {
  key.encrypted = key.text.contains("ENCRYPTED");
  if (key.encrypted && passphrase.empty()) return no_passphrase();
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(
      BIO_new_mem_buf(key.text.data(), static_cast<int>(key.text.size())), &BIO_free);
  // Without a callback the last argument is the passphrase; null would ask on the terminal.
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> decoded(
      PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, const_cast<char*>(passphrase.c_str())),
      &EVP_PKEY_free);
  ERR_clear_error();
  if (!decoded) {
    return unusable(key.encrypted ? "cannot be decrypted: wrong passphrase?" : "is damaged");
  }
  key.is_rsa = EVP_PKEY_get_base_id(decoded.get()) == EVP_PKEY_RSA;
  return key;
}

}  // namespace

Result<PrivateKey> load_private_key(const fs::path& file, const std::string& passphrase) {
  auto text = read_file(file);
  if (!text) {
    switch (text.error().kind) {
      case ErrorKind::kNotFound:
        return unusable("does not exist");
      case ErrorKind::kDenied:
        return unusable("cannot be read: permission denied");
      default:
        return unusable(fmt::format("cannot be read: {}", text.error().message));
    }
  }
  PrivateKey key{.text = std::move(*text)};
  if (const std::size_t begin = key.text.find(kOpenSshBegin); begin != std::string::npos) {
    auto openssh = look_into_openssh(std::move(key), begin);
    if (openssh && openssh->encrypted && passphrase.empty()) return no_passphrase();
    return openssh;
  }
  if (key.text.contains("PRIVATE KEY-----")) return look_into_pem(std::move(key), passphrase);
  if (key.text.starts_with("PuTTY-User-Key-File")) {
    return unusable("is a PuTTY key: convert it with 'puttygen KEY -O private-openssh'");
  }
  if (key.text.starts_with("ssh-") || key.text.starts_with("ecdsa-")) {
    return unusable("is a public key: the private one is wanted");
  }
  return unusable("is not a private key in OpenSSH or PEM format");
}

PrivateKey look_at_private_key(const fs::path& file) {
  auto text = read_file(file);
  PrivateKey seen;
  if (!text) return seen;
  const std::size_t begin = text->find(kOpenSshBegin);
  const auto key = begin != std::string::npos
                       ? look_into_openssh(PrivateKey{.text = std::move(*text)}, begin)
                       : load_private_key(file, "");
  seen.encrypted = key ? key->encrypted : key.error().kind == ErrorKind::kDenied;
  if (!key) return seen;
  seen.is_rsa = key->is_rsa;
  seen.is_in_hardware = key->is_in_hardware;
  return seen;
}

}  // namespace ferry::sftp
