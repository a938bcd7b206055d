#include "transfer/spool.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <boost/filesystem/operations.hpp>

#include "temporary_directory.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

struct Fixture {
  testing::TemporaryDirectory folder;

  Spool open(std::uint64_t limit = 1 << 20) const {
    auto spool = Spool::open(folder / "spool", limit);
    REQUIRE(spool);
    return std::move(*spool);
  }
  static std::string key(char letter) { return std::string(32, letter); }
  static SpoolEntry put(const Spool& spool, char letter, std::string_view content) {
    auto writer = SpoolWriter::begin(spool, key(letter));
    REQUIRE(writer);
    REQUIRE(writer->write(as_bytes(content)));
    auto entry = writer->commit();
    REQUIRE(entry);
    return *entry;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the next run finds what an earlier one made") {
  const SpoolEntry made = put(open(), 'a', "content");
  const auto found = open().find(key('a'));
  REQUIRE(found);
  CHECK(found->name == made.name);
  CHECK(found->content.sha256 == made.content.sha256);
  CHECK(found->content.identity == made.content.identity);
  CHECK_FALSE(open().find(key('b')));
}

TEST_CASE_FIXTURE(Fixture, "an entry that a power cut spoilt is made again") {
  const SpoolEntry made = put(open(), 'a', "content");
  REQUIRE(replace_file(folder / "spool" / made.name, "conten\0"));
  CHECK_FALSE(open().find(key('a')));
  CHECK(open().is_empty());
}

TEST_CASE_FIXTURE(Fixture, "what a killed writer left goes; what one is writing stays") {
  const Spool spool = open();
  REQUIRE(replace_file(folder / "spool" / (key('a') + ".x.unfinished"), "left behind"));
  auto writer = SpoolWriter::begin(spool, key('b'));
  REQUIRE(writer);
  REQUIRE(writer->write(as_bytes("x")));
  open();
  CHECK(spool.used_bytes() == 1);
  CHECK(writer->commit());
}

TEST_CASE_FIXTURE(Fixture, "without commit nothing is left") {
  const Spool spool = open();
  {
    auto writer = SpoolWriter::begin(spool, key('a'));
    REQUIRE(writer);
    REQUIRE(writer->write(as_bytes("x")));
  }
  CHECK(spool.is_empty());
}

TEST_CASE_FIXTURE(Fixture, "the same made twice is one entry, and its identity stays") {
  const Spool spool = open();
  const SpoolEntry first = put(spool, 'a', "same");
  const SpoolEntry second = put(spool, 'a', "same");
  CHECK(second.content.identity == first.content.identity);
  CHECK(spool.used_bytes() == 4);
}

TEST_CASE_FIXTURE(Fixture, "settled files' entries go, and old ones where there is no room") {
  const Spool spool = open();
  put(spool, 'a', "1234");
  put(spool, 'b', "1234");
  const SpoolEntry third = put(spool, 'c', "1234");
  spool.keep_only({key('b'), key('c')});
  CHECK(spool.used_bytes() == 8);
  spool.shrink_to(4, [&](const std::string& name) { return name == third.name; });
  CHECK(spool.used_bytes() == 4);
  CHECK(open().find(key('c')));
  spool.shrink_to(0, [&](const std::string& name) { return name == third.name; });
  CHECK(spool.used_bytes() == 4);
}

TEST_CASE("a file's key changes with its version and with what is done to it") {
  metastore::FileRecord file;
  file.id = "1";
  file.path = "a";
  Route route;
  route.transforms = {{.name = "gzip", .suffix = ".gz", .action = Gzip{}}};
  const std::string key = spool_key(file, route);
  CHECK(spool_key(file, route) == key);
  file.id = "2";
  CHECK(spool_key(file, route) != key);
  file.id = "1";
  route.transforms.push_back(route.transforms[0]);
  CHECK(spool_key(file, route) != key);
}
