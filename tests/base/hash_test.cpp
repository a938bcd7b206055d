#include "ferry/base/hash.h"

#include <doctest/doctest.h>

#include "ferry/base/file.h"

using namespace ferry;

namespace {

std::string hash(HashAlgorithm algorithm, std::string_view text) {
  Hasher hasher(algorithm);
  hasher.update(as_bytes(text));
  return hasher.finish().to_string();
}

}  // namespace

TEST_CASE("the test vectors of the standards") {
  CHECK(hash(HashAlgorithm::kMd5, "abc") == "md5:900150983cd24fb0d6963f7d28e17f72");
  CHECK(hash(HashAlgorithm::kSha1, "abc") == "sha1:a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(hash(HashAlgorithm::kSha256, "abc") ==
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hash(HashAlgorithm::kSha256, "") ==
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hash(HashAlgorithm::kSha512, "abc").starts_with("sha512:ddaf35a193617abacc417349ae204131"));
}

TEST_CASE("finish starts anew") {
  Hasher hasher(HashAlgorithm::kMd5);
  hasher.update(as_bytes("other"));
  const auto first = hasher.finish();
  hasher.update(as_bytes("abc"));
  CHECK(hasher.finish().to_string() == "md5:900150983cd24fb0d6963f7d28e17f72");
  CHECK(first.to_string() != "md5:900150983cd24fb0d6963f7d28e17f72");
}

TEST_CASE("checksums are read with a prefix, or by their length") {
  const auto parsed = [](std::string_view text) {
    return Checksum::parse(text).value().to_string();
  };
  CHECK(parsed("md5:900150983cd24fb0d6963f7d28e17f72") == "md5:900150983cd24fb0d6963f7d28e17f72");
  CHECK(parsed("900150983CD24FB0D6963F7D28E17F72") == "md5:900150983cd24fb0d6963f7d28e17f72");
  CHECK(parsed("a9993e364706816aba3e25717850c26c9cd0d89d").starts_with("sha1:"));
  CHECK(parsed(std::string(64, '0')).starts_with("sha256:"));
  CHECK(parsed(std::string(128, 'f')).starts_with("sha512:"));
}

TEST_CASE("what is no checksum is refused") {
  for (const std::string& text : {std::string(), std::string("sha256:"), std::string(63, '0'),
                                  std::string(64, 'g'), "md5:" + std::string(64, '0'),
                                  "crc32:" + std::string(8, '0'), ":" + std::string(64, '0')}) {
    CAPTURE(text);
    CHECK_FALSE(Checksum::parse(text));
  }
}
