#include "ferry/transfer/control_file.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "ferry/base/json.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

const Checksum kChecksum = Checksum::parse(std::string(64, 'a')).value();
const Checksum kOriginal = Checksum::parse(std::string(64, 'b')).value();

struct Fixture {
  ControlHeader header{.batch_id = "b1",
                       .created = parse_timestamp("2026-11-22").value(),
                       .agent = "host-1-x",
                       .destination = "b",
                       .count = 2,
                       .total_bytes = 12};
  std::string text;
  int writes = 0;
  ControlFileWriter writer{header, [this](std::string_view piece) {
                             ++writes;
                             text += piece;
                             return Result<void>();
                           }};

  void add(std::string_view id, std::string_view path, std::uint64_t size,
           const Checksum* original = nullptr) {
    REQUIRE(writer.add({.id = id,
                        .path = path,
                        .size = size,
                        .checksum = &kChecksum,
                        .source_checksum = original}));
  }
  void write_two_files() {
    add("1", "in/a \"b\".csv", 5);
    add("2", "c.gz", 7, &kOriginal);
    REQUIRE(writer.finish());
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "a control file is one JSON object that names every file as it was sent") {
  write_two_files();
  const auto json = Json::parse(text);
  CHECK(json["version"] == 1);
  CHECK(json["batch_id"] == "b1");
  CHECK(json["created"] == "2026-11-22T00:00:00.000Z");
  CHECK(json["agent"] == "host-1-x");
  CHECK(json["destination"] == "b");
  CHECK(json["count"] == 2);
  CHECK(json["total_bytes"] == 12);
  REQUIRE(json["files"].size() == 2);
  CHECK(json["files"][0] == Json{{"id", "1"},
                                 {"path", "in/a \"b\".csv"},
                                 {"size", 5},
                                 {"checksum", "sha256:" + std::string(64, 'a')}});
  CHECK(json["files"][1]["source_checksum"] == "sha256:" + std::string(64, 'b'));
}

TEST_CASE_FIXTURE(Fixture, "a control file can be read line by line") {
  write_two_files();
  CHECK(std::ranges::count(text, '\n') == 4);
  CHECK(text.find("\n{\"id\":\"1\",") != std::string::npos);
  CHECK(text.ends_with("\n]}\n"));
}

TEST_CASE_FIXTURE(Fixture, "a control file of nothing is valid too") {
  REQUIRE(writer.finish());
  CHECK(Json::parse(text)["files"].empty());
}

TEST_CASE_FIXTURE(Fixture, "a long list is written piece by piece, and is one list all the same") {
  constexpr int kFiles = 5000;
  int before_the_end = 0;
  for (int i = 0; i < kFiles; ++i) {
    add(std::to_string(i), "in/" + std::to_string(i), 1);
    before_the_end = writes;
  }
  REQUIRE(writer.finish());
  INFO("what was added is not kept until the end, nor written file by file");
  CHECK(before_the_end > 3);
  CHECK(writes < kFiles / 20);
  const auto json = Json::parse(text);
  REQUIRE(json["files"].size() == kFiles);
  for (int i = 0; i < kFiles; ++i) CHECK(json["files"][i]["id"] == std::to_string(i));
}

TEST_CASE_FIXTURE(Fixture, "an error of the medium is the writer's") {
  const Error full = make_error(ErrorKind::kIo, "no space left");
  ControlFileWriter failing(header, [&](std::string_view) -> Result<void> { return full; });
  Result<void> outcome;
  for (int i = 0; i < 5000 && outcome; ++i) {
    outcome = failing.add({.id = "1", .path = "a", .size = 1, .checksum = &kChecksum});
  }
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().message == full.message);
  ControlFileWriter short_one(header, [&](std::string_view) -> Result<void> { return full; });
  CHECK_FALSE(short_one.finish());
}

TEST_CASE("a line of sums escapes what sha256sum escapes, and nothing else") {
  const Checksum checksum = sha256_of("x");
  const std::string digest = checksum.to_hex();
  CHECK(sum_line(checksum, "a b") == digest + "  a b\n");
  CHECK(sum_line(checksum, "a\tb") == digest + "  a\tb\n");
  CHECK(sum_line(checksum, "a\\b") == "\\" + digest + "  a\\\\b\n");
  CHECK(sum_line(checksum, "a\nb\r") == "\\" + digest + "  a\\nb\\r\n");
}

TEST_CASE("its name comes from the batch") {
  CHECK(control_file_name("b1") == "b1.control.json");
}
