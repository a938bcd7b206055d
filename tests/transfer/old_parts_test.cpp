#include "transfer/deliver/old_parts.h"

#include <doctest/doctest.h>

#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using std::chrono::days;
using Paths = std::vector<std::string>;

const Timestamp kNow = parse_timestamp("2026-11-25T12:00:00Z").value();
const std::string kPart = ".a.csv.0123456789abcdef.part";

sftp::DirectoryEntry entry(std::string name, Timestamp modified,
                           std::uint32_t type = sftp::kTypeRegular) {
  sftp::DirectoryEntry entry;
  entry.name = std::move(name);
  entry.attributes.permissions = type | 0644;
  entry.attributes.modified = static_cast<std::uint32_t>(
      std::chrono::floor<std::chrono::seconds>(modified).time_since_epoch().count());
  return entry;
}

}  // namespace

TEST_CASE("parts are known by their names") {
  CHECK(name_of_part(kPart) == "a.csv");
  CHECK(name_of_part(part_path("deep/b.csv", part_token("batch", "id", 1)).substr(5)) == "b.csv");
  const std::string long_name(250, 'x');
  CHECK(name_of_part(part_path(long_name, part_token("batch", "id", 1))).has_value());
  for (const auto* name :
       {"a.csv", ".a.csv.part", ".0123456789abcdef.part", "a.csv.0123456789abcdef.part",
        ".a.csv.0123456789abcde.part", ".a.csv.0123456789abcdeF.part",
        ".a.csv.0123456789abcdef0.part", ".a.csv.0123456789abcdef.part2", ".part", ""}) {
    CAPTURE(name);
    CHECK_FALSE(name_of_part(name));
  }
}

TEST_CASE("old parts go, by the server's own clock") {
  const auto old_ones = [](Timestamp part, Timestamp newest) {
    PartsFound found;
    found.add("/b/part", entry(kPart, part));
    found.add("/b/newest", entry("newest", newest));
    return found.older_than(days(30), kNow, {});
  };
  CHECK(old_ones(kNow - days(31), kNow) == Paths{"/b/part"});
  CHECK(old_ones(kNow - days(29), kNow).empty());
  // The server's clock is a year slow: what it has just written looks old.
  CHECK(old_ones(kNow - days(365), kNow - days(365)).empty());
  CHECK(old_ones(kNow - days(396), kNow - days(365)) == Paths{"/b/part"});
  // It has something from the future.
  CHECK(old_ones(kNow - days(29), kNow + days(365)).empty());
  CHECK(old_ones(Timestamp{}, Timestamp{}).empty());
}

TEST_CASE("what is no part, or may be gone on with, stays") {
  PartsFound found;
  const Timestamp old = kNow - days(100);
  found.add("/b/newest", entry("newest", kNow));
  found.add("/b/link", entry(kPart, old, sftp::kTypeSymbolicLink));
  found.add("/b/directory", entry(kPart, old, sftp::kTypeDirectory));
  found.add("/b/other", entry("a.csv", old));
  found.add("/b/resumable", entry(kPart, old));
  sftp::DirectoryEntry timeless = entry(kPart, old);
  timeless.attributes.modified.reset();
  found.add("/b/timeless", timeless);
  CHECK(found.older_than(days(30), kNow, {"/b/resumable"}).empty());
  CHECK(found.older_than(days(30), kNow, {}) == Paths{"/b/resumable"});
}

}  // namespace ferry::transfer
