#include "transfer/source/spool.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <thread>

#include "temporary_directory.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

struct Fixture {
  testing::TemporaryDirectory folder;
  fs::path directory = folder / "spool";

  std::unique_ptr<Spool> open(std::uint64_t limit = 1 << 20) const {
    auto spool = Spool::open(directory, limit);
    REQUIRE(spool);
    return std::move(*spool);
  }
  static std::string key(char letter) { return std::string(32, letter); }
  static SpoolEntry put(Spool& spool, char letter, std::string_view content) {
    CHECK(spool.make_room(content.size()));
    auto writer = SpoolWriter::begin(spool, key(letter));
    REQUIRE(writer);
    REQUIRE(writer->write(as_bytes(content)));
    auto entry = writer->commit();
    REQUIRE(entry);
    return *entry;
  }
  /// The same, made AGE seconds ago.
  SpoolEntry put_long_ago(Spool& spool, char letter, std::string_view content, int age) const {
    const SpoolEntry entry = put(spool, letter, content);
    const timespec time{.tv_sec = ::time(nullptr) - age, .tv_nsec = 0};
    const timespec both[] = {time, time};
    REQUIRE(::utimensat(AT_FDCWD, (directory / entry.name).c_str(), both, 0) == 0);
    return entry;
  }
  /// The first letters of all entries' keys.
  std::string letters() const {
    std::string found;
    for (const auto& entry : fs::directory_iterator(directory)) {
      found += entry.path().filename().string().front();
    }
    std::ranges::sort(found);
    return found;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the next run finds what an earlier one made") {
  const SpoolEntry made = put(*open(), 'a', "content");
  const auto spool = open();
  const auto found = spool->find_and_hold(key('a'));
  REQUIRE(found);
  CHECK(found->name == made.name);
  CHECK(found->content.sha256 == made.content.sha256);
  CHECK(found->content.identity == made.content.identity);
  CHECK_FALSE(spool->find_and_hold(key('b')));
}

TEST_CASE_FIXTURE(Fixture, "an entry that a power cut spoilt is made again") {
  const SpoolEntry made = put(*open(), 'a', "content");
  REQUIRE(replace_file(directory / made.name, "conten\0"));
  const auto spool = open();
  CHECK_FALSE(spool->find_and_hold(key('a')));
  CHECK(spool->is_empty());
  CHECK_FALSE(spool->holds_any());
}

TEST_CASE_FIXTURE(Fixture, "what a killed writer left goes; what one is writing stays") {
  const auto spool = open();
  REQUIRE(replace_file(directory / (key('a') + ".x.unfinished"), "left behind"));
  auto writer = SpoolWriter::begin(*spool, key('b'));
  REQUIRE(writer);
  REQUIRE(writer->write(as_bytes("x")));
  open();
  CHECK(letters() == "b");
  CHECK(writer->commit());
}

TEST_CASE_FIXTURE(Fixture, "without commit nothing is left, and nothing is found before it") {
  const auto spool = open();
  {
    auto writer = SpoolWriter::begin(*spool, key('a'));
    REQUIRE(writer);
    REQUIRE(writer->write(as_bytes("x")));
    CHECK_FALSE(spool->find_and_hold(key('a')));
  }
  CHECK(spool->is_empty());
}

TEST_CASE_FIXTURE(Fixture, "the same made twice is one entry, and its identity stays") {
  const auto spool = open();
  const SpoolEntry first = put(*spool, 'a', "same");
  const SpoolEntry second = put(*spool, 'a', "same");
  CHECK(second.content.identity == first.content.identity);
  CHECK(letters() == "a");
}

TEST_CASE_FIXTURE(Fixture,
                  "an entry stays until all who hold it let it go, one of whom is done with it") {
  const auto spool = open();
  put(*spool, 'a', "content");
  const auto one = spool->find_and_hold(key('a'));
  const auto other = spool->find_and_hold(key('a'));
  REQUIRE(one);
  REQUIRE(other);
  CHECK(spool->holds_any());
  SUBCASE("done, while another holds it") {
    spool->release(one->name, true);
    CHECK(letters() == "a");
    spool->release(other->name, true);
    CHECK(spool->is_empty());
  }
  SUBCASE("not done: it is for others to find") {
    spool->release(one->name, false);
    spool->release(other->name, false);
    CHECK(letters() == "a");
  }
  CHECK_FALSE(spool->holds_any());
}

TEST_CASE_FIXTURE(Fixture, "a writer's entry can be held before anybody looks for it") {
  const auto spool = open();
  const SpoolEntry made = put(*spool, 'a', "content");
  spool->hold(made.name);
  spool->keep_only({});
  CHECK(letters() == "a");
  spool->release(made.name, false);
  spool->keep_only({});
  CHECK(spool->is_empty());
}

TEST_CASE_FIXTURE(Fixture, "settled files' entries go, but for those that are held") {
  const auto spool = open();
  for (const char letter : {'a', 'b', 'c'}) put(*spool, letter, "1234");
  const auto held = spool->find_and_hold(key('c'));
  auto writer = SpoolWriter::begin(*spool, key('d'));
  spool->keep_only({key('b')});
  CHECK(letters() == "bcd");
}

// Room.

TEST_CASE_FIXTURE(Fixture, "where there is no room the oldest entries make it") {
  const auto spool = open(12);
  put_long_ago(*spool, 'b', "1234", 10);
  put_long_ago(*spool, 'a', "1234", 30);
  put_long_ago(*spool, 'c', "1234", 20);
  CHECK(spool->make_room(4));
  CHECK(letters() == "bc");
  CHECK(spool->make_room(8));
  CHECK(letters() == "b");
  CHECK(spool->make_room(12));
  CHECK(spool->is_empty());
  CHECK_FALSE(spool->make_room(13));
}

TEST_CASE_FIXTURE(Fixture, "what is held makes no room") {
  const auto spool = open(12);
  put_long_ago(*spool, 'a', "1234", 30);
  put_long_ago(*spool, 'b', "1234", 20);
  const auto held = spool->find_and_hold(key('a'));
  CHECK(spool->make_room(8));
  INFO("the older one is held, so it is the other that goes");
  CHECK(letters() == "a");
  CHECK_FALSE(spool->make_room(9));
  CHECK(letters() == "a");
  INFO("what was refused was not used");
  spool->release(held->name, false);
  CHECK(spool->make_room(12));
}

TEST_CASE_FIXTURE(Fixture, "what there was before, and what was granted, counts") {
  put(*open(), 'a', "1234");
  const auto spool = open(12);
  const auto held = spool->find_and_hold(key('a'));
  put(*spool, 'b', "12345678");
  const auto other = spool->find_and_hold(key('b'));
  CHECK_FALSE(spool->make_room(1));
}

// Several at once.

TEST_CASE_FIXTURE(Fixture, "what two destinations want is made once") {
  const auto spool = open();
  std::atomic<int> made = 0;
  const auto want = [&] {
    const Spool::Making making(*spool, key('a'));
    if (spool->find_and_hold(key('a'))) return;
    ++made;
    std::this_thread::yield();
    put(*spool, 'a', "content");
  };
  {
    std::vector<std::jthread> agents;
    for (int i = 0; i < 8; ++i) agents.emplace_back(want);
  }
  CHECK(made == 1);
}

TEST_CASE_FIXTURE(Fixture, "who makes one entry does not wait for who makes another") {
  const auto spool = open();
  const Spool::Making one(*spool, key('a'));
  const Spool::Making other(*spool, key('b'));
  CHECK(spool->is_empty());
}

TEST_CASE("a file's key changes with its version and with what is done to it") {
  metastore::FileRecord file;
  file.id = "1";
  file.path = "a";
  Route route;
  route.transforms = {{.name = "gzip", .type = find_transform_type("gzip")}};
  const std::string key = spool_key(file, route);
  CHECK(spool_key(file, route) == key);
  file.id = "2";
  CHECK(spool_key(file, route) != key);
  file.id = "1";
  file.checksum.digest[0] ^= std::byte{1};
  CHECK(spool_key(file, route) != key);
  file.checksum.digest[0] ^= std::byte{1};
  route.transforms.push_back(route.transforms[0]);
  CHECK(spool_key(file, route) != key);
}
