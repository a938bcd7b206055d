#include <algorithm>
#include <atomic>
#include <csignal>
#include <set>
#include <thread>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::exit_code;
using testing::found;
using testing::in_child;
using testing::kLandingArea;
using testing::kTo;
using testing::must;
using testing::Standings;
using testing::StoreFixture;
using enum TransferStatus;

TEST_CASE_FIXTURE(StoreFixture, "what one agent claimed no other gets") {
  auto one = open();
  auto two = open();
  const auto id = put(*one, found("x.csv", "one")).id;
  const auto first = must(one->join());
  const auto second = must(two->join());
  const auto claims = claim(*one, *first, {id, id, "unknown"});
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].attempt == 1);
  CHECK(claims[0].file.path == "x.csv");
  CHECK(claim(*two, *second, {id}).empty());
  CHECK(claim(*one, *first, {id}).empty());
  CHECK(standings(*look()) == Standings{{"x.csv", {"in_progress"}}});
}

TEST_CASE_FIXTURE(StoreFixture, "an agent that leaves frees its claims") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  auto first = must(store->join());
  REQUIRE(claim(*store, *first, {id}).size() == 1);
  const std::string lock = "agents/" + first->name() + ".lock";
  CHECK(exists(lock));
  first.reset();
  CHECK_FALSE(exists(lock));
  CHECK(standings(*store) == Standings{{"x.csv", {"pending"}}});
  const auto second = must(store->join());
  const auto claims = claim(*store, *second, {id});
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].attempt == 2);
}

TEST_CASE_FIXTURE(StoreFixture, "an agent that is killed frees its claims") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = in_child([&] {
    auto own = open_metastore(directory(), options());
    auto agent = (*own)->join();
    const auto claims = (*own)->claim(
        {.destination = kTo, .batch_id = "b", .agent = (*agent)->name(), .ids = {id}});
    if (::write(ready[1], "x", 1) != 1) return 1;
    ::pause();
    return static_cast<int>(claims->size());
  });
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  CHECK(standings(*store) == Standings{{"x.csv", {"in_progress"}}});
  const auto agent = must(store->join());
  CHECK(claim(*store, *agent, {id}).empty());
  ::kill(child, SIGKILL);
  CHECK(exit_code(child) == 128 + SIGKILL);
  CHECK(standings(*store) == Standings{{"x.csv", {"pending"}}});
  CHECK(exists("pending"));
  CHECK(claim(*store, *agent, {id}).size() == 1);
  const auto left = std::distance(fs::directory_iterator(file("agents")), fs::directory_iterator());
  CHECK(left == 1);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE_FIXTURE(StoreFixture, "what failed too often is claimed only by name") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  const auto agent = must(store->join());
  append(*store, row(id, kFailed, 2));
  CHECK(claim(*store, *agent, {id}).at(0).attempt == 3);
  append(*store, row(id, kFailed, 3));
  CHECK(claim(*store, *agent, {id}).empty());
  ClaimRequest by_name{.destination = kTo, .batch_id = "b", .agent = agent->name(), .ids = {id}};
  by_name.ignore_max_attempts = true;
  CHECK(must(store->claim(by_name)).at(0).attempt == 4);
  append(*store, row(id, kSuccessful, 4));
  CHECK(must(store->claim(by_name)).empty());
}

TEST_CASE_FIXTURE(StoreFixture, "what failed as abnormal waits for news of the file") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  const auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {id}).size() == 1);
  TransferRecord failed = row(id, kFailed, 1);
  failed.date = now() + std::chrono::hours(1);  // the attempt's beginning counts, not its end
  failed.error = TransferError{.kind = "abnormal", .message = "it changed", .retryable = false};
  append(*store, failed);
  CHECK_FALSE(exists("pending"));
  CHECK(claim(*store, *agent, {id}).empty());

  for (const Timestamp then = now(); now() == then;) continue;  // a table tells milliseconds
  put(*store, found("x.csv", "one", 2));
  CHECK(exists("pending"));
  CHECK(claim(*store, *agent, {id}).at(0).attempt == 2);
  append(*store, failed);
  ClaimRequest by_name{.destination = kTo, .batch_id = "b", .agent = agent->name(), .ids = {id}};
  by_name.ignore_max_attempts = true;
  CHECK(must(store->claim(by_name)).size() == 1);
}

/// Registers and claims the same files as everybody else; returns the number of errors.
int compete(Metastore& store, const std::string& agent, int files) {
  int errors = 0;
  for (int n = 0; n < files; ++n) {
    const auto all = store.register_files({found(std::to_string(n), "one")});
    if (!all) return ++errors;
    const auto claims =
        store.claim({.destination = kTo, .batch_id = "b", .agent = agent, .ids = {all->at(0).id}});
    if (!claims) ++errors;
  }
  return errors;
}

/// Two threads on one store; agents stay until everybody is done, as END_OF_RACE's writers tell.
int compete_in_threads(const fs::path& directory, int files, int finished, int end_of_race) {
  const auto store = open_metastore(directory, StoreFixture::options());
  if (!store) return 1;
  std::atomic<int> errors = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      const auto agent = (*store)->join();
      errors += agent ? compete(**store, (*agent)->name(), files) : 1;
      char byte = 0;
      if (::write(finished, "x", 1) != 1 || ::read(end_of_race, &byte, 1) != 0) ++errors;
    });
  }
  for (auto& thread : threads) thread.join();
  return errors.load();
}

TEST_CASE_FIXTURE(StoreFixture, "competing processes register and claim every file once") {
  constexpr int kFiles = 60;
  int finished[2];
  int end_of_race[2];
  REQUIRE(::pipe(finished) == 0);
  REQUIRE(::pipe(end_of_race) == 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 2; ++i) {
    children.push_back(in_child([&] {
      ::close(end_of_race[1]);
      return compete_in_threads(directory(), kFiles, finished[1], end_of_race[0]);
    }));
  }
  ::close(finished[1]);
  char bytes[1];
  for (int i = 0; i < 4; ++i) CHECK(::read(finished[0], bytes, 1) == 1);

  auto store = look();
  std::multiset<std::string> claimed;
  for (const FileRecord& file : files(*store)) {
    for (const auto& entry : must(store->history(file.id)).transfers) claimed.insert(entry.id);
  }
  CHECK(files(*store).size() == kFiles);
  CHECK(claimed.size() == kFiles);
  CHECK(std::set(claimed.begin(), claimed.end()).size() == kFiles);
  ::close(end_of_race[1]);
  for (const pid_t child : children) CHECK(exit_code(child) == 0);
  ::close(end_of_race[0]);
  ::close(finished[0]);
}

TEST_CASE_FIXTURE(StoreFixture, "what was delivered can be made pending again, the latest of it") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one")).id;
  append(*store, row(first, kSuccessful));
  const auto second = put(*store, found("x.csv", "other")).id;
  const auto gone = put(*store, found("y.csv", "one")).id;
  append(*store, row(gone, kSuccessful));
  const std::vector<std::string> ids = {first, second, gone};
  const std::vector<std::string> paths = {"y.csv"};
  must(store->mark_missing(kLandingArea, paths, "gone"));
  CHECK(must(store->resend(ids, "")).empty());  // replaced, not delivered, gone
  append(*store, row(second, kSuccessful));
  CHECK_FALSE(exists("pending"));
  CHECK(must(store->resend(ids, "elsewhere")).empty());

  const auto resent = must(store->resend(ids, kTo));
  REQUIRE(resent.size() == 1);
  CHECK(resent[0].id == second);
  CHECK(resent[0].destination == kTo);
  CHECK(exists("pending"));
  auto agent = must(store->join());
  const auto claims = claim(*store, *agent, {second});
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].attempt == 1);
  CHECK(must(store->resend(ids, "")).empty());  // an agent holds it
}

// The marker.

TEST_CASE_FIXTURE(StoreFixture, "the marker is there exactly while something may be delivered") {
  auto store = open();
  CHECK_FALSE(exists("pending"));
  const auto id = put(*store, found("x.csv", "one")).id;
  CHECK(exists("pending"));
  auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {id}).size() == 1);
  CHECK(exists("pending"));  // the agent may still die
  append(*store, row(id, kFailed, 1));
  CHECK(exists("pending"));
  append(*store, row(id, kFailed, 3));
  CHECK_FALSE(exists("pending"));
  const auto second = put(*store, found("x.csv", "other")).id;
  CHECK(exists("pending"));
  append(*store, row(second, kSuccessful));
  CHECK_FALSE(exists("pending"));
  put(*store, found("y.csv", "one"));
  const std::vector<std::string> paths = {"y.csv"};
  must(store->mark_missing(kLandingArea, paths, "gone"));
  CHECK_FALSE(exists("pending"));
  put(*store, found("y.csv", "one"));
  CHECK(exists("pending"));
}

TEST_CASE_FIXTURE(StoreFixture, "opening for writing puts the marker right") {
  const auto id = put(*open(), found("x.csv", "one")).id;
  fs::remove(file("pending"));
  look();
  CHECK_FALSE(exists("pending"));
  auto store = open();
  CHECK(exists("pending"));
  append(*store, row(id, kSuccessful));
  write("pending", "");
  open();
  CHECK_FALSE(exists("pending"));
}

TEST_CASE_FIXTURE(StoreFixture, "without named destinations one delivery is enough") {
  auto store = must(open_metastore(directory(), Options{}));
  const auto id = put(*store, found("x.csv", "one")).id;
  append(*store, row(id, kFailed));
  CHECK(exists("pending"));
  append(*store, row(id, kSuccessful));
  CHECK_FALSE(exists("pending"));
  Options two_wanted;
  two_wanted.destinations = {kTo, "lake"};
  auto two = must(open_metastore(directory(), two_wanted));
  CHECK(exists("pending"));
}

TEST_CASE_FIXTURE(StoreFixture, "the marker follows who wants which file") {
  std::map<std::string, int> asked;
  Options by_path = options();
  by_path.wanted_by = [&](std::string_view, const std::string& path) {
    ++asked[path];
    return path == "x.csv" ? std::vector<std::string_view>{"lake"}
                           : std::vector<std::string_view>{};
  };
  auto store = must(open_metastore(directory(), by_path));
  put(*store, found("nobody's.csv", "one"));
  CHECK_FALSE(exists("pending"));
  const auto id = put(*store, found("x.csv", "one")).id;
  CHECK(exists("pending"));
  append(*store, row(id, kSuccessful));
  CHECK(exists("pending"));
  TransferRecord elsewhere = row(id, kSuccessful);
  elsewhere.destination = "lake";
  append(*store, elsewhere);
  CHECK_FALSE(exists("pending"));
  CHECK(asked["x.csv"] == 1);
}

TEST_CASE_FIXTURE(StoreFixture, "a version that nobody wants is not replaced but stays") {
  Options nobody = options();
  nobody.wanted_by = [](std::string_view, const std::string&) {
    return std::vector<std::string_view>{};
  };
  auto store = must(open_metastore(directory(), nobody));
  put(*store, found("x.csv", "one"));
  CHECK(put(*store, found("x.csv", "other")).superseded_id.empty());
}

}  // namespace
}  // namespace ferry::metastore
