// Who may deliver what, in every kind of store.
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
using enum TransferStatus;

CONTRACT("what one agent claimed no other gets") {
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

CONTRACT("an agent that leaves frees its claims, and has not failed") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  auto first = must(store->join());
  REQUIRE(claim(*store, *first, {id}).size() == 1);
  first.reset();
  CHECK(standings(*store) == Standings{{"x.csv", {"pending"}}});
  const auto second = must(store->join());
  const auto claims = claim(*store, *second, {id});
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].attempt == 1);
}

CONTRACT("four agents that died and one failure leave more attempts") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  for (int i = 0; i < 4; ++i) {
    const auto agent = must(store->join());
    CHECK(claim(*store, *agent, {id}).at(0).attempt == 1);
  }
  append(*store, row(id, kFailed, 1));
  CHECK(must(store->is_pending()));
  const auto agent = must(store->join());
  CHECK(claim(*store, *agent, {id}).at(0).attempt == 2);
}

CONTRACT("an agent that is killed frees its claims") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = in_child([&] {
    auto own = backend->open(options());
    auto agent = (*own)->join();
    const auto claims = (*own)->claim(request(**agent, {id}));
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
  backend->notice_end_of(child);
  CHECK(standings(*store) == Standings{{"x.csv", {"pending"}}});
  CHECK(must(store->is_pending()));
  CHECK(claim(*store, *agent, {id}).size() == 1);
  ::close(ready[0]);
  ::close(ready[1]);
}

CONTRACT("what failed too often is claimed only by name") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  const auto agent = must(store->join());
  append(*store, row(id, kFailed, 2));
  CHECK(claim(*store, *agent, {id}).at(0).attempt == 3);
  append(*store, row(id, kFailed, 3));
  CHECK(claim(*store, *agent, {id}).empty());
  ClaimRequest by_name = request(*agent, {id});
  by_name.ignore_max_attempts = true;
  CHECK(must(store->claim(by_name)).at(0).attempt == 4);
  append(*store, row(id, kSuccessful, 4));
  CHECK(must(store->claim(by_name)).empty());
}

CONTRACT("what failed as abnormal waits for news of the file, whatever the clock says") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  const auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {id}).size() == 1);
  TransferRecord failed = row(id, kFailed, 1);
  failed.error = TransferError{.kind = "abnormal", .message = "it changed", .retryable = false};
  SUBCASE("") {}
  SUBCASE("which was ahead when it failed") {
    failed.date = now() + std::chrono::hours(24);
  }
  SUBCASE("which was behind") {
    failed.date = now() - std::chrono::hours(24);
  }
  append(*store, failed);
  CHECK_FALSE(must(store->is_pending()));
  CHECK(claim(*store, *agent, {id}).empty());

  put(*store, found("x.csv", "one", 2));
  CHECK(must(store->is_pending()));
  CHECK(claim(*store, *agent, {id}).at(0).attempt == 2);
  failed.attempt = 2;
  append(*store, failed);
  CHECK(claim(*store, *agent, {id}).empty());
  ClaimRequest by_name = request(*agent, {id});
  by_name.ignore_max_attempts = true;
  CHECK(must(store->claim(by_name)).size() == 1);
}

CONTRACT("where the logs do not say what was claimed, dates decide") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  TransferRecord began = row(id, kInProgress, 1);
  began.date = now() + std::chrono::hours(1);
  TransferRecord failed = row(id, kFailed, 1);
  failed.date = now() + std::chrono::hours(2);
  failed.error = TransferError{.kind = "abnormal", .message = "it changed", .retryable = false};
  append(*store, began);
  append(*store, failed);
  put(*store, found("x.csv", "one", 2));
  CHECK_FALSE(must(store->is_pending()));
}

CONTRACT("a claim says which row of the registry it was made on") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  const auto agent = must(store->join());
  const auto claims = claim(*store, *agent, {id});
  const auto history = must(store->history(id)).at(0);
  CHECK(history.transfers.at(0).file_updated_date == history.file.at(0).updated_date);
  CHECK(claims.at(0).file.updated_date == history.file.at(0).updated_date);
}

CONTRACT("no version is claimed while an agent holds another version of the path") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one")).id;
  auto holder = must(store->join());
  REQUIRE(claim(*store, *holder, {first}).size() == 1);
  const auto second = put(*store, found("x.csv", "other")).id;
  const auto agent = must(store->join());
  CHECK(claim(*store, *agent, {second}).empty());
  CHECK(must(store->claim(request(*agent))).empty());
  CHECK(standings(*store) == Standings{{"x.csv", {"in_progress", "pending"}}});

  ClaimRequest elsewhere = request(*agent, {second});
  elsewhere.destination = "lake";  // to another destination they do not overtake each other
  CHECK(must(store->claim(elsewhere)).size() == 1);

  SUBCASE("until it is done") {
    append(*store, row(first, kSuccessful));
  }
  SUBCASE("until it has failed") {
    append(*store, row(first, kFailed));
  }
  SUBCASE("until it died") {
    holder.reset();
  }
  CHECK(claim(*store, *agent, {second}).size() == 1);
}

CONTRACT("a replaced version whose agent died is superseded by the next claim") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one")).id;
  auto holder = must(store->join());
  REQUIRE(claim(*store, *holder, {first}).size() == 1);
  const auto second = put(*store, found("x.csv", "other")).id;
  holder.reset();
  const auto agent = must(store->join());
  const auto claims = must(store->claim(request(*agent)));
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].file.id == second);
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "in_progress"}}});
}

CONTRACT("without ids a claim takes what is deliverable, oldest first, as many as asked for") {
  auto store = open();
  std::vector<std::string> ids;
  for (int i = 0; i < 600; ++i) {
    ids.push_back(put(*store, found(fmt::format("{:03}.csv", i), "one")).id);
  }
  append(*store, row(ids[0], kSuccessful));
  append(*store, row(ids[1], kFailed, 3));  // given up
  append(*store, row(ids[2], kFailed, 1));
  const auto one = must(store->join());
  const auto two = must(store->join());
  ClaimRequest some = request(*one);
  some.query.limit = 300;
  const auto first = must(store->claim(some));
  REQUIRE(first.size() == 300);
  CHECK(first.front().file.id == ids[2]);
  CHECK(first.front().attempt == 2);
  CHECK(first.back().file.id == ids[301]);
  ClaimRequest all = request(*two);
  const auto rest = must(store->claim(all));
  REQUIRE(rest.size() == 298);
  CHECK(rest.front().file.id == ids[302]);
  CHECK(must(store->claim(all)).empty());
}

CONTRACT("a claim takes what a query finds, and what accept lets pass") {
  auto store = open();
  put(*store, found("a/one.csv", "1"));
  put(*store, found("a/two.txt", "2"));
  put(*store, found("b/three.csv", "3"));
  const auto agent = must(store->join());
  ClaimRequest some = request(*agent);
  some.query.below = {"a"};
  some.accept = [](const FileRecord& file, const Delivery* delivery) {
    const bool wanted = delivery == nullptr && file.path.ends_with(".csv");
    return wanted ? ClaimRequest::Answer::kTake : ClaimRequest::Answer::kLeave;
  };
  const auto claims = must(store->claim(some));
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].file.path == "a/one.csv");
}

CONTRACT("a claim ends as soon as accept says that it is enough") {
  auto store = open();
  for (const char* path : {"1", "2", "3", "4"}) put(*store, found(path, "bytes"));
  const auto agent = must(store->join());
  std::size_t asked = 0;
  ClaimRequest some = request(*agent);
  some.accept = [&](const FileRecord&, const Delivery*) {
    return ++asked == 2 ? ClaimRequest::Answer::kEnough : ClaimRequest::Answer::kTake;
  };
  const auto claims = must(store->claim(some));
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].file.path == "1");
  CHECK(asked == 2);
}

CONTRACT("a destination that nobody configured may be claimed for: it wants every file") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  append(*store, row(id, kSuccessful));
  const auto agent = must(store->join());
  ClaimRequest elsewhere = request(*agent);
  elsewhere.destination = "sftp://elsewhere/";
  const auto claims = must(store->claim(elsewhere));
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].file.id == id);
  CHECK(must(store->totals("sftp://elsewhere/"))[Standing::kInProgress].files == 1);
  CHECK_FALSE(must(store->is_pending()));
}

CONTRACT("rows are not appended over a claim or a success") {
  auto store = open();
  const auto free = put(*store, found("free.csv", "1")).id;
  const auto held = put(*store, found("held.csv", "1")).id;
  const auto done = put(*store, found("done.csv", "1")).id;
  const auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {held}).size() == 1);
  append(*store, row(done, kSuccessful));
  const std::vector<TransferRecord> rows{row(free, kFailed), row(held, kFailed),
                                         row(done, kFailed)};
  CHECK(must(store->append_unless_held(rows)) == 1);
  CHECK(standings(*store) == Standings{{"done.csv", {"successful"}},
                                       {"free.csv", {"failed"}},
                                       {"held.csv", {"in_progress"}}});
}

CONTRACT("an agent records what it holds itself, and what nobody has delivered") {
  auto store = open();
  const auto own = put(*store, found("own.csv", "1")).id;
  const auto done = put(*store, found("done.csv", "1")).id;
  const auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {own, done}).size() == 2);
  append(*store, row(done, kSuccessful));
  std::vector<TransferRecord> rows{row(own, kSuccessful), row(done, kSuccessful)};
  for (TransferRecord& one : rows) one.agent = agent->name();
  CHECK(must(store->append_unless_held(rows)) == 1);
  CHECK(must(store->history(own)).at(0).transfers.size() == 2);
  CHECK(must(store->history(done)).at(0).transfers.size() == 2);
}

CONTRACT("whoever takes a dead agent's place holds what nobody else has taken") {
  auto store = open();
  std::vector<std::string> ids;
  for (const char* path : {"own", "taken", "delivered", "other"}) {
    ids.push_back(put(*store, found(path, "1")).id);
  }
  auto agent = must(store->join());
  const std::string name = agent->name();
  REQUIRE(claim(*store, *agent, {ids[0], ids[1], ids[2]}).size() == 3);
  Options brief = options();
  brief.lock_timeout = std::chrono::milliseconds(100);
  CHECK(open(brief)->join_as(name).error().kind == ErrorKind::kBusy);
  agent.reset();
  const auto taker = must(store->join());
  REQUIRE(claim(*store, *taker, {ids[1]}).size() == 1);
  append(*store, row(ids[2], kSuccessful));
  agent = must(store->join_as(name));
  CHECK(agent->name() == name);
  const std::vector<std::string> all{ids[3], ids[2], ids[1], ids[0], "nobody"};
  CHECK(must(store->still_holds(name, kTo, all)) ==
        std::vector<bool>{false, false, false, true, false});
  CHECK(must(store->still_holds(name, "elsewhere", all)) == std::vector<bool>(5));
  CHECK(claim(*store, *taker, {ids[0]}).empty());
  agent.reset();
  CHECK(claim(*store, *taker, {ids[0]}).size() == 1);
}

CONTRACT("what has gone on in another version is not held any more") {
  auto store = open();
  const auto older = put(*store, found("x", "1")).id;
  const auto still = put(*store, found("y", "1")).id;
  auto agent = must(store->join());
  const std::string name = agent->name();
  REQUIRE(claim(*store, *agent, {older, still}).size() == 2);
  const auto newer = put(*store, found("x", "other")).id;
  put(*store, found("y", "other"));
  agent.reset();
  const auto taker = must(store->join());
  REQUIRE(claim(*store, *taker, {newer}).size() == 1);
  SUBCASE("which is being delivered") {}
  SUBCASE("which was delivered") {
    append(*store, row(newer, kSuccessful));
  }
  agent = must(store->join_as(name));
  const std::vector<std::string> ids{older, still};
  CHECK(must(store->still_holds(name, kTo, ids)) == std::vector<bool>{false, true});
}

CONTRACT("of two versions that dead agents had in hand, the newer one is held") {
  auto store = open();
  const auto older = put(*store, found("x", "1")).id;
  auto first = must(store->join());
  const std::string first_name = first->name();
  REQUIRE(claim(*store, *first, {older}).size() == 1);
  const auto newer = put(*store, found("x", "other")).id;
  first.reset();
  auto second = must(store->join());
  const std::string second_name = second->name();
  REQUIRE(claim(*store, *second, {newer}).size() == 1);
  second.reset();
  first = must(store->join_as(first_name));
  second = must(store->join_as(second_name));
  const std::vector<std::string> ids{older, newer};
  CHECK(must(store->still_holds(first_name, kTo, ids)) == std::vector<bool>{false, false});
  CHECK(must(store->still_holds(second_name, kTo, ids)) == std::vector<bool>{false, true});
}

CONTRACT("what was delivered can be made pending again, the latest of it") {
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
  CHECK_FALSE(must(store->is_pending()));
  CHECK(must(store->resend(ids, "elsewhere")).empty());

  const auto resent = must(store->resend(ids, kTo));
  REQUIRE(resent.size() == 1);
  CHECK(resent[0].id == second);
  CHECK(resent[0].destination == kTo);
  CHECK(must(store->is_pending()));
  auto agent = must(store->join());
  const auto claims = claim(*store, *agent, {second});
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].attempt == 1);
  CHECK(must(store->resend(ids, "")).empty());  // an agent holds it
}

CONTRACT("a file that is named twice is given back once") {
  auto store = open();
  const auto delivered = put(*store, found("x.csv", "one")).id;
  append(*store, row(delivered, kSuccessful));
  const auto failed = put(*store, found("y.csv", "one")).id;
  append(*store, row(failed, kFailed, 1));
  const std::vector<std::string> ids = {delivered, failed, delivered, failed};
  CHECK(must(store->resend(ids, kTo)).size() == 1);
  CHECK(must(store->release(ids, kTo)).size() == 1);
}

CONTRACT("what holds for any destination is given back to the one that is named") {
  auto store = open();
  const std::vector<std::string> ids{deliver_to_any(*store)};
  const auto resent = must(store->resend(ids, kTo));
  REQUIRE(resent.size() == 1);
  CHECK(resent.front().destination == kTo);
  CHECK(must(store->totals(kTo))[Standing::kPending].files == 1);
  CHECK(must(store->totals("elsewhere"))[Standing::kSuccessful].files == 1);
}

CONTRACT("a failed file that was released is pending with all its attempts") {
  auto store = open();
  const auto failed = put(*store, found("a.csv", "1")).id;
  const auto done = put(*store, found("b.csv", "1")).id;
  append(*store, row(failed, kFailed, 3));
  append(*store, row(done, kSuccessful));
  CHECK_FALSE(must(store->is_pending()));
  const std::vector<std::string> ids{failed, done, "unknown"};
  CHECK(must(store->release(ids, "elsewhere")).empty());
  const auto released = must(store->release(ids, ""));
  REQUIRE(released.size() == 1);
  CHECK(released.front().id == failed);
  CHECK(must(store->is_pending()));
  const auto last = must(store->history(failed)).at(0).transfers.back();
  CHECK(last.error->message == "released after 3 attempts; the last: no luck");
  const auto agent = must(store->join());
  CHECK(claim(*store, *agent, {failed}).at(0).attempt == 1);
  CHECK(must(store->release(ids, "")).empty());  // an agent holds it
}

/// Registers and claims the same files as everybody else; returns the number of errors.
int compete(Metastore& store, const AgentPresence& agent, int files) {
  int errors = 0;
  for (int n = 0; n < files; ++n) {
    const auto all = store.register_files({found(std::to_string(n), "one")});
    if (!all) return ++errors;
    if (!store.claim(testing::Vocabulary::request(agent, {all->at(0).id}))) ++errors;
  }
  return errors;
}

/// Two threads on one store; agents stay until everybody is done, as END_OF_RACE's writers tell.
int compete_in_threads(const testing::Backend& backend, int files, int finished, int end_of_race) {
  const auto store = backend.open(testing::Vocabulary::options());
  if (!store) return 1;
  std::atomic<int> errors = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      const auto agent = (*store)->join();
      errors += agent ? compete(**store, **agent, files) : 1;
      char byte = 0;
      if (::write(finished, "x", 1) != 1 || ::read(end_of_race, &byte, 1) != 0) ++errors;
    });
  }
  for (auto& thread : threads) thread.join();
  return errors.load();
}

CONTRACT("competing processes register and claim every file once") {
  constexpr int kFiles = 60;
  int finished[2];
  int end_of_race[2];
  REQUIRE(::pipe(finished) == 0);
  REQUIRE(::pipe(end_of_race) == 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 2; ++i) {
    children.push_back(in_child([&] {
      ::close(end_of_race[1]);
      return compete_in_threads(*backend, kFiles, finished[1], end_of_race[0]);
    }));
  }
  ::close(finished[1]);
  char bytes[1];
  for (int i = 0; i < 4; ++i) CHECK(::read(finished[0], bytes, 1) == 1);

  auto store = look();
  std::multiset<std::string> claimed;
  for (const FileRecord& file : files(*store)) {
    const History history = must(store->history(file.id)).at(0);
    for (const TransferRecord& entry : history.transfers) claimed.insert(entry.id);
  }
  CHECK(files(*store).size() == kFiles);
  CHECK(claimed.size() == kFiles);
  CHECK(std::set(claimed.begin(), claimed.end()).size() == kFiles);
  ::close(end_of_race[1]);
  for (const pid_t child : children) CHECK(exit_code(child) == 0);
  ::close(end_of_race[0]);
  ::close(finished[0]);
}

}  // namespace
}  // namespace ferry::metastore
