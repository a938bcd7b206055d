#include "http/protocol/base64.h"

#include <doctest/doctest.h>

using namespace ferry;
using namespace ferry::http;

TEST_CASE("base64 is decoded, and nothing else is") {
  CHECK(decode_base64("") == "");
  CHECK(decode_base64("Zg==") == "f");
  CHECK(decode_base64("Zm8=") == "fo");
  CHECK(decode_base64("Zm9v") == "foo");
  CHECK(decode_base64("AAAA") == std::string(3, '\0'));
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "====", "Z===", "=Zg=", "Zg==Zg==", "Zm9v\n",
                           " Zm9v", "Zm 9", "Zm9\xff", "Zm-_", "Zm9v===="}) {
    CAPTURE(text);
    CHECK_FALSE(decode_base64(text));
  }
}

TEST_CASE("a digest has its algorithm's length") {
  CHECK(decode_digest(HashAlgorithm::kMd5, "1B2M2Y8AsgTpgAmY7PhCfg=="));
  CHECK_FALSE(decode_digest(HashAlgorithm::kSha1, "1B2M2Y8AsgTpgAmY7PhCfg=="));
  CHECK_FALSE(decode_digest(HashAlgorithm::kMd5, ""));
}
