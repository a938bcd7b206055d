#include "ferry/base/text.h"

#include <doctest/doctest.h>

#include "ferry/base/json.h"

using namespace ferry;

TEST_CASE("what a terminal obeys is escaped") {
  CHECK(escape_controls("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
  CHECK(escape_controls("tab\there\x7f") == "tab\\x09here\\x7f");
  CHECK(escape_controls("C1 \xc2\x9b end") == "C1 \\x9b end");
  CHECK(escape_controls("bare C1 \x9b") == "bare C1 \\x9b");
}

TEST_CASE("what changes the direction of writing is escaped") {
  CHECK(escape_controls("exe.\xe2\x80\xaevsc") == "exe.\\u202evsc");
  CHECK(escape_controls("\xe2\x81\xa6x\xe2\x81\xa9") == "\\u2066x\\u2069");
  CHECK(escape_controls("line\xe2\x80\xa8line") == "line\\u2028line");
  CHECK(escape_controls("\xd8\x9c") == "\\u061c");
}

TEST_CASE("bytes that are not UTF-8 are escaped") {
  CHECK(escape_controls("a\xff") == "a\\xff");
  CHECK(escape_controls("cut \xe2\x80") == "cut \\xe2\\x80");
  CHECK(escape_controls("overlong \xc0\xaf") == "overlong \\xc0\\xaf");
}

TEST_CASE("other text stays as it is") {
  CHECK(escape_controls("Grüße aus 東京.csv 😀") == "Grüße aus 東京.csv 😀");
  CHECK(escape_controls("").empty());
}

TEST_CASE("in JSON the meaning stays") {
  const std::string name = "a\x1b\xc2\x9b\xe2\x80\xae\x7f é\n";
  const std::string text = to_text(Json{{"name", name}});
  CHECK(text == R"({"name":"a\u001b\u009b\u202e\u007f é\n"})");
  CHECK(Json::parse(text)["name"] == name);
}

TEST_CASE("an excerpt is short and does not end within a character") {
  const std::string text = std::string(299, 'x') + "é" + std::string(100, 'y');
  CHECK(excerpt(text) == std::string(299, 'x') + "…");
  CHECK(excerpt(std::string(400, '\x80')).ends_with("\\x80…"));
  CHECK(excerpt("short \x1b") == "short \\x1b");
}
