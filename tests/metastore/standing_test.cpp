#include <doctest/doctest.h>

#include "ferry/metastore/metastore.h"

namespace ferry::metastore {
namespace {

using enum TransferStatus;

FileRecord in_state(FileState state) {
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
  const FileRecord ready = in_state(FileState::kReady);
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
    CHECK(standing_of(in_state(state), &row) == Standing::kSuccessful);
  }
}

TEST_CASE("what was not delivered and is not ready has its state as its standing") {
  for (const auto status : {kFailed, kInProgress}) {
    const Delivery row = delivery(status);
    CHECK(standing_of(in_state(FileState::kSuperseded), &row) == Standing::kSuperseded);
    CHECK(standing_of(in_state(FileState::kMissing), &row) == Standing::kMissing);
    CHECK(standing_of(in_state(FileState::kQuarantined), &row) == Standing::kQuarantined);
    CHECK_FALSE(is_deliverable(in_state(FileState::kMissing), &row, 5));
  }
}

TEST_CASE("a file is deliverable while attempts are left") {
  const FileRecord ready = in_state(FileState::kReady);
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
  FileRecord file = in_state(FileState::kReady);
  file.updated_date = failed.claimed;
  CHECK_FALSE(is_deliverable(file, &failed, 3));
  CHECK(is_deliverable(file, &failed, kAskedFor));
  file.updated_date += std::chrono::milliseconds(1);
  CHECK(is_deliverable(file, &failed, 3));
}

TEST_CASE("standings have names that parse back") {
  for (int i = 0; i <= static_cast<int>(Standing::kMissing); ++i) {
    const auto standing = static_cast<Standing>(i);
    CHECK(parse_standing(to_string(standing)) == standing);
  }
  CHECK_FALSE(parse_standing("done"));
}

}  // namespace
}  // namespace ferry::metastore
