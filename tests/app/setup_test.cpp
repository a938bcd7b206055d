#include "app/config/setup.h"
#include "app/config/connections.h"
#include "app/config/landing_areas.h"

#include <doctest/doctest.h>

#include <boost/filesystem/operations.hpp>
#include <cstdlib>

#include "app/arguments.h"
#include "app/commands/import_rows.h"
#include "app/config/placement.h"
#include "app/config/secrets.h"
#include "app/report/progress.h"

namespace ferry::app {
namespace {

class Sandbox {
 public:
  Sandbox() {
    std::string name = "/tmp/ferry-setup-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    clear_environment();
  }
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox() {
    clear_environment();
    boost::system::error_code ignored;
    fs::remove_all(root, ignored);
  }

  std::string write(const std::string& name, std::string_view text) const {
    REQUIRE(replace_file(root / name, text));
    return (root / name).string();
  }

  fs::path root;

 private:
  static void clear_environment() {
    for (const char* name :
         {"FERRY_CONFIG", "FERRY_METASTORE", "FERRY_PASSWORD", "FERRY_PASSPHRASE"}) {
      ::unsetenv(name);
    }
  }
};

Result<Settings> settings_of(std::string_view command, const std::vector<std::string>& words) {
  const auto arguments = parse_arguments(find_command(command), words);
  REQUIRE(arguments);
  return effective_settings(*arguments);
}

constexpr std::string_view kTwoDestinations =
    "metastore = \"/from/file\"\n"
    "[landing.in]\npath = \"/data/in\"\nsettle = \"9s\"\n"
    "[destination.one]\nurl = \"sftp://one/d\"\npassword_file = \"/file/secret\"\n"
    "[destination.two]\nurl = \"sftp://two/d\"\n";

TEST_CASE_FIXTURE(Sandbox, "the command line outweighs the environment, which outweighs the file") {
  const std::string file = write("ferry.toml", kTwoDestinations);
  CHECK(settings_of("status", {"--config", file})->general.metastore.text == "/from/file");
  ::setenv("FERRY_METASTORE", "/from/environment", 1);
  CHECK(settings_of("status", {"--config", file})->general.metastore.text == "/from/environment");
  CHECK(settings_of("status", {"--config", file, "--metastore", "/from/line"})
            ->general.metastore.text == "/from/line");
}

TEST_CASE_FIXTURE(Sandbox, "the metastore is a directory, whose path may be relative, or a URL") {
  constexpr const char* kUrl = "postgresql://db.example.org/ferry";
  const fs::path here = fs::current_path();
  const auto location = [](const std::vector<std::string>& words) {
    return settings_of("status", words)->general.metastore;
  };
  CHECK(location({"--metastore", "store"}).directory() == here / "store");
  CHECK(location({"--metastore", kUrl}).text == kUrl);
  CHECK_FALSE(location({"--metastore", kUrl}).is_directory());
  CHECK(location({"--config", write("url.toml", fmt::format("metastore = \"{}\"\n", kUrl))}).text ==
        kUrl);
  ::setenv("FERRY_METASTORE", kUrl, 1);
  CHECK(location({}).text == kUrl);
  CHECK(location({}).directory().empty());
}

TEST_CASE_FIXTURE(Sandbox, "FERRY_CONFIG names the file") {
  ::setenv("FERRY_CONFIG", write("ferry.toml", kTwoDestinations).c_str(), 1);
  CHECK(settings_of("status", {})->destinations.size() == 2);
}

/// The password that a destination is offered.
std::string password_for(const Settings& settings, std::size_t number) {
  const auto resolved = resolve_destination(settings.destinations[number], settings.transfer);
  REQUIRE(resolved);
  return resolved->connect.password;
}

TEST_CASE_FIXTURE(Sandbox, "a destination's own password_file outweighs the environment") {
  const std::string file = write("ferry.toml",
                                 "[destination.one]\nurl = \"sftp://one/d\"\n"
                                 "password_file = \"own\"\npassphrase_file = \"own\"\n"
                                 "[destination.two]\nurl = \"sftp://two/d\"\n"
                                 "[destination.three]\nurl = \"sftp://three/d\"\n"
                                 "identity = \"key\"\n");
  write("own", "from the file\n");
  ::setenv("FERRY_PASSWORD", "from the environment", 1);
  ::setenv("FERRY_PASSPHRASE", "from the environment", 1);
  const auto settings = settings_of("transfer", {"--config", file});
  REQUIRE(settings);
  CHECK(password_for(*settings, 0) == "from the file");
  CHECK(resolve_destination(settings->destinations[0], settings->transfer)->connect.passphrase ==
        "from the file");
  CHECK(password_for(*settings, 1) == "from the environment");
  CHECK(settings->destinations[2].passphrase == "from the environment");

  SUBCASE("of several destinations one with a key is not offered it") {
    CHECK(password_for(*settings, 2).empty());
  }
  SUBCASE("the only one is: a server may want both") {
    const auto only = settings_of("transfer", {"--config", file, "--to", "three"});
    REQUIRE(only);
    CHECK(password_for(*only, 0) == "from the environment");
  }
  SUBCASE("the command line outweighs both") {
    const std::string secret = write("secret", "from the line\n");
    const auto given = settings_of("transfer", {"--config", file, "--password-file", secret});
    REQUIRE(given);
    CHECK(password_for(*given, 0) == "from the line");
    CHECK(password_for(*given, 1) == "from the line");
  }
}

TEST_CASE_FIXTURE(Sandbox, "secrets are taken out of the environment, and still known later") {
  ::setenv("FERRY_PASSWORD", "hush", 1);
  const char* place = std::getenv("FERRY_PASSWORD");
  CHECK(environment_secrets().password == "hush");
  CHECK(std::getenv("FERRY_PASSWORD") == nullptr);
  CHECK(*place == '\0');
  CHECK(environment_secrets().password == "hush");
}

TEST_CASE_FIXTURE(Sandbox, "--to selects a configured destination by name") {
  const std::string file = write("ferry.toml", kTwoDestinations);
  const auto settings = settings_of("transfer", {"--config", file, "--to", "two"});
  REQUIRE(settings);
  REQUIRE(settings->destinations.size() == 1);
  CHECK(settings->destinations[0].url.host == "two");
  CHECK(settings->configured_destinations == std::vector<std::string>{"one", "two"});
}

TEST_CASE_FIXTURE(Sandbox, "--to with neither a URL nor a known name is refused") {
  const std::string file = write("ferry.toml", kTwoDestinations);
  const auto settings = settings_of("transfer", {"--config", file, "--to", "twoo"});
  REQUIRE_FALSE(settings);
  CHECK(settings.error().message.find("did you mean 'two'?") != std::string::npos);
}

TEST_CASE_FIXTURE(Sandbox, "a destination of the command line is named by its canonical URL") {
  const auto settings = settings_of("transfer", {"--to", "sftp://u@h:22/d", "--no-agent"});
  REQUIRE(settings);
  CHECK(settings->destinations[0].name == settings->destinations[0].url.to_string());
  CHECK_FALSE(settings->destinations[0].use_agent);
}

TEST_CASE_FIXTURE(Sandbox, "a landing area of the command line is named by its absolute path") {
  const auto settings =
      settings_of("watch", {"--landing", root.string() + "/x/", "--settle", "1s"});
  REQUIRE(settings);
  CHECK(settings->landings[0].name == (root / "x").string());
  CHECK(settings->landings[0].settle == std::chrono::seconds(1));
}

TEST_CASE_FIXTURE(Sandbox, "--landing finds a configured area by name and by path") {
  const std::string file = write("ferry.toml", kTwoDestinations);
  for (const char* word : {"in", "/data/in"}) {
    const auto settings = settings_of("watch", {"--config", file, "--landing", word});
    REQUIRE(settings);
    REQUIRE(settings->landings.size() == 1);
    CHECK(settings->landings[0].name == "in");
    CHECK(settings->landings[0].settle == std::chrono::seconds(9));
  }
}

TEST_CASE_FIXTURE(Sandbox,
                  "a registry row finds its landing area by name, path, or being the only") {
  const auto settings = settings_of("watch", {"--landing", root.string()});
  REQUIRE(settings);
  const auto places = landing_places(*settings);
  REQUIRE(places);
  CHECK(std::get<fs::path>(places->at("")) == root);
  CHECK(std::get<fs::path>(places->at(root.string())) == root);

  const auto two = settings_of("watch", {"--landing", root.string(), "--landing", "/"});
  REQUIRE(two);
  CHECK_FALSE(landing_places(*two).value().contains(""));
}

TEST_CASE_FIXTURE(Sandbox, "a metastore among the files that land is refused") {
  CHECK(is_visible_inside(root / "m", root));
  CHECK(is_visible_inside(root, root));
  CHECK_FALSE(is_visible_inside(root / ".ferry" / "m", root));
  CHECK_FALSE(is_visible_inside(root, root / "in"));
  CHECK_FALSE(is_visible_inside("/elsewhere", root));
}

TEST_CASE_FIXTURE(Sandbox, "a landing area may lie on a server, with keys of its own") {
  const std::string file = write("ferry.toml",
                                 "metastore = \"/m\"\n[landing.in]\nurl = \"sftp://u@a:2222/in\"\n"
                                 "identity = \"key\"\n[destination.b]\nurl = \"sftp://b/\"\n"
                                 "[transfer]\nstall_timeout = \"7s\"\n");
  const auto settings = settings_of("transfer", {"--config", file, "--identity", "/keys/b"});
  REQUIRE(settings);
  CHECK(check_landings(*settings));
  const auto places = landing_places(*settings);
  REQUIRE(places);
  for (const char* label : {"in", "sftp://u@a:2222/in", ""}) {
    CAPTURE(label);
    REQUIRE(places->contains(label));
    const auto& location = std::get<sftp::Location>(places->at(label));
    CHECK(location.directory == "/in");
    CHECK(location.connect.user == "u");
    CHECK(location.connect.port == 2222);
    CHECK(location.connect.identities == std::vector<fs::path>{root / "key"});
    CHECK(location.connect.limits.stall_timeout == std::chrono::seconds(7));
  }
  CHECK(landing_aliases(*settings).at("sftp://u@a:2222/in") == "in");
}

TEST_CASE_FIXTURE(Sandbox, "--landing takes a URL, and finds the configured area that has it") {
  const auto alone = settings_of(
      "watch", {"--landing", "sftp://u@a/in", "--landing-identity", "/k", "--no-landing-agent"});
  REQUIRE(alone);
  CHECK(alone->landings[0].is_remote());
  CHECK(alone->landings[0].name == "sftp://u@a/in");
  CHECK(alone->landings[0].connection.identity == std::vector<fs::path>{"/k"});
  CHECK_FALSE(alone->landings[0].connection.use_agent);
  const std::string file =
      write("ferry.toml", "metastore = \"/m\"\n[landing.in]\nurl = \"sftp://u@a/in\"\n");
  for (const char* url : {"sftp://u@a/in", "sftp://u@A:22//in/", "sftp://u@a/x/../in"}) {
    CAPTURE(url);
    CHECK(settings_of("watch", {"--config", file, "--landing", url})->landings[0].name == "in");
  }
  CHECK(settings_of("watch", {"--config", file, "--landing", "sftp://v@a/in"})->landings[0].name ==
        "sftp://v@a/in");
}

TEST_CASE_FIXTURE(Sandbox, "a landing area that is not there is named") {
  const auto settings = settings_of("watch", {"--landing", (root / "absent").string()});
  REQUIRE(settings);
  const auto checked = check_landings(*settings);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().message.find((root / "absent").string()) != std::string::npos);
}

TEST_CASE("bad rows of an import are named by their lines, and nothing is imported") {
  RowParser parser("rows.jsonl");
  for (const char* part : {"\n{", "}\nnot", " json"}) CHECK(parser.take(part));
  const auto rows = parser.finish();
  REQUIRE_FALSE(rows);
  CHECK(rows.error().message.find("rows.jsonl:2: ") != std::string::npos);
  CHECK(rows.error().message.find("rows.jsonl:3: ") != std::string::npos);
}

TEST_CASE("a line of an import that never ends, and bad lines without end, are refused in time") {
  const std::string block(1 << 16, 'x');
  RowParser endless("rows.jsonl");
  int blocks = 0;
  while (blocks < 1000 && endless.take(block)) ++blocks;
  CHECK(blocks <= 16);
  CHECK(endless.finish().error().message.find("rows.jsonl:1: the line is longer") == 0);

  RowParser many("rows.jsonl");
  int lines = 0;
  while (lines < 1000 && many.take("bad\n")) ++lines;
  CHECK(lines < 200);
  CHECK(many.finish().error().message.find("rows.jsonl:100: ") != std::string::npos);
}

TEST_CASE("a progress line tells percent, amounts, rate and time left") {
  const Progress half{.files = 4,
                      .files_done = 1,
                      .bytes = 200 << 20,
                      .bytes_done = 100 << 20,
                      .elapsed = std::chrono::seconds(10)};
  const std::string line = progress_line(half, 120);
  for (const char* part :
       {"50%", "100.0 MiB of 200.0 MiB", "1/4 files", "10.0 MiB/s", "ETA 10.0s"}) {
    CAPTURE(line);
    CHECK(line.find(part) != std::string::npos);
  }
  CHECK(progress_line(half, 20).size() <= 20);
  CHECK(progress_line({.files = 2, .files_done = 1}, 80).find("50%") != std::string::npos);
}

}  // namespace
}  // namespace ferry::app
