#include "ferry/transfer/control_file.h"

#include <doctest/doctest.h>

#include "ferry/base/json.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

ControlFile two_files() {
  static const Checksum checksum = Checksum::parse(std::string(64, 'a')).value();
  static const Checksum original = Checksum::parse(std::string(64, 'b')).value();
  return ControlFile{.batch_id = "b1",
                     .created = parse_timestamp("2026-11-22").value(),
                     .agent = "host-1-x",
                     .destination = "b",
                     .files = {{"1", "in/a \"b\".csv", 5, &checksum, nullptr},
                               {"2", "c.gz", 7, &checksum, &original}}};
}

std::string to_json(const ControlFile& control) {
  std::string text;
  const auto written = write_json(control, [&](std::string_view piece) {
    text += piece;
    return ferry::Result<void>();
  });
  REQUIRE(written);
  return text;
}

}  // namespace

TEST_CASE("a control file is one JSON object that names every file as it was sent") {
  const auto json = Json::parse(to_json(two_files()));
  CHECK(json["version"] == 1);
  CHECK(json["batch_id"] == "b1");
  CHECK(json["created"] == "2026-11-22T00:00:00.000Z");
  CHECK(json["agent"] == "host-1-x");
  CHECK(json["destination"] == "b");
  CHECK(json["count"] == 2);
  CHECK(json["total_bytes"] == 12);
  CHECK(json["files"][0] == Json{{"id", "1"},
                                 {"path", "in/a \"b\".csv"},
                                 {"size", 5},
                                 {"checksum", "sha256:" + std::string(64, 'a')}});
  CHECK(json["files"][1]["source_checksum"] == "sha256:" + std::string(64, 'b'));
}

TEST_CASE("a control file can be read line by line") {
  const std::string text = to_json(two_files());
  CHECK(std::ranges::count(text, '\n') == 4);
  CHECK(text.find("\n{\"id\":\"1\",") != std::string::npos);
}

TEST_CASE("a control file of nothing is valid too") {
  CHECK(Json::parse(to_json(ControlFile{}))["files"].empty());
}

TEST_CASE("its name comes from the batch") {
  CHECK(control_file_name("b1") == "b1.control.json");
}
