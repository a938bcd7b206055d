// The steps by which a batch comes to its end, with a real metastore and without a server: the test
// says how what needs a connection went.
#include "transfer/batch/batch_closing.h"

#include <doctest/doctest.h>

#include <boost/filesystem/operations.hpp>
#include <thread>

#include "temporary_directory.h"
#include "transfer/full_disk.h"

using namespace ferry;
using namespace ferry::transfer;
using metastore::TransferStatus;
using transfer::testing::FullDisk;

namespace {

class Silent final : public Observer {
 public:
  void on_start(std::uint64_t, std::uint64_t) override {}
  void on_bytes(std::uint64_t) override {}
  void on_delivered(const FileOutcome& file) override { delivered.emplace_back(file.path); }
  void on_failed(const FileOutcome& file, const Error&) override { failed.emplace_back(file.path); }

  std::vector<std::string> delivered;
  std::vector<std::string> failed;
};

struct Fixture {
  ferry::testing::TemporaryDirectory folder;
  std::unique_ptr<metastore::Metastore> store =
      std::move(*metastore::open_metastore((folder / "metastore").string(), {}));
  std::unique_ptr<metastore::AgentPresence> presence = std::move(*store->join());
  Destination destination;
  TransferOptions options;
  StopToken stop;
  BatchContext context{destination, options, stop};
  Silent observer;
  int wakes = 0;
  BatchClosing closing{*store, context, observer, [this] { ++wakes; }};
  WorkQueue queue{folder / "journals"};
  std::map<std::string, std::string> ids;  // by path

  Fixture() {
    destination.name = "b";
    options.control_files = folder / "batches";
    options.journals = folder / "journals";
    options.servers = folder / "servers";
    REQUIRE(make_directories(options.journals));
    closing.use(queue);
  }

  void claim(const std::string& path) {
    metastore::FileRecord record;
    record.path = path;
    record.landing = "in";
    record.identity = FileIdentity{};
    record.identity->inode = 1 + ids.size();
    record.checksum = Checksum::parse(std::string(64, 'a')).value();
    ids[path] = store->register_files({record})->front().id;
    metastore::ClaimRequest request{
        .destination = "b", .batch_id = "batch-1", .agent = presence->name(), .ids = {ids[path]}};
    REQUIRE(store->claim(request)->size() == 1);
  }
  std::unique_ptr<Batch> open(bool all_or_nothing = false) const {
    auto batch = Batch::open(options.control_files, {.id = "batch-1",
                                                     .agent = presence->name(),
                                                     .destination = "b",
                                                     .directory = "/in",
                                                     .control_path = "/in/c.control.json",
                                                     .created = now(),
                                                     .all_or_nothing = all_or_nothing});
    REQUIRE(batch);
    return std::move(*batch);
  }
  enum class Fate : std::uint8_t { kDelivered, kFailed, kUploaded };
  void end(Batch& batch, const std::string& path, Fate fate) {
    if (!ids.contains(path)) claim(path);
    Job job;
    job.id = ids[path];
    job.batch = &batch;
    job.remote_path = "/in/" + path;
    job.source.identity.size = 10;
    job.source.sha256 = Checksum::parse(std::string(64, 'a')).value();
    job.part.path = "/in/.part";
    job.finished = now();
    batch.add(10);
    REQUIRE(batch.note_part(job));
    if (fate == Fate::kUploaded) return batch.note_uploaded(job);
    if (fate == Fate::kFailed) {
      job.error = std::make_unique<const Error>(make_error(ErrorKind::kDenied, "no"));
    }
    batch.note_end(job);
  }

  /// Takes the task that waits for a connection, if there is one, and says how it went.
  bool answer(const Result<void>& outcome) {
    const auto next = queue.take(false, WorkQueue::Time(), this, [] {});
    if (!next.work) return false;
    next.work->task->done(outcome);
    queue.done(*next.work);
    closing.advance();
    return true;
  }
  bool has_task() {
    const auto next = queue.take(false, WorkQueue::Time(), this, [] {});
    if (next.work) queue.put_back(*next.work, WorkQueue::Time());
    return next.work.has_value();
  }
  std::vector<metastore::TransferRecord> rows_of(const std::string& path) {
    return store->history(ids.at(path))->at(0).transfers;
  }
  fs::path journal_path() const { return options.control_files / "batch-1.journal"; }
  bool has_kept_control_file() const {
    return fs::exists(options.control_files / "batch-1.control.json");
  }
};

const Error kLost = make_error(ErrorKind::kConnectionLost, "the line is gone");
const Error kDenied = make_error(ErrorKind::kDenied, "not here");

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "a delivery is recorded once the control file is there, and not before") {
  auto batch = open();
  end(*batch, "a", Fate::kDelivered);
  end(*batch, "b", Fate::kFailed);
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  CHECK_FALSE(closing.is_empty());
  closing.advance();
  CHECK(closing.needs_connection());
  CHECK(has_kept_control_file());
  INFO("a failure is nobody's secret");
  CHECK(rows_of("b").back().status == TransferStatus::kFailed);
  CHECK(rows_of("a").back().status == TransferStatus::kInProgress);
  CHECK(closing.take_completed().empty());
  REQUIRE(answer({}));
  CHECK(wakes == 1);
  CHECK(rows_of("a").back().status == TransferStatus::kSuccessful);
  CHECK(closing.is_empty());
  CHECK_FALSE(closing.needs_connection());
  CHECK_FALSE(fs::exists(journal_path()));
  const auto completed = closing.take_completed();
  REQUIRE(completed.size() == 1);
  CHECK(completed[0].id == "batch-1");
  CHECK(completed[0].control_file == "/in/c.control.json");
  CHECK(completed[0].selected == 2);
  CHECK(completed[0].successful == 1);
  CHECK(completed[0].failed == 1);
  CHECK(completed[0].bytes == 10);
  CHECK(closing.take_completed().empty());
  CHECK(closing.left().unlisted == 0);
  INFO("of what happened before its eyes nobody is told twice");
  CHECK(observer.delivered.empty());
  CHECK(observer.failed.empty());
}

TEST_CASE_FIXTURE(Fixture, "what another agent has delivered meanwhile is not recorded again") {
  auto batch = open();
  end(*batch, "a", Fate::kDelivered);
  end(*batch, "b", Fate::kDelivered);
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  metastore::TransferRecord theirs;
  theirs.id = ids.at("a");
  theirs.status = TransferStatus::kSuccessful;
  theirs.date = now();
  theirs.destination = "b";
  theirs.agent = "another";
  theirs.batch_id = "batch-2";
  REQUIRE(store->append_transfers(std::span(&theirs, 1)));
  REQUIRE(answer({}));
  CHECK(rows_of("a").back().agent == "another");
  CHECK(rows_of("b").back().agent == presence->name());
  CHECK(closing.is_empty());
}

TEST_CASE_FIXTURE(Fixture, "a batch of failures needs no control file and no connection") {
  auto batch = open();
  end(*batch, "a", Fate::kFailed);
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  CHECK(closing.is_empty());
  CHECK_FALSE(has_kept_control_file());
  const auto completed = closing.take_completed();
  REQUIRE(completed.size() == 1);
  CHECK(completed[0].control_file.empty());
  CHECK(completed[0].failed == 1);
  CHECK_FALSE(fs::exists(journal_path()));
}

TEST_CASE_FIXTURE(Fixture, "parts that may come into being again are removed before it is over") {
  auto batch = open();
  end(*batch, "a", Fate::kFailed);
  batch->abandon_part("/in/.part");
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  CHECK(closing.needs_connection());
  REQUIRE(answer({}));
  CHECK(closing.is_empty());
  CHECK(closing.take_completed().at(0).control_file.empty());
}

TEST_CASE_FIXTURE(Fixture, "a control file that cannot be pushed leaves it all to the next run") {
  auto batch = open();
  end(*batch, "a", Fate::kDelivered);
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  SUBCASE("the server refuses it") {
    REQUIRE(answer(kDenied));
    CHECK_FALSE(closing.lost());
  }
  SUBCASE("no connection can be had") {
    REQUIRE(answer(kLost));
    REQUIRE(closing.lost());
    CHECK(closing.lost()->message == "the line is gone");
  }
  SUBCASE("it is given up before it is tried") {
    closing.give_up(kLost);
    REQUIRE(closing.lost());
  }
  CHECK(closing.is_empty());
  CHECK(closing.left().unlisted == 1);
  CHECK(closing.take_completed().empty());
  CHECK_FALSE(closing.record_failure());
  CHECK(rows_of("a").back().status == TransferStatus::kInProgress);
  CHECK(fs::exists(journal_path()));
}

TEST_CASE_FIXTURE(Fixture, "what waits for a connection waits for one of the next queue, too") {
  auto batch = open();
  end(*batch, "a", Fate::kDelivered);
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  WorkQueue next(folder / "journals");
  closing.use(next);
  CHECK(closing.needs_connection());
  const auto work = next.take(false, WorkQueue::Time(), this, [] {}).work;
  REQUIRE(work);
  work->task->done({});
  next.done(*work);
  CHECK_FALSE(closing.needs_connection());
  closing.advance();
  CHECK(closing.is_empty());
}

TEST_CASE_FIXTURE(Fixture, "abnormal sources are told of once their failure is recorded") {
  auto batch = open();
  claim("a");
  Job job;
  job.id = ids["a"];
  job.batch = batch.get();
  job.error = std::make_unique<const Error>(make_error(ErrorKind::kAbnormal, "it changed"));
  job.finished = now();
  batch->add(10);
  batch->note_end(job);
  std::string told;
  options.on_abnormal = [&](const AbnormalSource& source) {
    CHECK(rows_of("a").back().status == TransferStatus::kFailed);
    told += source.reason;
  };
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  CHECK(told == "it changed");
}

TEST_CASE_FIXTURE(Fixture, "the journals of large files go once these are recorded, not before") {
  auto batch = open();
  claim("a");
  Job job;
  job.id = ids["a"];
  job.batch = batch.get();
  job.remote_path = "/in/a";
  job.source.identity.size = kMinChunkBytes + 1;
  job.part.path = "/in/.a.part";
  job.finished = now();
  batch->add(job.source.identity.size);
  REQUIRE(batch->note_part(job));
  REQUIRE(Journal::begin(options.journals, journal_key_of(job, "b"), job.part.path));
  batch->note_end(job);
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  CHECK_FALSE(fs::is_empty(options.journals));
  REQUIRE(answer({}));
  CHECK(fs::is_empty(options.journals));
}

// All or nothing.

TEST_CASE_FIXTURE(Fixture,
                  "names are given once all is uploaded and it was seen what they replace") {
  auto batch = open(true);
  end(*batch, "a", Fate::kUploaded);
  BatchJournal& journal = batch->journal();
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  CHECK(closing.needs_connection());
  CHECK_FALSE(journal.is_naming());
  REQUIRE(answer({}));
  CHECK(journal.is_naming());
  CHECK(rows_of("a").back().status == TransferStatus::kInProgress);
  INFO("as giving it its name would have noted");
  REQUIRE(journal.note_end(journal.marks()->uploaded.at(0), {.date = now()}));
  REQUIRE(answer({}));
  CHECK(has_kept_control_file());
  CHECK(observer.delivered.empty());
  REQUIRE(answer({}));
  CHECK(closing.take_completed().at(0).successful == 1);
  CHECK(observer.delivered == std::vector<std::string>{"a"});
}

TEST_CASE_FIXTURE(Fixture, "a batch of which a file failed is rolled back without giving names") {
  auto batch = open(true);
  end(*batch, "a", Fate::kUploaded);
  end(*batch, "b", Fate::kFailed);
  BatchJournal& journal = batch->journal();
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  CHECK(closing.needs_connection());
  INFO("as taking it back would have noted");
  REQUIRE(journal.note_end(
      journal.marks()->uploaded.at(0),
      {.date = now(), .failure = BatchFailure{.kind = "failed", .message = "rolled back"}}));
  CHECK_FALSE(journal.is_naming());
  REQUIRE(answer({}));
  CHECK(closing.is_empty());
  CHECK(closing.take_completed().at(0).failed == 2);
  CHECK_FALSE(has_kept_control_file());
}

TEST_CASE_FIXTURE(
    Fixture, "names that cannot be given are rolled back; if nobody knows, it is the next run's") {
  auto batch = open(true);
  end(*batch, "a", Fate::kUploaded);
  BatchJournal& journal = batch->journal();
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  REQUIRE(answer({}));
  CHECK(journal.is_naming());
  SUBCASE("refused") {
    REQUIRE(answer(kDenied));
    CHECK(closing.needs_connection());
    REQUIRE(journal.note_end(
        journal.marks()->uploaded.at(0),
        {.date = now(), .failure = BatchFailure{.kind = "failed", .message = "rolled back"}}));
    REQUIRE(answer({}));
    CHECK(closing.take_completed().at(0).failed == 1);
    CHECK(rows_of("a").back().status == TransferStatus::kFailed);
    CHECK_FALSE(has_kept_control_file());
  }
  SUBCASE("the connection ended, and none can be had") {
    REQUIRE(answer(kLost));
    CHECK(closing.is_empty());
    CHECK(closing.take_completed().empty());
    CHECK(closing.lost());
    CHECK(fs::exists(journal_path()));
  }
}

// A full disk.

TEST_CASE_FIXTURE(Fixture, "a control file for which there is no room here is tried again") {
  auto batch = open();
  end(*batch, "a", Fate::kDelivered);
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  {
    const FullDisk full(1);
    closing.advance();
    CHECK_FALSE(closing.is_empty());
    CHECK_FALSE(closing.needs_connection());
    REQUIRE(closing.next_try());
    CHECK(*closing.next_try() > BatchClosing::Clock::now());
  }
  const auto give_up = BatchClosing::Clock::now() + std::chrono::seconds(20);
  while (!closing.needs_connection() && BatchClosing::Clock::now() < give_up) {
    std::this_thread::sleep_until(closing.next_try().value_or(give_up));
    closing.advance();
  }
  REQUIRE(answer({}));
  CHECK(closing.is_empty());
  CHECK(rows_of("a").back().status == TransferStatus::kSuccessful);
}

TEST_CASE_FIXTURE(Fixture, "a push that cannot be noted at once is noted later") {
  auto batch = open();
  end(*batch, "a", Fate::kDelivered);
  closing.add(std::move(batch), BatchClosing::Origin::kOurs);
  closing.advance();
  {
    const FullDisk full(fs::file_size(journal_path()));
    REQUIRE(answer({}));
    CHECK_FALSE(closing.is_empty());
  }
  const auto give_up = BatchClosing::Clock::now() + std::chrono::seconds(2);
  while (!closing.is_empty() && BatchClosing::Clock::now() < give_up) {
    std::this_thread::sleep_until(closing.next_try().value_or(give_up));
    closing.advance();
  }
  CHECK(closing.is_empty());
  CHECK(rows_of("a").back().status == TransferStatus::kSuccessful);
}
