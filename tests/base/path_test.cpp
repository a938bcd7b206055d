#include "ferry/base/path.h"

#include <doctest/doctest.h>

#include <vector>

using namespace ferry;

namespace {

std::vector<std::string> names_of(std::string_view path) {
  std::vector<std::string> names;
  for (Components components(path); const auto name = components.next();) names.emplace_back(*name);
  return names;
}

}  // namespace

TEST_CASE("a path is a directory and a name in it") {
  CHECK(base_name("a/b/c.csv") == "c.csv");
  CHECK(directory_of("a/b/c.csv") == "a/b");
  CHECK(parent_of("a/b/c.csv") == "a/b");
  CHECK(beside("a/b/c.csv", "d") == "a/b/d");
}

TEST_CASE("a bare name lies in the directory that is open") {
  CHECK(base_name("c.csv") == "c.csv");
  CHECK(directory_of("c.csv").empty());
  CHECK(parent_of("c.csv") == ".");
  CHECK(beside("c.csv", "d") == "d");
}

TEST_CASE("a name at the root lies in '/'") {
  CHECK(base_name("/c.csv") == "c.csv");
  CHECK(directory_of("/c.csv").empty());
  CHECK(parent_of("/c.csv") == "/");
  CHECK(beside("/c.csv", "d") == "/d");
}

TEST_CASE("what ends with a slash has an empty name") {
  CHECK(base_name("a/b/").empty());
  CHECK(directory_of("a/b/") == "a/b");
  CHECK(base_name("").empty());
}

TEST_CASE("components are given as they are") {
  CHECK(names_of("a/b/c") == std::vector<std::string>{"a", "b", "c"});
  CHECK(names_of("a") == std::vector<std::string>{"a"});
  CHECK(names_of("") == std::vector<std::string>{""});
  CHECK(names_of("/a//./../") == std::vector<std::string>{"", "a", "", ".", "..", ""});
}

TEST_CASE("a path is told without what tells nothing") {
  CHECK(normal_path("//in") == "/in");
  CHECK(normal_path("/in//a/") == "/in/a");
  CHECK(normal_path("/in/./a/.") == "/in/a");
  CHECK(normal_path("/in/../x") == "/x");
  CHECK(normal_path("/../x") == "/x");
  CHECK(normal_path("/in/..") == "/");
  CHECK(normal_path("//") == "/");
  CHECK(normal_path("in/../a") == "a");
  CHECK(normal_path("./in/") == "in");
  CHECK(normal_path("in/..") == ".");
  CHECK(normal_path("") == ".");
  CHECK(normal_path("in/../../x/..") == "..");
  CHECK(normal_path("../../x") == "../../x");
  CHECK(normal_path("/.in/..a") == "/.in/..a");
}

TEST_CASE("control characters are those of C0, and DEL") {
  CHECK(has_control_character("a\nb"));
  CHECK(has_control_character("a\x7F"));
  CHECK(has_control_character(std::string_view("\0", 1)));
  CHECK_FALSE(has_control_character("größer ~"));
  CHECK_FALSE(has_control_character(""));
}
