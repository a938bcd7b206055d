// Checksums of file contents (OpenSSL's EVP interface).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ferry/base/result.h"

namespace ferry {

enum class HashAlgorithm : std::uint8_t { kMd5, kSha1, kSha256, kSha512 };

std::size_t digest_size(HashAlgorithm algorithm);  // bytes

/// A digest with its algorithm.
struct Checksum {
  HashAlgorithm algorithm = HashAlgorithm::kSha256;
  std::array<std::byte, 64> digest{};  // the first digest_size(algorithm) bytes count

  bool operator==(const Checksum&) const = default;

  /// "sha256:<hex>"; also "md5:", "sha1:" and "sha512:".
  std::string to_string() const;
  /// "<hex>" alone.
  std::string to_hex() const;

  /// Reads what to_string writes, and bare hex, whose length tells the algorithm (32 digits MD5,
  /// 40 SHA-1, 64 SHA-256, 128 SHA-512). Upper case is accepted.
  static Result<Checksum> parse(std::string_view text);
};

/// Computes one checksum over bytes given in order. Not thread-safe.
class Hasher {
 public:
  explicit Hasher(HashAlgorithm algorithm);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void update(std::span<const std::byte> data);
  /// The checksum of all that was given; the hasher starts anew.
  Checksum finish();

 private:
  struct Context;
  HashAlgorithm algorithm_;
  std::unique_ptr<Context> context_;
};

/// The SHA-256 of TEXT.
Checksum sha256_of(std::string_view text);

}  // namespace ferry
