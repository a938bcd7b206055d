#include "transfer/run/feed.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "temporary_directory.h"
#include "transfer/batch/batch_journal.h"

using namespace ferry;
using namespace ferry::transfer;
using metastore::Delivery;
using metastore::FileRecord;
using metastore::FileState;
using metastore::TransferRecord;
using metastore::TransferStatus;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kNoBound = std::numeric_limits<std::uint64_t>::max();

struct Fixture {
  ferry::testing::TemporaryDirectory folder;
  std::unique_ptr<metastore::Metastore> store =
      std::move(*metastore::open_metastore((folder / "metastore").string(), {}));
  std::unique_ptr<metastore::AgentPresence> presence = std::move(*store->join());
  Destination destination;
  TransferOptions options;
  LandingRoots roots;
  std::unique_ptr<Feed> feed;
  std::map<std::string, std::string> paths;  // by id

  Fixture() {
    destination.name = "b";
    for (const char* landing : {"in", "other"}) {
      REQUIRE(make_directories(folder / landing));
      REQUIRE(replace_file(folder / landing / "x", ""));
      options.landings[landing] = folder / landing;
    }
    options.control_files = folder / "batches";
  }

  std::uint64_t device() const {
    struct stat status{};
    REQUIRE(::stat((folder / "in").c_str(), &status) == 0);
    return status.st_dev;
  }
  std::string add(const std::string& path, std::uint64_t size = 1,
                  const std::string& landing = "in") {
    FileRecord record;
    record.path = path;
    record.landing = landing;
    record.identity = FileIdentity{};
    record.identity->size = size;
    record.identity->inode = 1000 + paths.size();
    record.identity->device = device();
    Hasher hasher(HashAlgorithm::kSha256);
    hasher.update(as_bytes(path + std::to_string(size)));
    record.checksum = hasher.finish();
    const auto registered = store->register_files({record});
    REQUIRE(registered);
    paths[registered->front().id] = path;
    return registered->front().id;
  }
  void begin(std::set<std::string> readable = {"in", "other"}) {
    roots = LandingRoots::open(options.landings);
    feed = std::make_unique<Feed>(*store, destination, options);
    feed->begin(roots);
    feed->rewind(std::move(readable));
  }
  Result<Feed::Claimed> try_to_claim(const Feed::Room& room) {
    return feed->claim("batch-1", presence->name(), room);
  }
  Feed::Claimed claim(std::size_t files, std::uint64_t bytes = kNoBound, bool is_empty = true) {
    auto claimed = try_to_claim({.files = files, .bytes = bytes, .is_empty = is_empty});
    REQUIRE(claimed);
    return std::move(*claimed);
  }
  static std::string paths_of(const Feed::Claimed& claimed) {
    std::string text;
    for (const auto& one : claimed.claims) text += one.file.path;
    return text;
  }
  std::string claim_all() { return paths_of(claim(1000)); }
  std::string found() {
    std::string text;
    const auto selected = select(*store, "b", options);
    REQUIRE(selected);
    for (const FileRecord& file : *selected) text += file.path;
    return text;
  }
  void append(const std::string& id, TransferStatus status, std::int64_t attempt = 1,
              Timestamp date = now()) {
    TransferRecord row;
    row.id = id;
    row.status = status;
    row.date = date;
    row.destination = "b";
    row.batch_id = "old";
    row.agent = "host-1-gone";
    row.attempt = attempt;
    if (status == TransferStatus::kFailed) {
      row.error = metastore::TransferError{.kind = "io", .message = "no", .retryable = true};
    }
    REQUIRE(store->append_transfers(std::span(&row, 1)));
  }
  /// By an agent that has died since.
  void claim_in(const std::string& batch_id, const std::vector<std::string>& ids) {
    const auto dead = std::move(*store->join());
    const auto claimed = store->claim({.destination = "b",
                                       .batch_id = batch_id,
                                       .agent = dead->name(),
                                       .ids = ids,
                                       .query = {},
                                       .accept = {},
                                       .ignore_max_attempts = false});
    REQUIRE(claimed);
    REQUIRE(claimed->size() == ids.size());
  }
  std::unique_ptr<BatchJournal> begin_journal(const std::string& batch_id) {
    BatchInfo info;
    info.id = batch_id;
    info.destination = "b";
    return std::move(*BatchJournal::begin(options.control_files, info));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "files are claimed oldest first, as many as there is room for") {
  for (const char* path : {"a", "b", "c", "d", "e"}) add(path);
  begin();
  const Feed::Claimed first = claim(2);
  CHECK(paths_of(first) == "ab");
  CHECK_FALSE(first.is_full);
  CHECK_FALSE(feed->is_exhausted());
  CHECK(paths_of(claim(2)) == "cd");
  CHECK(paths_of(claim(2)) == "e");
  CHECK(feed->is_exhausted());
  CHECK(paths_of(claim(2)).empty());
  INFO("and they are claimed");
  begin();
  CHECK(claim_all().empty());
}

TEST_CASE_FIXTURE(Fixture, "a batch that is full of bytes is said to be, and the next goes on") {
  for (const char* path : {"a", "b", "c", "d"}) add(path, 10);
  begin();
  const Feed::Claimed first = claim(100, 25);
  CHECK(paths_of(first) == "ab");
  CHECK(first.is_full);
  CHECK_FALSE(feed->is_exhausted());
  INFO("the file that did not fit is in the next");
  const Feed::Claimed second = claim(100, 20);
  CHECK(paths_of(second) == "cd");
  CHECK_FALSE(claim(100).is_full);
  CHECK(feed->is_exhausted());
}

TEST_CASE_FIXTURE(Fixture, "a file that is larger than a batch may be goes alone") {
  add("a", 5);
  add("b", 100);
  add("c", 5);
  begin();
  CHECK(paths_of(claim(100, 50)) == "a");
  const Feed::Claimed large = claim(100, 50);
  CHECK(paths_of(large) == "b");
  CHECK(large.is_full);
  CHECK(paths_of(claim(100, 50)) == "c");
}

TEST_CASE_FIXTURE(Fixture, "what a batch has already leaves the less room") {
  add("a", 100);
  begin();
  const Feed::Claimed none = claim(100, 50, false);
  CHECK(none.claims.empty());
  CHECK(none.is_full);
  CHECK(paths_of(claim(100, 50, true)) == "a");
}

TEST_CASE_FIXTURE(Fixture, "a rewind finds what was registered meanwhile") {
  add("a");
  begin();
  CHECK(claim_all() == "a");
  add("b");
  CHECK(claim_all().empty());
  feed->rewind({"in"});
  CHECK_FALSE(feed->is_exhausted());
  CHECK(claim_all() == "b");
}

// By name.

TEST_CASE_FIXTURE(Fixture, "files that are asked for by path or id are claimed, and no others") {
  add("a");
  const std::string b = add("b");
  add("c");
  options.selection.names = {b, "a"};
  begin();
  const Feed::Claimed first = claim(1);
  CHECK(first.claims.size() == 1);
  CHECK_FALSE(feed->is_exhausted());
  std::string all = paths_of(first) + claim_all();
  std::ranges::sort(all);
  CHECK(all == "ab");
  CHECK(feed->is_exhausted());
}

TEST_CASE_FIXTURE(Fixture, "what is asked for is taken whatever its attempts") {
  const std::string a = add("a");
  options.max_attempts = 2;
  options.rest_after_failure = 1h;
  append(a, TransferStatus::kFailed, 1);
  append(a, TransferStatus::kFailed, 2);
  begin();
  CHECK(claim_all().empty());
  CHECK(found().empty());
  options.selection.names = {"a"};
  CHECK(found() == "a");
  begin();
  const Feed::Claimed claimed = claim(10);
  REQUIRE(claimed.claims.size() == 1);
  CHECK(claimed.claims[0].attempt == 3);
}

TEST_CASE_FIXTURE(Fixture, "what is asked for is bounded as all else is") {
  for (const char* path : {"a", "b", "c"}) add(path, 10);
  options.selection.names = {"a", "b", "c"};
  begin();
  const Feed::Claimed first = claim(100, 25);
  CHECK(first.claims.size() == 2);
  CHECK(first.is_full);
  CHECK_FALSE(feed->is_exhausted());
  CHECK(claim(100, 25).claims.size() == 1);
  CHECK(feed->is_exhausted());
}

TEST_CASE_FIXTURE(Fixture, "a name that is no file's is an error, and nothing is claimed") {
  add("a");
  options.selection.names = {"a", "no such file"};
  CHECK(select(*store, "b", options).error().error.kind == ErrorKind::kInvalid);
  begin();
  const auto looked = feed->look_in("in");
  REQUIRE_FALSE(looked);
  CHECK(looked.error().error.kind == ErrorKind::kInvalid);
  CHECK(looked.error().error.message.contains("no such file"));
  begin();
  CHECK(try_to_claim({.files = 10, .bytes = kNoBound}).error().kind == ErrorKind::kInvalid);
  options.selection.names = {};
  begin();
  CHECK(claim_all() == "a");
}

TEST_CASE_FIXTURE(Fixture, "a name of what was delivered is no error, and brings nothing back") {
  append(add("a"), TransferStatus::kSuccessful);
  options.selection.names = {"a"};
  begin();
  CHECK(claim_all().empty());
  CHECK(feed->is_exhausted());
}

TEST_CASE_FIXTURE(Fixture, "of a name the version that is ready is taken") {
  add("a", 1);
  add("a", 2);
  options.selection.names = {"a"};
  begin();
  const Feed::Claimed claimed = claim(10);
  REQUIRE(claimed.claims.size() == 1);
  CHECK(claimed.claims[0].file.identity->size == 2);
}

// What cannot be had.

TEST_CASE_FIXTURE(Fixture, "landing areas that cannot be read are left out") {
  add("a");
  add("b", 1, "other");
  add("c", 1, "unknown");
  begin({"other"});
  CHECK(claim_all() == "b");
  begin({"in"});
  CHECK(feed->look_in("in")->any);
  CHECK_FALSE(feed->look_in("other")->any);
  feed->rewind({"in"});
  CHECK(claim_all() == "a");
}

TEST_CASE_FIXTURE(Fixture, "a look in one area sees no other, and claims nothing") {
  add("b", 1, "other");
  begin();
  CHECK_FALSE(feed->look_in("in")->any);
  CHECK(feed->look_in("other")->any);
  begin();
  CHECK(claim_all() == "b");
}

TEST_CASE_FIXTURE(Fixture, "a look goes past any number of files that are not to be had") {
  for (int i = 0; i < 300; ++i) add("f" + std::to_string(i));
  options.rest_after_failure = 1h;
  for (const auto& [id, path] : paths) append(id, TransferStatus::kFailed);
  begin();
  CHECK_FALSE(feed->look_in("in")->any);
  add("last");
  CHECK(feed->look_in("in")->any);
}

TEST_CASE_FIXTURE(Fixture, "what failed rests, and it is said until when") {
  options.rest_after_failure = 10min;
  const Timestamp failure = now() - 4min;
  append(add("a"), TransferStatus::kFailed, 1, failure);
  begin();
  CHECK(claim_all().empty());
  CHECK(feed->is_exhausted());
  REQUIRE(feed->next_due());
  CHECK(*feed->next_due() == failure + 10min);
  INFO("the first of several");
  append(add("b"), TransferStatus::kFailed, 2, failure - 14min);
  feed->rewind({"in"});
  CHECK(claim_all().empty());
  CHECK(*feed->next_due() == failure + 6min);
  INFO("of what has rested, nothing is said");
  append(add("c"), TransferStatus::kFailed, 1, failure - 14min);
  begin();
  CHECK(claim_all() == "c");
}

TEST_CASE_FIXTURE(Fixture, "a route's files wait as it says, and others' are left out") {
  Route route;
  route.name = "r";
  route.match = {Glob("*.csv")};
  route.destinations = {"b"};
  route.delay = 10min;
  const Routes routes(Routing::kFirst, {route});
  add("a.csv");
  add("b.txt");
  options.routes = &routes;
  begin();
  CHECK(claim_all().empty());
  REQUIRE(feed->next_due());
  CHECK(*feed->next_due() > now() + 9min);
  CHECK(*feed->next_due() <= now() + 10min);
  CHECK(found().empty());
  route.delay = 0min;
  const Routes at_once(Routing::kFirst, {route});
  options.routes = &at_once;
  CHECK(found() == "a.csv");
  begin();
  CHECK(claim_all() == "a.csv");
}

TEST_CASE_FIXTURE(Fixture, "files of a file system that is not there are left out") {
  const std::string here = add("a");
  FileRecord record;
  record.path = "mnt/b";
  record.landing = "in";
  record.identity = FileIdentity{};
  record.identity->device = device() + 1;
  record.checksum.digest[0] = std::byte{1};
  REQUIRE(store->register_files({record}));
  begin();
  CHECK(claim_all() == "a");
  CHECK(feed->is_exhausted());
  CHECK(found().empty());
  begin();
  const auto look = feed->look_in("in");
  CHECK_FALSE(look->any);
  CHECK(look->unmounted == 1);
  INFO("one that is there is taken, wherever it was before");
  REQUIRE(make_directories(folder / "in" / "mnt"));
  REQUIRE(replace_file(folder / "in" / "mnt" / "b", "x"));
  begin();
  CHECK(feed->look_in("in")->any);
  feed->rewind({"in"});
  CHECK(claim_all() == "mnt/b");
  CHECK(feed->is_exhausted());
}

// Dead agents.

TEST_CASE_FIXTURE(Fixture,
                  "what a dead agent may have delivered is left to who completes its batch") {
  const std::string a = add("a");
  const std::string b = add("b");
  add("c");
  claim_in("dead", {a, b});
  auto journal = begin_journal("dead");
  SUBCASE("among all") {}
  SUBCASE("by name") {
    options.selection.names = {"a", "b", "c"};
  }
  begin();
  CHECK_FALSE(feed->saw_dead_batches());
  CHECK(claim_all() == "c");
  CHECK(feed->is_exhausted());
  CHECK(feed->saw_dead_batches());
  INFO("nor does a look see it");
  begin();
  CHECK_FALSE(feed->look_in("in")->any);
  CHECK(feed->saw_dead_batches());
  INFO("once the batch has been completed it is taken");
  journal->remove();
  begin();
  CHECK(feed->look_in("in")->any);
  feed->rewind({"in"});
  std::string taken = claim_all();
  std::ranges::sort(taken);
  CHECK(taken == "ab");
  CHECK_FALSE(feed->saw_dead_batches());
  CHECK(feed->is_exhausted());
}

TEST_CASE_FIXTURE(Fixture, "files of a dead agent that left no journal are taken at once") {
  const std::string a = add("a");
  claim_in("dead", {a});
  begin();
  CHECK(claim_all() == "a");
  CHECK_FALSE(feed->saw_dead_batches());
}

TEST_CASE_FIXTURE(Fixture, "more files of dead agents than are asked after together") {
  std::vector<std::string> ids;
  for (int i = 0; i < 2500; ++i) ids.push_back(add("f" + std::to_string(i)));
  claim_in("dead", ids);
  begin();
  std::size_t count = 0;
  std::set<std::string> seen;
  for (int round = 0; round < 20 && !feed->is_exhausted(); ++round) {
    const Feed::Claimed claimed = claim(700);
    CHECK(claimed.claims.size() <= 700);
    for (const auto& one : claimed.claims) seen.insert(one.file.id);
    count += claimed.claims.size();
  }
  CHECK(feed->is_exhausted());
  CHECK(count == ids.size());
  CHECK(seen.size() == ids.size());
}

TEST_CASE_FIXTURE(Fixture, "of a batch that is bounded, what a dead agent had is bounded too") {
  const std::string a = add("a", 10);
  const std::string b = add("b", 10);
  claim_in("dead", {a, b});
  begin();
  const Feed::Claimed first = claim(100, 15);
  CHECK(paths_of(first) == "a");
  CHECK(first.is_full);
  CHECK(paths_of(claim(100, 15)) == "b");
  CHECK(feed->is_exhausted());
}

// A preview.

TEST_CASE_FIXTURE(Fixture,
                  "a preview shows what would be taken, oldest first, and claims nothing") {
  add("a");
  append(add("b"), TransferStatus::kSuccessful);
  add("c", 1, "other");
  add("d", 1, "unknown");
  CHECK(found() == "ac");
  CHECK(found() == "ac");
  begin();
  CHECK(claim_all() == "ac");
  CHECK(found().empty());
}

TEST_CASE_FIXTURE(Fixture, "a preview leaves out what a running agent holds") {
  add("a");
  begin();
  CHECK(claim_all() == "a");
  CHECK(found().empty());
  presence.reset();
  CHECK(found() == "a");
}
