#include "http/protocol/target.h"

#include <doctest/doctest.h>

using namespace ferry::http;

TEST_CASE("a target is taken apart and decoded") {
  const auto target = parse_target("/v1/files/in/a%20b.csv?q=x+y%26z&limit=5");
  REQUIRE(target);
  CHECK(target->segments == std::vector<std::string>{"v1", "files", "in", "a b.csv"});
  CHECK(target->parameter("q") == "x y&z");
  CHECK(target->parameter("limit") == "5");
  CHECK_FALSE(target->parameter("since"));
  CHECK(parse_target("/")->segments == std::vector<std::string>{""});
  CHECK(parse_target("/a//b/")->segments == std::vector<std::string>{"a", "", "b", ""});
  CHECK(parse_target("http://host:80/a")->segments == std::vector<std::string>{"a"});
  CHECK(parse_target("http://host")->segments == std::vector<std::string>{""});
  CHECK(parse_target("/a?")->query.empty());
}

TEST_CASE("what could be read in two ways is refused") {
  for (const char* text : {"", "*", "a", "ftp://host/a", "/a%2fb", "/a%2Fb", "/a%00", "/a%", "/a%2",
                           "/a%zz", "/a?b=%00", "/a?b=1&b=2", "/a?b=%x"}) {
    CAPTURE(text);
    const auto target = parse_target(text);
    REQUIRE_FALSE(target);
    CHECK(target.error().status == 400);
  }
}

TEST_CASE("what was encoded is decoded to what it was") {
  std::string text;
  for (int c = 1; c < 256; ++c) {
    if (c != '/') text += static_cast<char>(c);
  }
  CHECK(parse_target("/" + percent_encode(text))->segments.front() == text);
}

TEST_CASE("of a target its path may be told, and no secret that a client put beside it") {
  CHECK(path_of("/v1/files/a%20b?token=x&y") == "/v1/files/a%20b");
  CHECK(path_of("https://user:secret@host/a?b?c") == "/a");
  CHECK(path_of("/a") == "/a");
  CHECK(path_of("") == "");
}
