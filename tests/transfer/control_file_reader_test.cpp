#include <doctest/doctest.h>

#include <sstream>

#include "ferry/base/json.h"
#include "ferry/transfer/control_file.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

const std::string kChecksum = "sha256:" + std::string(64, 'a');

Json entry(const std::string& path, std::uint64_t size = 5) {
  return {{"id", "1"}, {"path", path}, {"size", size}, {"checksum", kChecksum}};
}

/// A control file that is right.
Json valid(std::vector<Json> files = {entry("in/a.csv"), entry("b", 7)}) {
  std::uint64_t total = 0;
  for (const Json& file : files) total += file["size"].get<std::uint64_t>();
  return {{"version", 1},         {"batch_id", "b1"},   {"created", "2026-11-22T00:00:00.000Z"},
          {"agent", "host-1-x"},  {"destination", "b"}, {"count", files.size()},
          {"total_bytes", total}, {"files", files}};
}

Result<ReceivedControlFile> read(const std::string& text) {
  std::istringstream stream(text);
  return read_control_file(stream);
}

std::string error_in(const std::string& text) {
  const auto control = read(text);
  REQUIRE_FALSE(control);
  CHECK(control.error().kind == ErrorKind::kInvalid);
  return control.error().message;
}
std::string error_of(const Json& json) {
  return error_in(json.dump());
}

Json with(const std::string& member, const Json& value) {
  Json json = valid();
  json[member] = value;
  return json;
}

Json with_entry(const std::string& member, const Json& value) {
  Json json = valid();
  json["files"][1][member] = value;
  return json;
}

bool says(const std::string& message, std::string_view part) {
  CAPTURE(message);
  return message.find(part) != message.npos;
}

}  // namespace

TEST_CASE("what is written is what is read") {
  const Checksum checksum = Checksum::parse(kChecksum).value();
  const Checksum original = Checksum::parse(std::string(32, 'b')).value();
  const ControlHeader header{.batch_id = "b1",
                             .created = parse_timestamp("2026-11-22T13:40:00.123Z").value(),
                             .agent = "host-1-x",
                             .destination = "b",
                             .count = 2,
                             .total_bytes = 5 + (1ULL << 40)};
  std::string text;
  ControlFileWriter writer(header, [&](std::string_view piece) {
    text += piece;
    return Result<void>();
  });
  REQUIRE(writer.add({.id = "1", .path = "in/a \"b\"\n.csv", .size = 5, .checksum = &checksum}));
  REQUIRE(writer.add({.id = "2",
                      .path = "Grüße.gz",
                      .size = 1ULL << 40,
                      .checksum = &checksum,
                      .source_checksum = &original}));
  REQUIRE(writer.finish());
  const auto received = read(text);
  REQUIRE_MESSAGE(received, received.error().message);
  CHECK(received->batch_id == header.batch_id);
  CHECK(received->created == header.created);
  CHECK(received->agent == header.agent);
  CHECK(received->destination == header.destination);
  REQUIRE(received->files.size() == 2);
  CHECK(received->files[0].id == "1");
  CHECK(received->files[0].path == "in/a \"b\"\n.csv");
  CHECK(received->files[0].size == 5);
  CHECK(received->files[0].checksum == checksum);
  CHECK(received->files[1].path == "Grüße.gz");
  CHECK(received->files[1].size == 1ULL << 40);
}

TEST_CASE("members may come in any order, and others than ours") {
  Json json = valid();
  Json reordered{
      {"files", json["files"]}, {"x", {{"files", {1, {{"path", "/"}}}}}}, {"y", nullptr}};
  for (const auto& [name, value] : json.items()) reordered[name] = value;
  reordered["files"][0]["labels"] = {{"path", "../up"}, {"size", "large"}};
  reordered["files"][0]["note"] = {1, 2, {{"id", 3}}};
  const auto control = read(reordered.dump(2));
  REQUIRE_MESSAGE(control, control.error().message);
  CHECK(control->files.size() == 2);
  CHECK(control->files[0].path == "in/a.csv");
}

TEST_CASE("agent and destination may be absent, and a list may be empty") {
  Json json = valid({});
  json.erase("agent");
  json.erase("destination");
  CHECK(read(json.dump()));
}

TEST_CASE("text that is no control file") {
  CHECK(says(error_in(""), "not valid JSON"));
  CHECK(says(error_in("\xff\xfe"), "not valid JSON"));
  CHECK(says(error_in("[]"), "it is not a control file"));
  CHECK(says(error_in("7"), "it is not a control file"));
  CHECK(says(error_in("{}"), "no 'version'"));
  CHECK(says(error_in(valid().dump() + "{}"), "not valid JSON"));
}

TEST_CASE("a control file that was cut short, at any byte") {
  const std::string text = valid().dump();
  for (std::size_t size = 0; size < text.size(); ++size) {
    CHECK_FALSE(read(text.substr(0, size)));
  }
}

TEST_CASE("each member that is missing, of a wrong type, or there twice") {
  const Json whole = valid();
  for (const char* member : {"version", "batch_id", "created", "count", "total_bytes", "files"}) {
    Json json = whole;
    json.erase(member);
    CHECK(says(error_of(json), fmt::format("no '{}'", member)));
  }
  for (const auto& [name, value] : whole.items()) {
    CAPTURE(name);
    for (const Json& wrong : {Json(nullptr), Json(true), Json(-1), Json(1.5), Json::object()}) {
      CHECK(says(error_of(with(name, wrong)), name));
    }
    CHECK(says(error_of(with(name, value.is_string() ? Json(1) : Json("1"))), name));
    std::string twice = whole.dump();
    twice.insert(1, fmt::format("\"{}\":{},", name, value.dump()));
    CHECK(says(error_in(twice), "twice"));
  }
  for (const auto& [name, value] : whole["files"][1].items()) {
    Json json = whole;
    json["files"][1].erase(name);
    CHECK(says(error_of(json), fmt::format("file 2: it has no '{}'", name)));
    for (const Json& wrong : {Json(nullptr), Json(-1), Json::array(), Json::object()}) {
      CHECK(says(error_of(with_entry(name, wrong)), "file 2: '" + name + "' is "));
    }
  }
  CHECK(says(error_of(with("files", {1})), "'files' has a number"));
  CHECK(says(error_of(with("files", {{1}})), "'files' has an array"));
}

TEST_CASE("values that are out of range") {
  CHECK(says(error_of(with("version", 2)), "version 2"));
  CHECK(says(error_of(with("created", "yesterday")), "'created'"));
  CHECK(says(error_of(with_entry("checksum", "sha256:zz")), "file 2: 'checksum'"));
  CHECK(says(error_of(with_entry("source_checksum", "x")), "file 2: 'source_checksum'"));
  CHECK(says(error_of(with("count", 1'000'000'000'000)), "its count is 1000000000000"));
  CHECK(says(error_of(with("count", 1)), "lists 2 files"));
  CHECK(says(error_of(with("total_bytes", 13)), "total_bytes is 13"));
  CHECK(says(error_of(with_entry("size", UINT64_MAX)), "sizes are impossible"));
  std::string text = valid().dump();
  text.replace(text.find("\"size\":5"), 8, "\"size\":99999999999999999999999");
  CHECK(says(error_in(text), "file 1: 'size' is a number that is not whole"));
}

TEST_CASE("paths that lead out of the directory, or nowhere") {
  for (const char* path : {"../a", "a/../../b", "a/..", "/etc/passwd", "", ".", "./", "//a"}) {
    CAPTURE(path);
    CHECK(says(error_of(valid({entry(path)})), "file 1: its path"));
  }
  CHECK(says(error_of(valid({entry(std::string("a\0b", 3))})), "NUL"));
  CHECK(says(error_of(valid({entry(std::string(5000, 'a'))})), "5000 bytes"));
  CHECK(read(valid({entry("..a/b..")}).dump()));
}

TEST_CASE("a path is listed once, however it is spelled") {
  CHECK(says(error_of(valid({entry("a/b"), entry("./a//b")})), "lists 'a/b' twice"));
  CHECK(read(valid({entry("./a/./b//c")}).dump())->files[0].path == "a/b/c");
}

TEST_CASE("deep nesting does no harm") {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  std::string text = valid().dump();
  text.insert(1, "\"x\":" + deep + ",");
  CHECK(read(text));
}
