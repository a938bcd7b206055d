#include "http/protocol/digest_field.h"

#include <doctest/doctest.h>

using namespace ferry;
using namespace ferry::http;

namespace {

// Of the empty text, as RFC 9530 has it in its appendix.
constexpr std::string_view kSha256 = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
constexpr std::string_view kSha512 =
    "sha-512=:z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+"
    "SfaPg==:";

Checksum of_nothing(HashAlgorithm algorithm) {
  return Hasher(algorithm).finish();
}

}  // namespace

TEST_CASE("digests are read") {
  CHECK(parse_digest_field(kSha256).value() == std::vector{of_nothing(HashAlgorithm::kSha256)});
  const auto both = parse_digest_field(fmt::format("{} ,\t{}", kSha256, kSha512));
  CHECK(both.value() ==
        std::vector{of_nothing(HashAlgorithm::kSha256), of_nothing(HashAlgorithm::kSha512)});
  CHECK(parse_digest_field(fmt::format("unixsum=:AAA=:, {}", kSha256))->size() == 1);
}

TEST_CASE("a digest that cannot be checked is refused") {
  for (const char* text :
       {"", ",", "sha-256", "sha-256=", "sha-256=abc", "sha-256=:abc:", "sha-256=::", "=:AAAA:",
        "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU==:",
        "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF!=:",
        "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu===:",
        "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA:"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_digest_field(text));
  }
}
