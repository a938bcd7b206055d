// What is pending, and who wants it, in every kind of store.
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

// What is pending.

CONTRACT("something is pending exactly while an agent may have something to deliver") {
  auto store = open();
  const auto is_pending = [&] { return must(store->is_pending()) && must(look()->is_pending()); };
  CHECK_FALSE(is_pending());
  const auto id = put(*store, found("x.csv", "one")).id;
  CHECK(is_pending());
  auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {id}).size() == 1);
  CHECK(is_pending());  // the agent may still die
  append(*store, row(id, kFailed, 1));
  CHECK(is_pending());
  append(*store, row(id, kFailed, 3));
  CHECK_FALSE(is_pending());
  const auto second = put(*store, found("x.csv", "other")).id;
  CHECK(is_pending());
  append(*store, row(second, kSuccessful));
  CHECK_FALSE(is_pending());
  put(*store, found("y.csv", "one"));
  const std::vector<std::string> paths = {"y.csv"};
  must(store->mark_missing(kLandingArea, paths, "gone"));
  CHECK_FALSE(is_pending());
  put(*store, found("y.csv", "one"));
  CHECK(is_pending());
}

CONTRACT("without named destinations one delivery is enough") {
  auto store = open(Options{});
  const auto id = put(*store, found("x.csv", "one")).id;
  CHECK(must(store->totals()).at(0).destination.empty());
  append(*store, row(id, kFailed));
  CHECK(must(store->is_pending()));
  append(*store, row(id, kSuccessful));
  CHECK_FALSE(must(store->is_pending()));
  Options two_wanted;
  two_wanted.demand.destinations = {kTo, "lake"};
  CHECK(must(open(two_wanted)->is_pending()));
  CHECK_FALSE(must(store->is_pending()));
}

CONTRACT("what is pending follows who wants which file") {
  std::map<std::string, int> asked;
  Options by_path;
  by_path.demand.destinations = {"lake", kTo};
  by_path.demand.routing = "x.csv to the lake";
  by_path.demand.wanted_by = [&](std::string_view, const std::string& path) {
    ++asked[path];
    return path == "x.csv" ? std::vector<std::string_view>{"lake"}
                           : std::vector<std::string_view>{};
  };
  auto store = open(by_path);
  put(*store, found("nobody's.csv", "one"));
  CHECK_FALSE(must(store->is_pending()));
  const auto id = put(*store, found("x.csv", "one")).id;
  CHECK(must(store->is_pending()));
  append(*store, row(id, kSuccessful));
  CHECK(must(store->is_pending()));
  TransferRecord elsewhere = row(id, kSuccessful);
  elsewhere.destination = "lake";
  append(*store, elsewhere);
  CHECK_FALSE(must(store->is_pending()));
  asked.clear();
  CHECK_FALSE(must(open(by_path)->is_pending()));
  CHECK(asked.empty());  // what was worked out before is kept
}

CONTRACT("a new demand holds at once, and a former one costs nothing when it comes back") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  append(*store, row(id, kSuccessful));
  CHECK_FALSE(must(store->is_pending()));
  Demand two = options().demand;
  two.destinations.push_back("lake");
  store->set_demand(two);
  CHECK(must(store->is_pending()));
  CHECK(must(store->totals("lake"))[Standing::kPending].files == 1);
  store->set_demand(options().demand);
  CHECK_FALSE(must(store->is_pending()));
}

CONTRACT("a demand that nobody else can know is worked out for this process") {
  bool wants = true;
  Options own = options();
  own.demand.wanted_by = [&](std::string_view, const std::string&) {
    return wants ? std::vector<std::string_view>{kTo} : std::vector<std::string_view>{};
  };
  put(*open(own), found("x.csv", "one"));
  CHECK(must(open(own)->is_pending()));
  wants = false;
  CHECK_FALSE(must(open(own)->is_pending()));
}

CONTRACT("processes that know other destinations do not undo each other's work") {
  auto watcher = open(Options{});
  auto agent = open();
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(put(*watcher, found(std::to_string(i), "1")).id);
    CHECK(must(agent->totals(kTo))[Standing::kPending].files == 1);
    append(*agent, row(ids.back(), i % 2 == 0 ? kSuccessful : kFailed));
    CHECK(must(watcher->is_pending()) == (i > 0));
  }
  CHECK(must(agent->totals(kTo))[Standing::kSuccessful].files == 10);
  CHECK(must(agent->totals(kTo))[Standing::kFailed].files == 10);
  CHECK(must(watcher->totals()).size() == 1);
  CHECK(must(watcher->totals()).at(0)[Standing::kFailed].files == 10);
}

CONTRACT("a version that nobody wants is not replaced but stays") {
  Options nobody = options();
  nobody.demand.routing = "nobody";
  nobody.demand.wanted_by = [](std::string_view, const std::string&) {
    return std::vector<std::string_view>{};
  };
  auto store = open(nobody);
  put(*store, found("x.csv", "one"));
  CHECK(put(*store, found("x.csv", "other")).superseded_id.empty());
}

CONTRACT("where there are several areas a row without one belongs to none") {
  FileRecord homeless = found("x.csv", "one");
  homeless.id = "f1";
  homeless.landing.clear();
  for (const bool has_destinations : {true, false}) {
    CAPTURE(has_destinations);
    Options several = has_destinations ? options() : Options{};
    several.demand.has_several_landings = true;
    auto store = open(several);
    must(store->import_files({homeless}));
    CHECK_FALSE(must(store->is_pending()));
    std::uint64_t unrouted = 0;
    for (const Totals& totals : must(store->totals()))
      unrouted += totals[Standing::kUnrouted].files;
    CHECK(unrouted == 1);
  }
  CHECK(must(open()->is_pending()));  // the only area
}

CONTRACT("what everybody has and is to be taken away is found, until it is gone") {
  Options taking = options();
  taking.demand.destinations = {kTo, "lake"};
  taking.demand.routing = "csv is taken away";
  taking.demand.is_taken_away = [](std::string_view, const std::string& path) {
    return path.ends_with(".csv");
  };
  const FileQuery due{.latest_versions = true, .due_to_go = true};
  auto store = open(taking);
  const auto id = put(*store, found("x.csv", "one")).id;
  const auto kept = put(*store, found("x.txt", "one")).id;
  for (const std::string& one : {id, kept}) {
    const auto before = paths(*store, due);
    append(*store, row(one, kSuccessful));
    CHECK(paths(*store, due) == before);
    TransferRecord to_lake = row(one, kSuccessful);
    to_lake.destination = "lake";
    append(*store, to_lake);
  }
  CHECK(paths(*store, due) == std::vector<std::string>{"x.csv"});
  CHECK(must(store->totals("lake"))[Standing::kSuccessful].files == 2);
  SUBCASE("because it was taken away") {
    const StateChange gone{id, FileState::kMissing, "deleted"};
    must(store->change_states(std::span(&gone, 1)));
  }
  SUBCASE("because another version took its place") {
    put(*store, found("x.csv", "other"));
  }
  CHECK(paths(*store, due).empty());
}

}  // namespace
}  // namespace ferry::metastore
