#include "transfer/remote_path.h"

#include <doctest/doctest.h>

using namespace ferry::transfer;

namespace {

const std::string kId = "01a20397-e798-7185-94e7-95d5f7670085";

}  // namespace

TEST_CASE("directory and path are joined by one slash") {
  CHECK(join_remote("/in", "a/b") == "/in/a/b");
  CHECK(join_remote("/", "a") == "/a");
  CHECK(join_remote("", "a") == "a");
}

TEST_CASE("the parent of a path") {
  CHECK(remote_parent("/a/b") == "/a");
  CHECK(remote_parent("/a") == "/");
  CHECK(remote_parent("a/b") == "a");
  CHECK(remote_parent("a") == ".");
}

TEST_CASE("a part file is hidden, lies beside its target, and carries the file's id") {
  CHECK(part_path("/in/a.csv", kId) == "/in/.a.csv." + kId + ".part");
  CHECK(part_path("a.csv", kId) == ".a.csv." + kId + ".part");
}

TEST_CASE("the name of a part file fits where the target's fits") {
  const std::string part = part_path("/in/" + std::string(255, 'x'), kId);
  CHECK(part.size() == std::string("/in/").size() + 255);
  CHECK(part.ends_with("." + kId + ".part"));
}

TEST_CASE("a name is never cut inside a character") {
  std::string name;
  while (name.size() < 254) name += "é";
  const std::string part = part_path(name, kId);
  const std::string cut = part.substr(1, part.size() - 1 - kId.size() - 6);
  CHECK(cut.size() % 2 == 0);
  CHECK(part.size() <= 255);
}

TEST_CASE("paths that no usual file system takes") {
  CHECK_FALSE(is_too_long("/in/a.csv"));
  CHECK_FALSE(is_too_long("/in/" + std::string(255, 'x')));
  CHECK(is_too_long("/in/" + std::string(256, 'x') + "/a"));
  std::string deep;
  while (deep.size() <= 4095) deep += "/" + std::string(200, 'd');
  CHECK(is_too_long(deep));
}
