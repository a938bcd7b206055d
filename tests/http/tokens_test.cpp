#include "ferry/http/tokens.h"

#include <doctest/doctest.h>

#include "ferry/http/service.h"
#include "temporary_directory.h"

using namespace ferry;
using namespace ferry::http;
using ferry::testing::TemporaryDirectory;

TEST_CASE("a grant reaches as far as its area and directory, and no further") {
  const Grant grant{.name = "x", .upload = {"in", "out/a", "deep/a/b/"}};
  CHECK(grant.may_upload("in", "file"));
  CHECK(grant.may_upload("out", "a/file"));
  CHECK(grant.may_upload("deep", "a/b/c/file"));
  CHECK_FALSE(grant.may_upload("i", "file"));
  CHECK_FALSE(grant.may_upload("inn", "file"));
  CHECK_FALSE(grant.may_upload("out", "a"));
  CHECK_FALSE(grant.may_upload("out", "ab/file"));
  CHECK_FALSE(grant.may_upload("out", "file"));
  CHECK_FALSE(grant.may_upload("deep", "a/file"));
  CHECK_FALSE(Grant{.name = "x"}.may_upload("in", "file"));
  CHECK(Grant{.name = "x", .upload = {"*"}}.may_upload("any", "file"));
}

TEST_CASE("a book of tokens follows its file, and never falls open") {
  TemporaryDirectory dir;
  const fs::path file = dir / "tokens";
  TokenBook book(file);
  CHECK(revoke_token(file, "one").error().kind == ErrorKind::kNotFound);
  CHECK_FALSE(book.is_required().value());
  const auto one = new_token(file, {.name = "one", .read = true}, std::nullopt).value();
  const auto late = new_token(file, {.name = "late", .read = true}, now()).value();
  CHECK(book.is_required().value());
  CHECK(book.find(one).value()->name == "one");
  CHECK_FALSE(book.find(late).value());
  CHECK_FALSE(book.find("").value());
  CHECK_FALSE(book.find(one.substr(1)).value());
  CHECK(new_token(file, {.name = "one"}, std::nullopt).error().kind == ErrorKind::kInvalid);
  CHECK(book.find_name("one").value() == book.find(one).value());
  CHECK_FALSE(book.find_name("late").value());
  REQUIRE(revoke_token(file, "one"));
  CHECK_FALSE(book.find(one).value());
  CHECK_FALSE(book.find_name("one").value());
  REQUIRE(revoke_token(file, "late"));
  CHECK(book.is_required().value());
  fs::remove(file);
  CHECK(book.is_required().value());
  CHECK(TokenBook(file).is_required().value());
}

TEST_CASE("a file of tokens that somebody else has written is remembered, too") {
  TemporaryDirectory dir;
  const fs::path file = dir / "tokens";
  REQUIRE(replace_file(file, ""));
  CHECK(TokenBook(file).is_required().value());
  fs::remove(file);
  CHECK(TokenBook(file).is_required().value());
}

TEST_CASE("a line that nobody understands lets nobody in") {
  TemporaryDirectory dir;
  const fs::path file = dir / "tokens";
  const auto one = new_token(file, {.name = "one", .read = true}, std::nullopt).value();
  const std::string good = read_file(file).value();
  for (const char* line : {"{}", "x", "[]", "{\"name\":\"a\",\"sha256\":\"abc\"}"}) {
    CAPTURE(line);
    REQUIRE(replace_file(file, good + line + "\n"));
    CHECK(TokenBook(file).find(one).error().kind == ErrorKind::kCorrupt);
  }
  std::string endless = good;
  endless.replace(endless.find("null"), 4, "\"soon\"");
  REQUIRE(replace_file(file, endless));
  CHECK_FALSE(TokenBook(file).find(one));
}

TEST_CASE("addresses are read and told") {
  CHECK(Address::parse(":80")->to_string() == "127.0.0.1:80");
  CHECK(Address::parse("[::1]:80")->is_local());
  CHECK(Address::parse("127.5.0.1:0")->is_local());
  CHECK_FALSE(Address::parse("0.0.0.0:80")->is_local());
  CHECK_FALSE(Address::parse("[::]:80")->is_local());
  CHECK(Address::parse("80")->to_string() == "127.0.0.1:80");
  for (const char* text : {"", "localhost:80", "127.evil:80", "::1:80", "1.2.3.4:", "1.2.3.4:x",
                           "1.2.3.4:65536", "[1.2.3.4]:80"}) {
    CAPTURE(text);
    CHECK_FALSE(Address::parse(text));
  }
}
