// What register_files and its like decide, in every kind of store.
#include <thread>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::checksum_of;
using testing::found;
using testing::kLandingArea;
using testing::must;
using testing::Standings;
using enum TransferStatus;
using Outcome = Registration::Outcome;

CONTRACT("a file that landed is pending until it is delivered") {
  auto store = open();
  const auto file = put(*store, found("x.csv", "one"));
  CHECK(file.outcome == Outcome::kInserted);
  CHECK(standings(*store) == Standings{{"x.csv", {"pending"}}});
  append(*store, row(file.id, kSuccessful));
  CHECK(standings(*store) == Standings{{"x.csv", {"successful"}}});
  CHECK(standings(*open()) == Standings{{"x.csv", {"successful"}}});
  CHECK(standings(*look()) == Standings{{"x.csv", {"successful"}}});
}

CONTRACT("the same file seen again is no new version") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  const auto again = put(*store, found("x.csv", "one"));
  CHECK(again.outcome == Outcome::kDuplicate);
  CHECK(again.id == first.id);
  CHECK(must(store->history(first.id)).at(0).file.size() == 1);
  CHECK(put(*store, found("y.csv", "one")).outcome == Outcome::kInserted);
  auto elsewhere = found("x.csv", "one");
  elsewhere.landing = "other";
  CHECK(put(*store, elsewhere).outcome == Outcome::kInserted);
}

CONTRACT("the same bytes in a new inode keep their id") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one", 1));
  const auto again = put(*store, found("x.csv", "one", 2));
  CHECK(again.outcome == Outcome::kUpdated);
  CHECK(again.id == first.id);
  CHECK(latest(*store, "x.csv")->identity == found("x.csv", "one", 2).identity);
  CHECK(files(*store).size() == 1);
}

CONTRACT("an area that gets a name keeps its files") {
  FileRecord by_path = found("a.csv", "1");
  by_path.landing = "/srv/in";
  const std::string id = put(*open(), by_path).id;
  Options named = options();
  named.demand.landing_aliases = {{"/srv/in", kLandingArea}};
  const auto store = open(named);
  CHECK(latest(*store, "a.csv")->identity == by_path.identity);
  CHECK(put(*store, found("a.csv", "1")).outcome == Outcome::kDuplicate);
  CHECK(files(*store).at(0).landing == kLandingArea);
  CHECK(paths(*store, {.landings = {kLandingArea}}) == std::vector<std::string>{"a.csv"});
  CHECK(paths(*store, {.landings = {kLandingArea}, .latest_versions = true}) ==
        std::vector<std::string>{"a.csv"});
  const auto newer = put(*store, found("a.csv", "2"));
  CHECK(newer.superseded_id == id);
  CHECK(files(*store, {.landings = {kLandingArea}, .latest_versions = true}).at(0).id == newer.id);
}

CONTRACT("a new version supersedes a pending one") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  const auto second = put(*store, found("x.csv", "other"));
  CHECK(second.outcome == Outcome::kInserted);
  CHECK(second.superseded_id == first.id);
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "pending"}}});
  CHECK(standings(*open()) == Standings{{"x.csv", {"superseded", "pending"}}});
}

CONTRACT("a failed version is superseded too, a delivered one is not") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  append(*store, row(first.id, kFailed, 3));
  const auto second = put(*store, found("x.csv", "two!"));
  CHECK(second.superseded_id == first.id);
  append(*store, row(second.id, kSuccessful));
  CHECK(put(*store, found("x.csv", "three")).superseded_id.empty());
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "successful", "pending"}}});
}

CONTRACT("versions of one path in one group are taken one after another") {
  auto store = open();
  const auto all = must(store->register_files(
      {found("x.csv", "one"), found("x.csv", "one"), found("x.csv", "other")}));
  CHECK(all[1].outcome == Outcome::kDuplicate);
  CHECK(all[1].id == all[0].id);
  CHECK(all[2].superseded_id == all[0].id);
}

CONTRACT("a version that is being delivered is left to its agent") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  const auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {first.id}).size() == 1);
  CHECK(put(*store, found("x.csv", "other")).superseded_id.empty());

  append(*store, row(first.id, kFailed));
  CHECK(claim(*store, *agent, {first.id}).empty());
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "pending"}}});
}

CONTRACT("a version that was replaced while an agent held it is superseded when that fails") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  const auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {first.id}).size() == 1);
  put(*store, found("x.csv", "other"));
  TransferRecord failed = row(first.id, kFailed);
  failed.agent = agent->name();
  SUBCASE("in whatever way") {}
  SUBCASE("also for good") {
    failed.error = TransferError{"abnormal", "it changed", false};
  }
  append(*store, failed);
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "pending"}}});
  CHECK(must(store->find(std::span(&first.id, 1))).at(0)->state == FileState::kSuperseded);
}

CONTRACT("a version that was replaced is superseded though the newer one is gone, too") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {first.id}).size() == 1);
  put(*store, found("x.csv", "other"));
  const std::vector<std::string> gone{"x.csv"};
  must(store->mark_missing(kLandingArea, gone, "removed"));
  SUBCASE("when it fails") {
    TransferRecord failed = row(first.id, kFailed);
    failed.agent = agent->name();
    append(*store, failed);
  }
  SUBCASE("when its agent has died") {
    agent.reset();
    agent = must(store->join());
    CHECK(claim(*store, *agent, {first.id}).empty());
  }
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "missing"}}});
}

CONTRACT(
    "a version that another destination has got, and this one not, is superseded all the same") {
  Options two = options();
  two.demand.destinations = {"warehouse", "lake"};
  auto store = open(two);
  const auto first = put(*store, found("x.csv", "one"));
  append(*store, row(first.id, kSuccessful));
  CHECK(put(*store, found("x.csv", "other")).superseded_id == first.id);
}

CONTRACT("a file that comes back unchanged is revived, not sent again") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  append(*store, row(first.id, kSuccessful));
  const std::vector<std::string> paths = {"x.csv", "unknown.csv"};
  CHECK(must(store->mark_missing(kLandingArea, paths, "gone")) == 1);
  CHECK(files(*store)[0].reason == "gone");
  CHECK(latest(*store, "x.csv")->state == FileState::kMissing);

  const auto again = put(*store, found("x.csv", "one"));
  CHECK(again.outcome == Outcome::kUpdated);
  CHECK(again.id == first.id);
  CHECK(files(*store)[0].state == FileState::kReady);
  CHECK(standings(*store) == Standings{{"x.csv", {"successful"}}});
}

CONTRACT("other bytes with the same identity are another file") {
  // A server tells sizes and times in seconds, and no more.
  const auto on_server = [](std::string_view content) {
    FileRecord file = found("x.csv", content);
    file.identity = FileIdentity{.size = content.size(), .mtime_ns = 1'000'000'000};
    return file;
  };
  auto store = open();
  const auto first = put(*store, on_server("one"));
  append(*store, row(first.id, kSuccessful));
  SUBCASE("where the file was gone meanwhile") {
    const std::vector<std::string> paths = {"x.csv"};
    must(store->mark_missing(kLandingArea, paths, "gone"));
  }
  SUBCASE("where it was there all the time") {}
  CHECK(put(*store, on_server("two")).outcome == Outcome::kInserted);
  CHECK(standings(*store) == Standings{{"x.csv", {"successful", "pending"}}});
}

FileRecord abnormal(FileRecord record, std::string reason) {
  record.state = FileState::kQuarantined;
  record.reason = std::move(reason);
  return record;
}

CONTRACT("an abnormal version is registered once, and never pending") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  const auto held = put(*store, abnormal(found("x.csv", ""), "it is empty"));
  CHECK(held.superseded_id == first.id);
  CHECK(put(*store, abnormal(found("x.csv", ""), "it is empty")).outcome == Outcome::kDuplicate);
  CHECK(files(*store).at(1).reason == "it is empty");
  CHECK(standings(*open()) == Standings{{"x.csv", {"superseded", "quarantined"}}});
  CHECK_FALSE(must(store->is_pending()));
  CHECK(latest(*store, "x.csv")->state == FileState::kQuarantined);
  CHECK(files(*store, {.states = {FileState::kQuarantined}}).at(0).id == held.id);

  put(*store, found("x.csv", "mended"));
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "quarantined", "pending"}}});
}

CONTRACT("what is held stays one version when its mode is changed") {
  const auto touched = [](FileRecord file) {
    ++file.identity->ctime_ns;
    return file;
  };
  const FileRecord empty = abnormal(found("x.csv", ""), "it is empty");
  auto store = open();
  const auto held = put(*store, empty);
  const auto again = put(*store, touched(abnormal(empty, "it is too small")));
  CHECK(again.outcome == Outcome::kDuplicate);
  CHECK(again.id == held.id);
  CHECK(standings(*open()) == Standings{{"x.csv", {"quarantined"}}});
  CHECK(latest(*store, "x.csv")->identity == touched(empty).identity);
  CHECK(latest(*store, "x.csv")->reason == "it is too small");
  CHECK(must(store->history(held.id)).at(0).file.size() == 2);

  SUBCASE("other bytes are another one") {
    FileRecord other = touched(touched(empty));
    other.checksum = checksum_of("other");
    CHECK(put(*store, other).outcome == Outcome::kInserted);
  }
  SUBCASE("so is another file") {
    CHECK(put(*store, abnormal(found("x.csv", "", 2), "it is empty")).outcome ==
          Outcome::kInserted);
  }
  SUBCASE("so is what is let in") {
    CHECK(put(*store, touched(touched(found("x.csv", "")))).outcome == Outcome::kInserted);
    CHECK(standings(*store) == Standings{{"x.csv", {"quarantined", "pending"}}});
  }
}

CONTRACT("a version is given another state by its id") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  const std::vector<StateChange> changes{{id, FileState::kQuarantined, "wrong"},
                                         {"unknown", FileState::kMissing, "gone"}};
  CHECK(must(store->change_states(changes)) == 1);
  CHECK_FALSE(must(store->is_pending()));
  CHECK(files(*open()).at(0).reason == "wrong");
}

CONTRACT("a released file remembers why it was held") {
  auto store = open();
  FileRecord released = found("x.csv", "one");
  released.identity.reset();
  released.reason = "released: it had been too small";
  const auto id = put(*store, released).id;
  CHECK(latest(*store, "x.csv")->checksum == checksum_of("one"));
  CHECK(put(*store, found("x.csv", "one")).id == id);
  CHECK(files(*store).at(0).identity.has_value());
  CHECK(files(*store).at(0).reason == "released: it had been too small");
  // A watcher that has not heard of the release yet.
  CHECK(put(*store, abnormal(found("x.csv", "one", 2), "it is too small")).outcome ==
        Outcome::kUpdated);
  CHECK(files(*store).at(0).state == FileState::kReady);
}

CONTRACT("the same bytes delivered anew after the file was gone are sent") {
  auto store = open();
  append(*store, row(put(*store, found("x.csv", "one", 1)).id, kSuccessful));
  const std::vector<std::string> paths = {"x.csv"};
  must(store->mark_missing(kLandingArea, paths, "gone"));
  CHECK(put(*store, found("x.csv", "one", 2)).outcome == Outcome::kInserted);
  CHECK(standings(*store) == Standings{{"x.csv", {"successful", "pending"}}});
}

CONTRACT("a path out of the landing area cannot be registered") {
  auto store = open();
  CHECK(store->register_files({found("../x", "one")}).error().kind == ErrorKind::kInvalid);
  CHECK(files(*store).empty());
}

CONTRACT("a row differs from the one before it by its date") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one", 1)).id;
  for (std::uint64_t inode = 2; inode < 20; ++inode) put(*store, found("x.csv", "one", inode));
  const auto rows = must(store->history(id)).at(0).file;
  REQUIRE(rows.size() == 19);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    CHECK(rows[i].updated_date != rows[i - 1].updated_date);
  }
}

CONTRACT("rows are imported as they are, once") {
  auto store = open();
  FileRecord row = found("x.csv", "one");
  row.id = "f1";
  row.unknown_columns = R"({"owner":"joe"})";
  append(*store, this->row("f1", kSuccessful));  // before the row of its file
  CHECK(files(*store).empty());
  CHECK(must(store->import_files({row, row})) == 1);
  CHECK(must(store->import_files({row})) == 0);
  CHECK(standings(*store) == Standings{{"x.csv", {"successful"}}});
  CHECK(files(*store).at(0).unknown_columns == row.unknown_columns);
  FileRecord other = row;
  other.id = "../f2";
  CHECK(store->import_files({other}).error().kind == ErrorKind::kInvalid);
}

CONTRACT("a foreign row gains an identity; its other columns survive") {
  auto store = open();
  FileRecord foreign = found("x.csv", "one");
  foreign.id = "f1";
  foreign.landing.clear();
  foreign.identity.reset();
  foreign.unknown_columns = R"({"owner":"joe"})";
  must(store->import_files({foreign}));
  CHECK(put(*store, found("x.csv", "one")).outcome == Outcome::kUpdated);
  CHECK(put(*store, found("x.csv", "one")).outcome == Outcome::kDuplicate);
  const auto rows = must(store->history("f1")).at(0).file;
  REQUIRE(rows.size() == 2);
  CHECK(rows[1].unknown_columns == R"({"owner":"joe"})");
  CHECK(rows[1].landing == kLandingArea);
  CHECK(files(*open()).size() == 1);
}

CONTRACT("a version with a checksum of another kind is superseded") {
  auto store = open();
  FileRecord foreign = found("x.csv", "one");
  foreign.id = "f1";
  foreign.identity.reset();
  foreign.checksum = must(Checksum::parse("d41d8cd98f00b204e9800998ecf8427e"));
  must(store->import_files({foreign}));
  CHECK(put(*store, found("x.csv", "")).superseded_id == "f1");
}

CONTRACT("a log row that names no destination holds for any") {
  auto store = open();
  const std::string id = deliver_to_any(*store);
  CHECK(standings(*open()) == Standings{{"x.csv", {"successful"}}});
  CHECK_FALSE(must(store->is_pending()));
  CHECK(must(store->totals("warehouse"))[Standing::kSuccessful].files == 1);
  append(*store, row(id, kFailed));  // the destination's own row outweighs it
  CHECK(standings(*open()) == Standings{{"x.csv", {"failed"}}});
  CHECK(must(store->totals("warehouse"))[Standing::kSuccessful].files == 0);
}

CONTRACT("who only looks changes nothing") {
  open();
  auto reader = look();
  CHECK(reader->register_files({found("x", "one")}).error().kind == ErrorKind::kDenied);
  CHECK(reader->upkeep().compact(now()).error().kind == ErrorKind::kDenied);
  CHECK(files(*reader).empty());
}

}  // namespace
}  // namespace ferry::metastore
