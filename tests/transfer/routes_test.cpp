#include "ferry/transfer/routes.h"

#include <doctest/doctest.h>

using namespace ferry;
using namespace ferry::transfer;
using Names = std::vector<std::string_view>;

namespace {

Route route(std::string name, std::vector<Glob> match, std::vector<std::string> destinations) {
  Route result;
  result.name = std::move(name);
  result.match = std::move(match);
  result.destinations = std::move(destinations);
  return result;
}

std::vector<Route> three() {
  return {route("csv", {Glob("*.csv")}, {"a", "b"}), route("in", {Glob("in/*")}, {"b", "c"}),
          route("rest", {}, {"d"})};
}

metastore::FileRecord file(std::string path) {
  metastore::FileRecord record;
  record.id = "some-id";
  record.path = std::move(path);
  record.landing = "partners";
  record.updated_date = parse_timestamp("2026-11-22T10:00:00Z").value();
  return record;
}

}  // namespace

TEST_CASE("the first route that takes a file decides") {
  const Routes routes(Routing::kFirst, three());
  CHECK(routes.wanted_by("x", "in/1.csv") == Names{"a", "b"});
  CHECK(routes.wanted_by("x", "in/1.txt") == Names{"b", "c"});
  CHECK(routes.wanted_by("x", "1.txt") == Names{"d"});
  CHECK(routes.find("x", "in/1.csv", "b")->name == "csv");
  CHECK(routes.find("x", "in/1.csv", "c") == nullptr);
}

TEST_CASE("or all that take it, and for each destination the first of them") {
  const Routes routes(Routing::kAll, three());
  CHECK(routes.wanted_by("x", "in/1.csv") == Names{"a", "b", "c", "d"});
  CHECK(routes.find("x", "in/1.csv", "b")->name == "csv");
  CHECK(routes.find("x", "in/1.csv", "c")->name == "in");
}

TEST_CASE("a route may hold for some landing areas only") {
  auto only = route("only", {}, {"a"});
  only.landings = {"partners"};
  const Routes routes(Routing::kFirst, {only});
  CHECK(routes.wanted_by("partners", "1") == Names{"a"});
  CHECK(routes.wanted_by("others", "1").empty());
  INFO("a row that names no area may have come from any");
  CHECK(routes.wanted_by("", "1") == Names{"a"});
}

TEST_CASE("of several answers to what becomes of the source the most careful one holds") {
  auto routes = three();
  routes[0].after = AfterDelivery::kDelete;
  routes[1].after = AfterDelivery::kArchive;
  routes[2].after = AfterDelivery::kDelete;
  CHECK(Routes(Routing::kFirst, routes).route_after_delivery("x", "in/1.csv")->name == "csv");
  CHECK(Routes(Routing::kAll, routes).route_after_delivery("x", "in/1.csv")->name == "in");
  CHECK(Routes(Routing::kAll, {}).route_after_delivery("x", "in/1.csv") == nullptr);
}

TEST_CASE("a remote name ends with what the transforms add, unless the template does") {
  Route gz = route("gz", {}, {"a"});
  CHECK(remote_name(nullptr, file("in/a.csv")).value() == "in/a.csv");
  CHECK(remote_name(&gz, file("in/a.csv")).value() == "in/a.csv");
  gz.transforms = {{.name = "gzip", .type = find_transform_type("gzip")},
                   {.name = "seal", .type = find_transform_type("command"), .suffix = ".pgp"}};
  CHECK(remote_name(&gz, file("in/a.csv")).value() == "in/a.csv.gz.pgp");
  gz.rename = NameTemplate::for_files("{date:%Y}/{name}").value();
  CHECK(remote_name(&gz, file("in/a.csv")).value() == "2026/a.csv.gz.pgp");
  gz.rename = NameTemplate::for_files("{stem}.gz.pgp").value();
  CHECK(remote_name(&gz, file("in/a.csv")).value() == "a.gz.pgp");
}

TEST_CASE("the date in a name is that of the registration, whatever happens to the record later") {
  Route dated = route("dated", {}, {"a"});
  dated.rename = NameTemplate::for_files("{date:%Y-%m-%d}").value();
  auto record = file("a");
  record.id = "0199b0a2-7c00-7000-8000-000000000000";
  CHECK(remote_name(&dated, record).value() == "2025-10-04");
}

TEST_CASE("a route lets a file wait for its age, and a version for the time that it stood") {
  using namespace std::chrono_literals;
  auto waiting = file("a.csv");
  const Timestamp now = waiting.updated_date + 10min;
  const auto ns = [](Timestamp time) {
    return std::chrono::nanoseconds(time.time_since_epoch()).count();
  };
  waiting.identity = FileIdentity{};
  waiting.identity->mtime_ns = ns(now - 1h);
  waiting.identity->ctime_ns = ns(now - 30min);
  Route by;
  CHECK(remaining_wait(by, waiting, now) == 0ms);
  by.delay = 15min;
  CHECK(remaining_wait(by, waiting, now) == 5min);
  by.acceptance.min_age = 40min;  // its times were set when it came, half an hour ago
  CHECK(remaining_wait(by, waiting, now) == 10min);
  waiting.identity->mtime_ns = ns(now - 20min);
  CHECK(remaining_wait(by, waiting, now) == 20min);
  INFO("a time in the future is not its own");
  waiting.identity->mtime_ns = ns(now + 1h);
  CHECK(remaining_wait(by, waiting, now) == 10min);
  INFO("a server tells no ctime");
  waiting.identity->mtime_ns = ns(now - 35min);
  waiting.identity->ctime_ns = 0;
  CHECK(remaining_wait(by, waiting, now) == 5min);
  INFO("and its clock may be ahead of ours");
  for (const auto ahead : {2s, 86'400s}) {
    waiting.identity->mtime_ns = ns(now + ahead);
    CHECK(remaining_wait(by, waiting, now) == 30min);
  }
  INFO("a row may say nothing of either");
  waiting.identity.reset();
  CHECK(remaining_wait(by, waiting, now) == 30min);
}

TEST_CASE("nobody waits for a clock that was set back to catch up") {
  using namespace std::chrono_literals;
  const Timestamp now{400'000h};
  const auto ns = [](Timestamp time) {
    return std::chrono::nanoseconds(time.time_since_epoch()).count();
  };
  Route by;
  by.delay = 1min;
  by.acceptance.min_age = 1min;
  metastore::FileRecord file;
  file.updated_date = now + 24h;
  file.identity = FileIdentity{.mtime_ns = ns(now + 24h), .ctime_ns = ns(now + 24h)};
  CHECK(remaining_wait(by, file, now) == 0ms);
  file.updated_date = now - 2min;
  file.identity = FileIdentity{.mtime_ns = ns(now + 24h)};
  CHECK(remaining_wait(by, file, now) == 0ms);
}

TEST_CASE("a version's number stands before the extension, and before what the transforms add") {
  CHECK(version_name("/in/report.csv", 1, "") == "/in/report.1.csv");
  CHECK(version_name("/in/report.csv.gz", 12, ".gz") == "/in/report.12.csv.gz");
  CHECK(version_name("/in/report.csv.gz", 12, "") == "/in/report.csv.12.gz");
  CHECK(version_name("/in.d/report", 3, "") == "/in.d/report.3");
  CHECK(version_name("/in/.profile", 1, "") == "/in/.profile.1");
  CHECK(version_name("/in/.gz", 1, ".gz") == "/in/.gz.1");
  CHECK(version_name("report", 1, ".gz") == "report.1");
}
