#include "landing/watch/ignore.h"

#include <doctest/doctest.h>

using namespace ferry::landing;

namespace {

bool ignored(const std::string& path, std::vector<std::string> globs = {}) {
  return IgnoreRules(std::move(globs)).ignores_file(path);
}

}  // namespace

TEST_CASE("an ordinary file is not ignored") {
  CHECK_FALSE(ignored("a.csv"));
  CHECK_FALSE(ignored("in/2026/a.b.csv"));
  CHECK_FALSE(ignored("in/tmp"));
  CHECK_FALSE(ignored("in/part/partial"));
}

TEST_CASE("dot files, and all that is below dot directories, are ignored") {
  CHECK(ignored(".a"));
  CHECK(ignored("in/.a.csv.swp"));
  CHECK(ignored(".ferry/lock"));
  CHECK(ignored("in/.work/deep/a.csv"));
}

TEST_CASE("names of unfinished uploads are ignored") {
  CHECK(ignored("a.csv.tmp"));
  CHECK(ignored("in/a.part"));
  CHECK(ignored("in/a.filepart"));
}

TEST_CASE("what was a complete file is not ignored for its directory's name") {
  CHECK_FALSE(ignored("old.part/a.csv"));
}

TEST_CASE("a glob matches the name") {
  CHECK(ignored("in/a.bak", {"*.bak"}));
  CHECK(ignored("in/Thumbs.db", {"*.bak", "Thumbs.db"}));
  CHECK_FALSE(ignored("in/a.bak.csv", {"*.bak"}));
}

TEST_CASE("a glob matches the relative path") {
  CHECK(ignored("archive/2026/a.csv", {"archive/*"}));
  CHECK_FALSE(ignored("in/archive.csv", {"archive/*"}));
}

TEST_CASE("names that can be registered") {
  CHECK_FALSE(name_problem("a b.csv"));
  CHECK_FALSE(name_problem("Grüße-\xE2\x82\xAC-\xF0\x9F\x9A\xA2.csv"));
}

TEST_CASE("control characters make a name unfit") {
  CHECK(name_problem("a\nb"));
  CHECK(name_problem("a\x7F"));
  CHECK(name_problem(std::string_view("a\0b", 3)));
  CHECK(
      name_problem("a\xC2\x9B"
                   "2J"));               // C1: what a terminal takes for a command
  CHECK(name_problem("\u202Evsc.exe"));  // shown as exe.csv
}

TEST_CASE("bytes that are no UTF-8 make a name unfit") {
  CHECK(name_problem("gr\xFC\xDF"));        // Latin-1
  CHECK(name_problem("\x80"));              // continuation without a lead
  CHECK(name_problem("\xE2\x82"));          // cut
  CHECK(name_problem("\xC0\xAF"));          // overlong '/'
  CHECK(name_problem("\xE0\x80\xAF"));      // overlong
  CHECK(name_problem("\xED\xA0\x80"));      // surrogate
  CHECK(name_problem("\xF4\x90\x80\x80"));  // beyond U+10FFFF
  CHECK(name_problem("\xFF"));
}

TEST_CASE("an unfit name has a form that can be shown") {
  CHECK(printable("a\nb\xFF"
                  "c") == "a\\x0ab\\xffc");
  CHECK(printable("Grüße") == "Grüße");
}
