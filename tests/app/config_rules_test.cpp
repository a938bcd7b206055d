#include "app/config/config_rules.h"

#include <doctest/doctest.h>

#include "app/config/config_file.h"
#include "app/config/routing.h"

namespace ferry::app {
namespace {

constexpr std::string_view kBase =
    "[landing.in]\npath = \"/in\"\n"
    "[landing.other]\npath = \"/other\"\n"
    "[destination.a]\nurl = \"sftp://a/d\"\n"
    "[destination.b]\nurl = \"sftp://b/d\"\n";
constexpr std::uint32_t kBaseLines = 8;
const std::string kTwin = "[destination.a2]\nurl = \"sftp://a/d\"\n";

Configuration parse(std::string_view text) {
  return parse_configuration(std::string(kBase).append(text), "/etc");
}

/// The one problem: "LINE: message", lines counted from the text.
std::string problem(std::string_view text) {
  const Configuration loaded = parse(text);
  for (const Problem& found : loaded.problems) MESSAGE(to_string(found, "f"));
  REQUIRE(loaded.problems.size() == 1);
  return fmt::format("{}: {}", loaded.problems[0].line - kBaseLines, loaded.problems[0].message);
}

bool says(std::string_view text, std::string_view start, std::string_view words) {
  const std::string found = problem(text);
  CAPTURE(found);
  return found.starts_with(start) && found.find(words) != found.npos;
}

bool is_fine(std::string_view text) {
  const Configuration loaded = parse(text);
  for (const Problem& found : loaded.problems) MESSAGE(to_string(found, "f"));
  return loaded.problems.empty();
}

TEST_CASE("routes keep the order of the file") {
  const auto loaded = parse(
      "[route.zebra]\nmatch = \"*.csv\"\nto = \"a\"\n[transform.pack]\ntype = \"zstd\"\nlevel = "
      "19\n"
      "[route.ant]\nto = [\"b\"]\ntransforms = [\"pack\", \"gzip\"]\nrename = \"x/{name}\"\n");
  REQUIRE(loaded.problems.empty());
  const auto routes = make_routes(loaded.settings);
  REQUIRE(routes->all().size() == 2);
  CHECK(routes->all()[0].name == "zebra");
  const transfer::Route& ant = routes->all()[1];
  REQUIRE(ant.transforms.size() == 2);
  CHECK(ant.transforms[0].level == 19);
  CHECK(transfer::suffix_of(ant) == ".zst.gz");
  const std::string shown = to_toml(loaded.settings);
  CHECK(to_toml(parse_configuration(shown, "/").settings) == shown);
}

TEST_CASE("names that nothing has") {
  CHECK(says("[route.x]\nto = \"c\"\n", "2: route.x: to: unknown destination 'c'", ""));
  CHECK(says("[route.x]\nto = \"a\"\nlanding = [\"inn\"]\n", "3: route.x", "did you mean 'in'"));
  CHECK(says("[route.x]\nto = \"a\"\n\ntransforms = [\"gzipp\"]\n", "4: route.x", "'gzip'"));
  CHECK(says("[route.x]\nmatch = \"*\"\n", "1: route.x", "'to' is missing"));
  CHECK(says("[route.x]\nto = []\n", "2: route.x", "names no destination"));
  CHECK(says("[route.x]\nto = [\"b\", \"b\"]\n", "2: route.x", "'b' twice"));
  CHECK(says("[route.x]\nto = \"a\"\nmach = \"*\"\n", "3: unknown key 'route.x.mach'", "'match'"));
  CHECK(says("[route.x]\nto = \"a\"\nrename = \"{nam}\"\n", "3: route.x.rename", "{nam}"));
}

TEST_CASE("transforms that cannot work") {
  CHECK(says("[transform.x]\nsuffix = \".x\"\n", "1: transform.x", "'command' is missing"));
  CHECK(says("[transform.gzip]\nlevel = 10\n", "2: transform.gzip", "from 1 to 9"));
  CHECK(
      says("[transform.charset]\nfrom = \"latin1\"\n", "1: transform.charset", "'to' is missing"));
  CHECK(says("[transform.x]\ntype = \"charset\"\nfrom = \"latin1\"\nto = \"utf-9\"\n",
             "4: transform.x", "unknown charset 'utf-9'"));
  CHECK(says("[transform.gzip]\ncommand = [\"gzip\"]\n", "2: transform.gzip", "type command"));
}

TEST_CASE("one place under two names, one name for many files") {
  CHECK(says(kTwin + "[route.x]\nto = [\"a\", \"a2\"]\n", "4: route.x", "same place"));
  CHECK(says(kTwin, "2: destination.a2", "same place as 'a'"));
  CHECK(
      says("[route.x]\nto = \"a\"\nrename = \"all.csv\"\n", "3: route.x", "same name, 'all.csv'"));
  CHECK(is_fine("[route.x]\nto = \"a\"\nmatch = \"in/one.csv\"\nrename = \"latest.csv\"\n"));
  CHECK(says(kTwin + "[route.x]\nto = \"a\"\nmatch = \"in/1\"\nrename = \"n\"\n"
                     "[route.y]\nto = \"a2\"\nmatch = \"in/2\"\nrename = \"n\"\n",
             "10: route.y", "route 'x' gives its files the same name"));
}

TEST_CASE("routes that stand in each other's way") {
  CHECK(says("[route.x]\nto = \"a\"\n[route.y]\nmatch = \"*.csv\"\nto = \"b\"\n", "4: route.y",
             "never takes a file"));
  CHECK(
      says("[route.x]\nmatch = [\"1\", \"2\"]\nto = \"a\"\n[route.y]\nmatch = \"2\"\nto = \"b\"\n",
           "5: route.y", "never takes a file"));
  CHECK(is_fine("[route.x]\nlanding = \"in\"\nto = \"a\"\n[route.y]\nto = \"b\"\n"));
  CHECK(is_fine("[route.x]\nmatch = \"*.csv\"\nto = \"a\"\n[route.y]\nto = \"a\"\n"));
}

TEST_CASE("with routing = all no file may go to one place twice") {
  const auto all = [](std::string_view routes) {
    return std::string("[route.x]\nmatch = \"*.csv\"\nto = \"a\"\n").append(routes);
  };
  const auto parse_all = [&](std::string_view routes) {
    return parse_configuration("routing = \"all\"\n" + std::string(kBase) + kTwin + all(routes),
                               "/etc");
  };
  CHECK(parse_all("[route.y]\nto = \"b\"\n").problems.empty());
  CHECK(parse_all("[route.y]\nmatch = \"*.txt\"\nto = \"a\"\n").problems.empty());
  INFO("of one destination the first route counts");
  CHECK(parse_all("[route.y]\nto = \"a\"\n").problems.empty());
  const auto twice = parse_all("[route.y]\nmatch = \"in/*\"\nto = \"a2\"\n");
  REQUIRE(twice.problems.size() == 1);
  CHECK(twice.problems[0].line == kBaseLines + 1 + 2 + 6);
  CHECK(twice.problems[0].message.find("twice") != std::string::npos);
}

TEST_CASE("an archive where it would land again") {
  const std::string_view archives = "[route.x]\nto = \"a\"\nafter = \"archive\"\n";
  CHECK(says(archives, "3: route.x", "needs archive"));
  const auto in = [&](std::string_view directory) {
    return std::string(archives) + fmt::format("archive = \"{}\"\n", directory);
  };
  CHECK(says(in("/in/done"), "4: route.x", "lies in the landing area 'in'"));
  CHECK(is_fine(in("/in/.done")));
  CHECK(is_fine(in("/done")));
  CHECK(says("[route.x]\nto = \"a\"\narchive = \"/done\"\n", "3: route.x", "no use"));
}

std::string area(std::string_view name, std::string_view url) {
  return fmt::format("[landing.{}]\nurl = \"{}\"\n", name, url);
}

TEST_CASE("landing areas on servers that overlap") {
  const auto overlap = [](std::string_view one, std::string_view other) {
    CAPTURE(one);
    CAPTURE(other);
    const Configuration loaded = parse(area("one", one) + area("two", other));
    for (const Problem& found : loaded.problems) {
      CHECK(found.message.find(" overlap: ") != std::string::npos);
    }
    return !loaded.problems.empty();
  };
  CHECK(overlap("sftp://u@h/", "sftp://u@h/sub"));
  CHECK(overlap("sftp://u@h/sub", "sftp://u@h/"));
  CHECK(overlap("sftp://u@h//in", "sftp://u@h/in"));
  CHECK(overlap("sftp://u@h/in/.", "sftp://u@h/in"));
  CHECK(overlap("sftp://u@h/in/../x", "sftp://u@h/x"));
  CHECK(overlap("sftp://u@h/in//a", "sftp://u@h/in"));
  CHECK(overlap("sftp://u@H/in", "sftp://u@h:22/in/a"));
  CHECK(overlap("sftp://u@h/%69n", "sftp://u@h/in"));
  CHECK_FALSE(overlap("sftp://u@h/in", "sftp://u@h/in2"));
  CHECK_FALSE(overlap("sftp://u@h/in", "sftp://u@h:2222/in"));
  CHECK_FALSE(overlap("sftp://u@h/in", "sftp://u@h2/in"));
  INFO("no watcher looks into dot directories");
  CHECK_FALSE(overlap("sftp://u@h/in", "sftp://u@h/in/.sub"));
  INFO("below the home");
  CHECK(overlap("sftp://u@h/~/", "sftp://u@h/~/sub"));
  CHECK(overlap("sftp://u@h", "sftp://u@h/~/."));
  CHECK(overlap("sftp://u@h/~/a", "sftp://u@h/~/a/b/../c"));
  CHECK(overlap("sftp://u@h/~/..", "sftp://u@h/~/a"));
  CHECK_FALSE(overlap("sftp://u@h/~/a", "sftp://u@h/~/b"));
  CHECK_FALSE(overlap("sftp://u@h/~/../a", "sftp://u@h/~/a"));
  CHECK_FALSE(overlap("sftp://u@h/~/in", "sftp://u@h/in"));
  CHECK_FALSE(overlap("sftp://u@h/~/in", "sftp://u@h/"));
  INFO("each account may see directories of its own");
  CHECK_FALSE(overlap("sftp://alice@h/out", "sftp://bob@h/out"));
  CHECK_FALSE(overlap("sftp://alice@h/out", "sftp://h/out"));
  CHECK(overlap("sftp://h/out", "sftp://H/out/"));
}

TEST_CASE("an archive on a server where it would land again") {
  const auto archives = [](std::string_view directory) {
    return area("alice", "sftp://alice@h/in/../data/") + area("bob", "sftp://bob@h/done") +
           fmt::format(
               "[route.x]\nlanding = \"alice\"\nto = \"a\"\nafter = \"archive\"\n"
               "archive = \"{}\"\n",
               directory);
  };
  CHECK(says(archives("/data/done"), "9: route.x", "lies in the landing area 'alice'"));
  CHECK(says(archives("//data/done"), "9: route.x", "lies in the landing area 'alice'"));
  CHECK(is_fine(archives("/data/.done")));
  CHECK(is_fine(archives("/in/done")));
  INFO("of another account");
  CHECK(is_fine(archives("/done/x")));
}

TEST_CASE("two names of one place at a destination") {
  const auto twin = [](std::string_view url) {
    return fmt::format("[destination.c]\nurl = \"{}\"\n[route.x]\nto = [\"a\", \"c\"]\n", url);
  };
  for (const char* url : {"sftp://A/d", "sftp://a:22//d", "sftp://a/d/.", "sftp://a/e/../d"}) {
    CAPTURE(url);
    CHECK(says(twin(url), "4: route.x", "are the same place"));
  }
  CHECK(is_fine(twin("sftp://u@a/d")));
  CHECK(is_fine(twin("sftp://a/~/d")));
}

}  // namespace
}  // namespace ferry::app
