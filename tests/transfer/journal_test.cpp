#include "transfer/deliver/journal.h"

#include <doctest/doctest.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>

#include "temporary_directory.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
const std::string kPart = "/in/.a.0123.part";

struct Fixture {
  testing::TemporaryDirectory directory;
  JournalKey key{
      .id = "id-1",
      .destination = "sftp://b/in",
      .final_path = "/in/a",
      .source = {.device = 1, .inode = 2, .size = 8 * kMiB, .mtime_ns = 3, .ctime_ns = 4},
      .checksum = Checksum::parse(std::string(64, 'a')).value()};

  void acknowledge(std::initializer_list<Range> ranges) const {
    auto journal = Journal::load(directory.path(), key)
                       ? Journal::resume(directory.path(), key)
                       : Journal::begin(directory.path(), key, kPart);
    REQUIRE(journal);
    for (const Range& range : ranges) REQUIRE(journal->add(range, true, {}));
  }
  Journal::Past past() const {
    return Journal::load(directory.path(), key).value_or(Journal::Past{});
  }
  std::uint64_t known() const { return past().acknowledged.size(); }
  fs::path file() const { return fs::directory_iterator(directory.path())->path(); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what was acknowledged is known to the next run") {
  CHECK(known() == 0);
  acknowledge({{0, kMiB}, {4 * kMiB, 5 * kMiB}});
  CHECK(past().acknowledged.missing({0, 8 * kMiB}) ==
        std::vector<Range>{{kMiB, 4 * kMiB}, {5 * kMiB, 8 * kMiB}});
  acknowledge({{kMiB, 4 * kMiB}});
  CHECK(known() == 5 * kMiB);
  CHECK(past().part_path == kPart);
  CHECK(Journal::part_path_in(directory.path(), key.id, key.destination) == kPart);
  CHECK_FALSE(past().rename_asked);
  CHECK_FALSE(past().is_doubtful);
}

TEST_CASE_FIXTURE(Fixture, "the latest of what the server said of the part's time is known") {
  acknowledge({{0, kMiB}});
  CHECK_FALSE(past().modified);
  auto journal = Journal::resume(directory.path(), key);
  REQUIRE(journal);
  REQUIRE(journal->add({kMiB, 2 * kMiB}, true, 1700000005));
  REQUIRE(journal->add({2 * kMiB, 3 * kMiB}, true, 1700000004));
  CHECK(past().modified == 1700000005);
  CHECK(known() == 3 * kMiB);
}

TEST_CASE_FIXTURE(Fixture, "that the rename was asked for is known too") {
  REQUIRE(Journal::begin(directory.path(), key, kPart)->add_rename_asked());
  CHECK(past().rename_asked);
}

TEST_CASE_FIXTURE(Fixture, "what was not synced is known as doubtful") {
  REQUIRE(Journal::begin(directory.path(), key, kPart)->add({0, kMiB}, false, {}));
  CHECK(past().is_doubtful);
}

TEST_CASE_FIXTURE(Fixture, "an id that would lead elsewhere stays in the directory") {
  key.id = "../../elsewhere";
  acknowledge({{0, kMiB}});
  CHECK(known() == kMiB);
  CHECK(file().parent_path() == directory.path());
}

TEST_CASE_FIXTURE(Fixture, "nothing is known of another source, final name or destination") {
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
  SUBCASE("final name") {
    key.final_path = "/other";
  }
  SUBCASE("destination") {
    key.destination = "sftp://c/in";
  }
  CHECK(known() == 0);
  INFO("and a journal that is opened for it starts empty");
  acknowledge({{kMiB, 2 * kMiB}});
  CHECK(known() == kMiB);
}

TEST_CASE_FIXTURE(Fixture, "a journal that is cut anywhere is believed up to its last whole line") {
  acknowledge({{0, kMiB}, {2 * kMiB, 3 * kMiB}});
  const std::string whole = read_file(file()).value();
  std::uint64_t before = 0;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    REQUIRE(replace_file(file(), whole.substr(0, size)));
    const std::uint64_t bytes = known();
    REQUIRE(bytes >= before);
    if (bytes > before) CHECK(whole[size - 1] == '\n');
    before = bytes;
  }
  CHECK(before == 2 * kMiB);
  INFO("and what is added later is not glued to the rest");
  REQUIRE(replace_file(file(), whole.substr(0, whole.size() - 3)));
  acknowledge({{2 * kMiB, 3 * kMiB}});
  CHECK(known() == 2 * kMiB);
  INFO("but rubbish makes it void");
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
