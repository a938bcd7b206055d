#include <doctest/doctest.h>

#include "ferry/sftp/connect.h"

using ferry::ErrorKind;
using ferry::sftp::Url;

namespace {

Url parsed(std::string_view text) {
  CAPTURE(text);
  const auto url = Url::parse(text);
  REQUIRE(url.has_value());
  const auto again = Url::parse(url->to_string());
  REQUIRE(again.has_value());
  CHECK(again->user == url->user);
  CHECK(again->host == url->host);
  CHECK(again->port == url->port);
  CHECK(again->directory == url->directory);
  return *url;
}

std::string refusal(std::string_view text) {
  CAPTURE(text);
  const auto url = Url::parse(text);
  REQUIRE_FALSE(url.has_value());
  CHECK(url.error().kind == ErrorKind::kInvalid);
  return url.error().message;
}

}  // namespace

TEST_CASE("a URL has a user, a host, a port and a directory") {
  const Url url = parsed("sftp://alice@b.example:2222/in/box");
  CHECK(url.user == "alice");
  CHECK(url.host == "b.example");
  CHECK(url.port == 2222);
  CHECK(url.directory == "/in/box");
  CHECK(url.to_string() == "sftp://alice@b.example:2222/in/box");
}

TEST_CASE("only the host is required") {
  const Url url = parsed("SFTP://b.example");
  CHECK(url.user.empty());
  CHECK(url.port == 22);
  CHECK(url.directory == ".");
}

TEST_CASE("a directory starts at the root, or after ~ at the login directory") {
  CHECK(parsed("sftp://h/").directory == "/");
  CHECK(parsed("sftp://h/a/b/").directory == "/a/b");
  CHECK(parsed("sftp://h/~").directory == ".");
  CHECK(parsed("sftp://h/~/").directory == ".");
  CHECK(parsed("sftp://h/~/a/b").directory == "a/b");
  CHECK(parsed("sftp://h/%7E/a").directory == "/~/a");
  CHECK(parsed("sftp://h/~a").directory == "/~a");
}

TEST_CASE("percent-encoding is undone, and redone") {
  const Url url = parsed("sftp://a%40corp@h/with%20space/%C3%BC%3F%23%25");
  CHECK(url.user == "a@corp");
  CHECK(url.directory == "/with space/ü?#%");
  CHECK(url.to_string() == "sftp://a%40corp@h/with%20space/%C3%BC%3F%23%25");
}

TEST_CASE("an IPv6 address stands in brackets") {
  CHECK(parsed("sftp://[::1]:2222/x").host == "::1");
  CHECK(parsed("sftp://u@[fe80::1%25eth0]/x").host == "fe80::1%eth0");
  CHECK(refusal("sftp://fe80::1/x").find("brackets") != std::string::npos);
}

TEST_CASE("a password is refused without being repeated") {
  const std::string message = refusal("sftp://alice:s3cret@h/x");
  CHECK(message.find("password file option") != std::string::npos);
  CHECK(message.find("s3cret") == std::string::npos);
}

TEST_CASE("what is not an sftp URL is refused") {
  for (const char* text : {"",
                           "sftp:",
                           "/local/dir",
                           "user@host:dir",
                           "ftp://h/x",
                           "ssh://h",
                           "sftp://",
                           "sftp:///x",
                           "sftp://@h",
                           "sftp://u@/x",
                           "sftp://h:0",
                           "sftp://h:65536",
                           "sftp://h:",
                           "sftp://h:22x",
                           "sftp://[::1",
                           "sftp://[::1]x",
                           "sftp://[h]",
                           "sftp://h/%4",
                           "sftp://h/%zz",
                           "sftp://h/%00",
                           "sftp://h/a%0Ab",
                           "sftp://h/x?y",
                           "sftp://h/x#y",
                           "sftp://h?x",
                           "sftp://u;x=1@h/",
                           "sftp://h/~//x"}) {
    refusal(text);
  }
}

TEST_CASE("names that a program would take for options are refused") {
  refusal("sftp://-oProxyCommand=x/y");
  refusal("sftp://-l@h/y");
  refusal("sftp://%2DoX@h/y");
}
