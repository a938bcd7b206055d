#include "transfer/journal.h"

#include <doctest/doctest.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>

#include "temporary_directory.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;

struct Fixture {
  testing::TemporaryDirectory directory;
  JournalKey key{
      .id = "id-1",
      .destination = "sftp://b/in",
      .part_path = "/in/.a.id-1.part",
      .source = {.device = 1, .inode = 2, .size = 8 * kMiB, .mtime_ns = 3, .ctime_ns = 4},
      .checksum = Checksum::parse(std::string(64, 'a')).value()};

  void acknowledge(std::initializer_list<Range> ranges) const {
    auto journal = Journal::open(directory.path(), key);
    REQUIRE(journal);
    for (const Range& range : ranges) REQUIRE(journal->add(range));
  }
  Journal::Past past() const { return Journal::load(directory.path(), key); }
  std::uint64_t known() const { return past().acknowledged.size(); }
  fs::path file() const { return fs::directory_iterator(directory.path())->path(); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what was acknowledged is known to the next run") {
  CHECK(known() == 0);
  acknowledge({{0, kMiB}, {4 * kMiB, 5 * kMiB}});
  CHECK(past().acknowledged.missing(8 * kMiB) ==
        std::vector<Range>{{kMiB, 4 * kMiB}, {5 * kMiB, 8 * kMiB}});
  acknowledge({{kMiB, 4 * kMiB}});
  CHECK(known() == 5 * kMiB);
  CHECK_FALSE(past().publishing);
}

TEST_CASE_FIXTURE(Fixture, "that the rename was asked for is known too") {
  REQUIRE(Journal::open(directory.path(), key)->add_publishing());
  CHECK(past().publishing);
}

TEST_CASE_FIXTURE(Fixture, "nothing is known of another source, part name or destination") {
  acknowledge({{0, kMiB}});
  SUBCASE("ctime") {
    key.source.ctime_ns = 5;
  }
  SUBCASE("size") {
    key.source.size = 9 * kMiB;
  }
  SUBCASE("content") {
    key.checksum = Checksum::parse(std::string(64, 'b')).value();
  }
  SUBCASE("part name") {
    key.part_path = "/other";
  }
  SUBCASE("destination") {
    key.destination = "sftp://c/in";
  }
  CHECK(known() == 0);
  INFO("and a journal that is opened for it starts empty");
  acknowledge({{kMiB, 2 * kMiB}});
  CHECK(known() == kMiB);
}

TEST_CASE_FIXTURE(Fixture, "a journal that is damaged or cut anywhere is believed wholly or not") {
  acknowledge({{0, kMiB}, {2 * kMiB, 3 * kMiB}});
  const std::string whole = read_file(file()).value();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(replace_file(file(), whole.substr(0, size)));
    const std::uint64_t bytes = known();
    REQUIRE((bytes == 0 || bytes == kMiB));
    if (bytes == kMiB) CHECK(whole[size - 1] == '\n');
  }
  REQUIRE(replace_file(file(), whole + "rubbish\n"));
  CHECK(known() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a range behind the file's end makes the journal void") {
  acknowledge({{0, 9 * kMiB}});
  CHECK(known() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a removed journal is gone; removing none is no error") {
  acknowledge({{0, kMiB}});
  Journal::remove(directory.path(), key.id, key.destination);
  CHECK(known() == 0);
  Journal::remove(directory.path(), key.id, key.destination);
}
