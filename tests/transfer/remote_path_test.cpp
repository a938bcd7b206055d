#include "transfer/naming/remote_path.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace ferry::transfer;

namespace {

const std::string kToken = part_token("batch", "file", 0);

}  // namespace

TEST_CASE("directory and path are joined by one slash") {
  CHECK(join_remote("/in", "a/b") == "/in/a/b");
  CHECK(join_remote("/", "a") == "/a");
  CHECK(join_remote("", "a") == "a");
}

TEST_CASE("a part file is hidden, and lies beside its target") {
  CHECK(part_path("/in/a.csv", kToken) == "/in/.a.csv." + kToken + ".part");
  CHECK(part_path("a.csv", kToken) == ".a.csv." + kToken + ".part");
}

TEST_CASE("the name of a part file fits wherever the target's fits") {
  for (const std::size_t size : {1U, 50U, 78U, 79U, 100U, 101U, 215U, 255U}) {
    const std::string part = part_path("/in/" + std::string(size, 'x'), kToken);
    CHECK(part.size() <= std::string("/in/").size() + std::clamp<std::size_t>(size, 100, 200));
    CHECK(part.starts_with("/in/.x"));
    CHECK(part.ends_with("." + kToken + ".part"));
  }
}

TEST_CASE("a name is never cut inside a character") {
  std::string name;
  while (name.size() < 254) name += "é";
  const std::string part = part_path(name, kToken);
  const std::string cut = part.substr(1, part.size() - 1 - kToken.size() - 6);
  CHECK(cut.size() % 2 == 0);
  CHECK(part.size() <= 254);
}

TEST_CASE("no two tries, files or batches have one part file") {
  const std::set<std::string> tokens{part_token("b", "f", 0), part_token("b", "f", 1),
                                     part_token("b", "g", 0), part_token("c", "f", 0)};
  CHECK(tokens.size() == 4);
  CHECK(part_token("b", "f", 0) == part_token("b", "f", 0));
}

TEST_CASE("paths that no usual file system takes") {
  CHECK_FALSE(is_too_long("/in/a.csv"));
  CHECK_FALSE(is_too_long("/in/" + std::string(255, 'x')));
  CHECK(is_too_long("/in/" + std::string(256, 'x') + "/a"));
  std::string deep;
  while (deep.size() <= 4095) deep += "/" + std::string(200, 'd');
  CHECK(is_too_long(deep));
}
