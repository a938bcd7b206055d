// One file against a selection.
#include "transfer/run/feed.h"

#include <doctest/doctest.h>

using namespace ferry;
using namespace ferry::transfer;
using metastore::Delivery;
using metastore::FileRecord;
using metastore::FileState;
using metastore::TransferStatus;
using namespace std::chrono_literals;

namespace {

const Timestamp kNow = parse_timestamp("2026-11-22T12:00:00Z").value();

struct OneFile {
  FileRecord file;
  TransferOptions options;

  OneFile() {
    file.id = "id-1";
    file.path = "in/a.csv";
    file.updated_date = parse_timestamp("2026-11-21T12:00:00Z").value();
    options.max_attempts = 3;
  }

  bool selected() const { return is_selected(file, nullptr, options, kNow); }
  bool selected(TransferStatus status, std::int64_t attempt = 1, bool alive = false) const {
    Delivery delivery;
    delivery.status = status;
    delivery.attempt = attempt;
    delivery.claim_alive = alive;
    return is_selected(file, &delivery, options, kNow);
  }
  bool selected_after(std::chrono::milliseconds since_failure, std::int64_t attempt = 1) const {
    Delivery delivery;
    delivery.status = TransferStatus::kFailed;
    delivery.attempt = attempt;
    delivery.date = kNow - since_failure;
    return is_selected(file, &delivery, options, kNow);
  }
};

}  // namespace

TEST_CASE_FIXTURE(OneFile, "without conditions: what is ready and not yet delivered") {
  CHECK(selected());
  CHECK(selected(TransferStatus::kFailed));
  CHECK_FALSE(selected(TransferStatus::kSuccessful));
}

TEST_CASE_FIXTURE(OneFile, "what failed rests, longer after each failure, unless it is named") {
  options.max_attempts = 1000;
  CHECK(selected_after(0s));
  options.rest_after_failure = 10s;
  CHECK_FALSE(selected_after(9s));
  CHECK(selected_after(10s));
  CHECK_FALSE(selected_after(39s, 3));
  CHECK(selected_after(40s, 3));
  CHECK(selected_after(1h, 999));
  CHECK(selected_after(-1s));
  options.selection.names = {"id-1"};
  CHECK(selected_after(0s));
}

TEST_CASE_FIXTURE(OneFile, "a claim counts while its agent lives") {
  CHECK_FALSE(selected(TransferStatus::kInProgress, 1, true));
  CHECK(selected(TransferStatus::kInProgress, 1, false));
}

TEST_CASE_FIXTURE(OneFile, "only ready files") {
  for (const auto state : {FileState::kSuperseded, FileState::kMissing, FileState::kQuarantined}) {
    file.state = state;
    CHECK_FALSE(selected());
  }
}

TEST_CASE_FIXTURE(OneFile, "what failed max_attempts times is left alone, unless it is named") {
  CHECK(selected(TransferStatus::kFailed, 2));
  CHECK_FALSE(selected(TransferStatus::kFailed, 3));
  options.selection.names = {"in/a.csv"};
  CHECK(selected(TransferStatus::kFailed, 3));
}

TEST_CASE_FIXTURE(OneFile, "by path or by id") {
  options.selection.names = {"other", "id-1"};
  CHECK(selected());
  options.selection.names = {"in/a.csv"};
  CHECK(selected());
  options.selection.names = {"a.csv"};
  CHECK_FALSE(selected());
}

TEST_CASE_FIXTURE(OneFile, "a name does not bring back what was delivered") {
  options.selection.names = {"id-1"};
  CHECK_FALSE(selected(TransferStatus::kSuccessful));
}

TEST_CASE_FIXTURE(OneFile, "by the day of updated_date") {
  options.selection.updated = parse_day("2026-11-21", now()).value();
  CHECK(selected());
  options.selection.updated = parse_day("2026-11-22", now()).value();
  CHECK_FALSE(selected());
}

TEST_CASE_FIXTURE(OneFile, "all conditions hold together") {
  options.selection.names = {"id-1"};
  options.selection.updated = parse_day("2026-11-22", now()).value();
  CHECK_FALSE(selected());
}
