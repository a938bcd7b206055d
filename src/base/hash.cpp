#include "ferry/base/hash.h"

#include <openssl/evp.h>

#include <array>
#include <new>

namespace ferry {
namespace {

struct AlgorithmInfo {
  HashAlgorithm algorithm;
  std::string_view name;
  std::size_t size;
};

constexpr std::array kAlgorithms{
    AlgorithmInfo{HashAlgorithm::kMd5, "md5", 16},
    AlgorithmInfo{HashAlgorithm::kSha1, "sha1", 20},
    AlgorithmInfo{HashAlgorithm::kSha256, "sha256", 32},
    AlgorithmInfo{HashAlgorithm::kSha512, "sha512", 64},
};

const AlgorithmInfo& info(HashAlgorithm algorithm) {
  return kAlgorithms[static_cast<std::size_t>(algorithm)];
}

/// Looked up once: OpenSSL takes as long for that as for hashing a short text.
const EVP_MD* implementation(HashAlgorithm algorithm) {
  static const auto fetched = [] {
    std::array<const EVP_MD*, kAlgorithms.size()> all{};
    for (const AlgorithmInfo& one : kAlgorithms) {
      all[static_cast<std::size_t>(one.algorithm)] =
          EVP_MD_fetch(nullptr, one.name.data(), nullptr);
    }
    return all;
  }();
  return fetched[static_cast<std::size_t>(algorithm)];
}

constexpr unsigned kNoDigit = 16;

/// By character. Tables are read a million checksums at a time.
constexpr auto kHexValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (unsigned i = 0; i < 10; ++i) values['0' + i] = static_cast<std::uint8_t>(i);
  for (unsigned i = 0; i < 6; ++i) {
    values['a' + i] = values['A' + i] = static_cast<std::uint8_t>(10 + i);
  }
  return values;
}();

unsigned hex_value(char digit) {
  return kHexValues[static_cast<unsigned char>(digit)];
}

}  // namespace

std::size_t digest_size(HashAlgorithm algorithm) {
  return info(algorithm).size;
}

std::string Checksum::to_string() const {
  return std::string(info(algorithm).name).append(":").append(to_hex());
}

std::string Checksum::to_hex() const {
  static constexpr std::string_view kHexDigits = "0123456789abcdef";
  const std::size_t size = info(algorithm).size;
  std::string text;
  text.reserve(2 * size);
  for (std::size_t i = 0; i < size; ++i) {
    const auto value = std::to_integer<unsigned>(digest[i]);
    text.push_back(kHexDigits[value >> 4]);
    text.push_back(kHexDigits[value & 0xF]);
  }
  return text;
}

Result<Checksum> Checksum::parse(std::string_view text) {
  const auto colon = text.find(':');
  const bool bare = colon == std::string_view::npos;
  const std::string_view name = bare ? std::string_view{} : text.substr(0, colon);
  const std::string_view hex = bare ? text : text.substr(colon + 1);
  for (const AlgorithmInfo& kind : kAlgorithms) {
    if (hex.size() != 2 * kind.size || (!bare && name != kind.name)) continue;
    Checksum checksum{.algorithm = kind.algorithm};
    for (std::size_t i = 0; i < kind.size; ++i) {
      const unsigned high = hex_value(hex[2 * i]);
      const unsigned low = hex_value(hex[2 * i + 1]);
      if (high == kNoDigit || low == kNoDigit) {
        return make_error(ErrorKind::kInvalid,
                          "'{}' is not a checksum: it has a character that "
                          "is not a hexadecimal digit",
                          text);
      }
      checksum.digest[i] = static_cast<std::byte>(high << 4 | low);
    }
    return checksum;
  }
  return make_error(ErrorKind::kInvalid,
                    "'{}' is not a checksum: write sha256:<64 hex digits>, or md5, sha1 or sha512 "
                    "with theirs",
                    text);
}

struct Hasher::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  Context() {
    if (md == nullptr) throw std::bad_alloc();
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(md); }
};

Hasher::Hasher(HashAlgorithm algorithm)
    : algorithm_(algorithm), context_(std::make_unique<Context>()) {
  EVP_DigestInit_ex(context_->md, implementation(algorithm_), nullptr);
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> data) {
  EVP_DigestUpdate(context_->md, data.data(), data.size());
}

Checksum Hasher::finish() {
  Checksum checksum{.algorithm = algorithm_};
  EVP_DigestFinal_ex(context_->md, reinterpret_cast<unsigned char*>(checksum.digest.data()),
                     nullptr);
  EVP_DigestInit_ex(context_->md, implementation(algorithm_), nullptr);
  return checksum;
}

Checksum sha256_of(std::string_view text) {
  Hasher hasher(HashAlgorithm::kSha256);
  hasher.update(std::as_bytes(std::span(text.data(), text.size())));
  return hasher.finish();
}

}  // namespace ferry
