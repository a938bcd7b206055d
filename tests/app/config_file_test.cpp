#include "app/config/config_file.h"

#include <doctest/doctest.h>

#include "app/config/landing_areas.h"

namespace ferry::app {
namespace {

constexpr std::string_view kComplete = R"(metastore = "store"

[log]
level = "warning"
format = "json"

[landing.incoming]
path = "in"
ignore = ["*.bak", "skip/*"]
settle = "3s"

[watch]
rescan_interval = "1m"
hash_threads = 2

[destination.b]
url = "sftp://drop@b.example.org:2222/inbox"
identity = "/keys/one"
known_hosts = ["/keys/hosts"]
use_agent = false
connections = 4

[transfer]
max_attempts = 3
fsync = false
window = "8MiB"
stall_timeout = "30s"
)";

Configuration parse(std::string_view text) {
  return parse_configuration(text, "/etc/ferry");
}

Problem only_problem(std::string_view text) {
  const Configuration loaded = parse(text);
  REQUIRE(loaded.problems.size() == 1);
  return loaded.problems.front();
}

bool says(const Problem& problem, std::string_view words) {
  return problem.message.find(words) != std::string::npos;
}

TEST_CASE("a configuration file is read completely") {
  const Configuration loaded = parse(kComplete);
  REQUIRE(loaded.problems.empty());
  const Settings& settings = loaded.settings;
  CHECK(settings.general.metastore.text == "/etc/ferry/store");
  CHECK(settings.log.level == log::Level::kWarning);
  CHECK(settings.log.format == log::Format::kJson);
  REQUIRE(settings.landings.size() == 1);
  CHECK(settings.landings[0].name == "incoming");
  CHECK(settings.landings[0].path == "/etc/ferry/in");
  CHECK(settings.landings[0].ignore == std::vector<std::string>{"*.bak", "skip/*"});
  CHECK(settings.landings[0].settle == std::chrono::seconds(3));
  CHECK(settings.watch.rescan_interval == std::chrono::minutes(1));
  CHECK(settings.watch.hash_threads.value == 2);
  REQUIRE(settings.destinations.size() == 1);
  CHECK(settings.destinations[0].name == "b");
  CHECK(settings.destinations[0].url.host == "b.example.org");
  CHECK(settings.destinations[0].url.port == 2222);
  CHECK(settings.destinations[0].identity == std::vector<fs::path>{"/keys/one"});
  CHECK_FALSE(settings.destinations[0].use_agent);
  CHECK(settings.destinations[0].connections.value == 4);
  CHECK(settings.configured_destinations == std::vector<std::string>{"b"});
  CHECK(settings.transfer.max_attempts.value == 3);
  CHECK_FALSE(settings.transfer.fsync);
  CHECK(settings.transfer.window.value == 8U << 20);
}

TEST_CASE("a landing area says what it takes") {
  const Configuration loaded = parse(R"(
[landing.in]
path = "/in"
empty = "quarantine"
min_size = 10
max_size = "2G"
extensions = ["csv", "tar.gz"]
magic = ["504B0304", "1f8b"]
min_age = "30s"
validate = ["jq", "empty"]
validate_timeout = "5s"
unsettled_after = "10m"
quarantine = ".held"
)");
  REQUIRE(loaded.problems.empty());
  const landing::LandingArea area =
      landing_area(loaded.settings.landings.at(0), loaded.settings).value();
  CHECK(area.acceptance.empty == EmptyFiles::kQuarantine);
  CHECK(area.acceptance.min_size == 10);
  CHECK(area.acceptance.max_size == 2ULL << 30);
  CHECK(area.acceptance.extensions == std::vector<std::string>{"csv", "tar.gz"});
  CHECK(area.acceptance.magic.at(0).to_string() == "504b0304");
  CHECK(area.acceptance.min_age == std::chrono::seconds(30));
  CHECK(area.acceptance.validate == std::vector<std::string>{"jq", "empty"});
  CHECK(area.acceptance.validate_timeout == std::chrono::seconds(5));
  CHECK(area.unsettled_after == std::chrono::minutes(10));
  CHECK(area.quarantine == "/etc/ferry/.held");

  const std::string shown = to_toml(loaded.settings);
  CHECK(to_toml(parse(shown).settings) == shown);
}

TEST_CASE("a policy that cannot be understood is reported where it stands") {
  const std::string area = "[landing.in]\npath = \"/in\"\n";
  CHECK(
      says(only_problem(area + "empty = \"drop\"\n"), "'drop' is not one of: deliver, quarantine"));
  CHECK(says(only_problem(area + "magic = [\"5\"]\n"), "hexadecimal digits"));
  CHECK(says(only_problem(area + "max_size = \"big\"\n"), "landing.in.max_size"));
}

TEST_CASE("what is shown reads back to the same") {
  const Configuration loaded = parse(kComplete);
  const std::string shown = to_toml(loaded.settings);
  const Configuration again = parse(shown);
  REQUIRE(again.problems.empty());
  CHECK(to_toml(again.settings) == shown);
  CHECK(shown.find("window = \"8MiB\"") != std::string::npos);
}

TEST_CASE("names that TOML must quote survive showing") {
  const Configuration loaded = parse("[landing.\"a \\\"b\\\".c\"]\npath = \"/x\"\n");
  REQUIRE(loaded.problems.empty());
  const Configuration again = parse(to_toml(loaded.settings));
  REQUIRE(again.settings.landings.size() == 1);
  CHECK(again.settings.landings[0].name == "a \"b\".c");
}

TEST_CASE("passwords are never shown") {
  Settings settings = parse(kComplete).settings;
  settings.destinations[0].password = "hunter2";
  settings.destinations[0].passphrase = "hunter2";
  CHECK(to_toml(settings).find("hunter2") == std::string::npos);
}

TEST_CASE("an unknown key is reported where it stands, with what was probably meant") {
  const Problem problem = only_problem("metastore = \"m\"\n[transfer]\nmax_attemps = 3\n");
  CHECK(problem.line == 3);
  CHECK(says(problem, "unknown key 'transfer.max_attemps'"));
  CHECK(says(problem, "did you mean 'max_attempts'?"));
}

TEST_CASE("an unknown table is an unknown key") {
  const Problem problem = only_problem("[destinations.b]\nurl = \"sftp://b/\"\n");
  CHECK(problem.line == 1);
  CHECK(says(problem, "did you mean 'destination'?"));
}

TEST_CASE("a value of the wrong type is reported") {
  CHECK(says(only_problem("[transfer]\nfsync = \"yes\"\n"), "expected true or false"));
  CHECK(says(only_problem("[transfer]\nwindow = true\n"), "expected a size"));
  CHECK(says(only_problem("[watch]\nhash_threads = 1.5\n"), "type of value"));
  CHECK(says(only_problem("landing = 3\n"), "[landing.NAME]"));
  CHECK(says(only_problem("[landing]\nin = \"/x\"\n"), "[landing.NAME]"));
}

TEST_CASE("a value that makes no sense is reported") {
  CHECK(says(only_problem("[transfer]\nstall_timeout = \"5 weeks\"\n"), "not a duration"));
  CHECK(says(only_problem("[transfer]\nmax_attempts = 0\n"), "less than 1"));
  CHECK(says(only_problem("[log]\nlevel = \"loud\"\n"), "is not one of: debug, info"));
  CHECK(says(only_problem("[destination.b]\nurl = \"sftp://b/\"\ntransport = \"telnet\"\n"),
             "not one of: auto, libssh2, openssh"));
}

TEST_CASE("what a landing area and a destination need is asked for") {
  CHECK(says(only_problem("[landing.in]\nsettle = \"1s\"\n"), "'path' is missing"));
  CHECK(says(only_problem("[landing.in]\npath = \"/x\"\nurl = \"sftp://a/x\"\n"), "not both"));
  CHECK(says(only_problem("[destination.b]\nconnections = 1\n"), "'url' is missing"));
}

TEST_CASE("broken TOML is reported with its line") {
  CHECK(only_problem("metastore = \"m\"\n[transfer\n").line == 2);
}

TEST_CASE("all mistakes are reported at once, in the order of the file") {
  const Configuration loaded = parse("[transfer]\nb = 1\n[log]\na = 1\nlevel = \"x\"\n");
  REQUIRE(loaded.problems.size() == 3);
  CHECK(loaded.problems[0].line == 2);
  CHECK(loaded.problems[1].line == 4);
  CHECK(loaded.problems[2].line == 5);
  CHECK(to_string(loaded.problems[0], "/f.toml").starts_with("/f.toml:2:"));
}

}  // namespace
}  // namespace ferry::app
