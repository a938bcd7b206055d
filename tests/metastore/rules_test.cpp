#include <doctest/doctest.h>

#include "ferry/metastore/rules.h"

namespace ferry::metastore {
namespace {

using enum TransferStatus;

FileRecord file_in(FileState state) {
  FileRecord file;
  file.state = state;
  return file;
}

Delivery delivery(TransferStatus status, std::int64_t attempt = 1, bool alive = false) {
  Delivery row;
  row.destination = "b";
  row.status = status;
  row.attempt = attempt;
  row.claim_alive = alive;
  return row;
}

TEST_CASE("the standing of a ready file follows its last log row") {
  const FileRecord ready = file_in(FileState::kReady);
  const auto standing = [&](Delivery row) { return standing_of(ready, &row); };
  CHECK(standing_of(ready, nullptr) == Standing::kPending);
  CHECK(standing(delivery(kSuccessful)) == Standing::kSuccessful);
  CHECK(standing(delivery(kFailed)) == Standing::kFailed);
  CHECK(standing(delivery(kInProgress, 1, true)) == Standing::kInProgress);
  CHECK(standing(delivery(kInProgress, 1, false)) == Standing::kPending);
}

TEST_CASE("what was delivered stays delivered, whatever becomes of the file") {
  const Delivery row = delivery(kSuccessful);
  for (const auto state : {FileState::kSuperseded, FileState::kMissing, FileState::kQuarantined}) {
    CHECK(standing_of(file_in(state), &row) == Standing::kSuccessful);
  }
}

TEST_CASE("what was not delivered and is not ready has its state as its standing") {
  for (const auto status : {kFailed, kInProgress}) {
    const Delivery row = delivery(status);
    CHECK(standing_of(file_in(FileState::kSuperseded), &row) == Standing::kSuperseded);
    CHECK(standing_of(file_in(FileState::kMissing), &row) == Standing::kMissing);
    CHECK(standing_of(file_in(FileState::kQuarantined), &row) == Standing::kQuarantined);
    CHECK_FALSE(is_deliverable(file_in(FileState::kMissing), &row, 5));
  }
}

TEST_CASE("a file is deliverable while attempts are left") {
  const FileRecord ready = file_in(FileState::kReady);
  const auto deliverable = [&](Delivery row) { return is_deliverable(ready, &row, 3); };
  CHECK(is_deliverable(ready, nullptr, 3));
  CHECK(deliverable(delivery(kFailed, 2)));
  CHECK_FALSE(deliverable(delivery(kFailed, 3)));
  CHECK(deliverable(delivery(kInProgress, 9)));  // an agent's death is no failure of the file
  CHECK_FALSE(deliverable(delivery(kInProgress, 1, true)));
  CHECK_FALSE(deliverable(delivery(kSuccessful)));
}

TEST_CASE("an abnormal file is deliverable when the registry has news of it, or by name") {
  Delivery failed = delivery(kFailed);
  failed.error_kind = "abnormal";
  failed.claimed = failed.date = Timestamp(std::chrono::milliseconds(1'000));
  FileRecord file = file_in(FileState::kReady);
  file.updated_date = failed.claimed;
  CHECK_FALSE(is_deliverable(file, &failed, 3));
  CHECK(is_deliverable(file, &failed, kAskedFor));
  file.updated_date += std::chrono::milliseconds(1);
  CHECK(is_deliverable(file, &failed, 3));
  // Better than the clock is the row itself that was claimed.
  failed.file_updated_date = file.updated_date;
  CHECK_FALSE(is_deliverable(file, &failed, 3));
  file.updated_date -= std::chrono::hours(1);
  CHECK(is_deliverable(file, &failed, 3));
}

TEST_CASE("attempts count failures") {
  const auto next = [](Delivery row) { return next_attempt(&row); };
  CHECK(next_attempt(nullptr) == 1);
  CHECK(next(delivery(kFailed, 2)) == 3);
  CHECK(next(delivery(kFailed, 0)) == 1);      // released
  CHECK(next(delivery(kInProgress, 2)) == 2);  // its agent died
  CHECK(next(delivery(kInProgress, 0)) == 1);
  CHECK(next(delivery(kSuccessful, 4)) == 1);
}

TEST_CASE("standings have names that parse back") {
  for (int i = 0; i < static_cast<int>(kStandings); ++i) {
    const auto standing = static_cast<Standing>(i);
    CHECK(parse_standing(to_string(standing)) == standing);
  }
  CHECK_FALSE(parse_standing("done"));
}

TEST_CASE("routes that changed since decide whether what was delivered is still wanted") {
  const FileRecord file = file_in(FileState::kReady);
  const std::vector<Delivery> got = {delivery(kSuccessful)};  // "b" has it
  const auto wanted = [&](Demand demand, std::string_view destination = "") {
    return is_still_wanted(file, got, demand, destination);
  };
  const auto routed_to = [](std::string_view destination) {
    Demand demand{.destinations = {"b", "c"}};
    demand.wanted_by = [destination](auto, const auto&) { return std::vector{destination}; };
    return demand;
  };
  CHECK(wanted({}));
  CHECK(wanted({.destinations = {"b"}}));
  CHECK_FALSE(wanted({.destinations = {"c"}}));
  CHECK(wanted(routed_to("b")));
  CHECK_FALSE(wanted(routed_to("c")));
  CHECK(wanted(routed_to("c"), "c"));  // which has not got it
  CHECK_FALSE(wanted({.destinations = {"b"}, .has_several_landings = true}));

  std::vector<Delivery> elsewhere = got;
  elsewhere.front().destination = "sftp://host/dir";
  CHECK(is_still_wanted(file, elsewhere, routed_to("c"), ""));
}

}  // namespace
}  // namespace ferry::metastore
