#include "transfer/batch/old_control_files.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace ferry::transfer {
namespace {

using std::chrono::days;

const Timestamp kNow = parse_timestamp("2026-11-25T12:00:00Z").value();

std::string name_of(Timestamp begun) {
  const auto ms =
      static_cast<std::uint64_t>(begun.time_since_epoch() / std::chrono::milliseconds(1));
  return fmt::format("{:08x}-{:04x}-7000-8000-000000000001.control.json", ms >> 16, ms & 0xFFFF);
}

sftp::DirectoryEntry entry(std::string name, Timestamp modified) {
  sftp::DirectoryEntry made;
  made.name = std::move(name);
  made.attributes.permissions = sftp::kTypeRegular | 0644;
  made.attributes.modified = static_cast<std::uint32_t>(
      std::chrono::floor<std::chrono::seconds>(modified).time_since_epoch().count());
  return made;
}

}  // namespace

TEST_CASE("control files are old by the server's clock, too") {
  Destination destination;
  destination.control_keep = days(30);
  const auto is_old = [&](Timestamp time, Timestamp newest) {
    const std::vector<sftp::DirectoryEntry> entries{entry(name_of(time), time),
                                                    entry("newest", newest)};
    return !old_control_files(destination, entries, kNow).empty();
  };
  CHECK(is_old(kNow - days(31), kNow));
  CHECK_FALSE(is_old(kNow - days(29), kNow));
  INFO("our clock is a year ahead of the server's, and was not when the batch was begun");
  CHECK_FALSE(is_old(kNow - days(366), kNow - days(365)));
  CHECK(is_old(kNow - days(396), kNow - days(365)));
  INFO("the server has something from the future");
  CHECK_FALSE(is_old(kNow - days(29), kNow + days(365)));
}

}  // namespace ferry::transfer
