#include "transfer/batch/batch.h"

#include <doctest/doctest.h>

#include <boost/filesystem/operations.hpp>

#include "temporary_directory.h"
#include "transfer/full_disk.h"

using namespace ferry;
using namespace ferry::transfer;
using transfer::testing::FullDisk;

namespace {

struct Fixture {
  ferry::testing::TemporaryDirectory folder;
  std::unique_ptr<Batch> batch = open("batch-1");

  std::unique_ptr<Batch> open(const std::string& id) const {
    BatchInfo info;
    info.id = id;
    info.destination = "b";
    info.directory = "/in";
    auto opened = Batch::open(folder.path(), info);
    REQUIRE(opened);
    return std::move(*opened);
  }
  std::unique_ptr<Job> add(const std::string& id, std::uint64_t size = 10) const {
    auto job = std::make_unique<Job>();
    job->id = id;
    job->batch = batch.get();
    job->remote_path = "/in/" + id;
    job->source.identity.size = size;
    job->part.path = "/in/." + id + ".part";
    batch->add(size);
    return job;
  }
  static std::unique_ptr<const Error> failure(ErrorKind kind) {
    return std::make_unique<const Error>(make_error(kind, "no"));
  }
  /// What a batch's journal says has ended: ids, and how.
  static std::string ended(Batch& one) {
    std::string text;
    CHECK(one.journal().visit_ended([&](const BatchFile& file, const BatchEnd& end) {
      text += file.id + (end.failure ? "-" : "+");
      return Result<void>();
    }));
    return text;
  }
  /// Those that were begun, and are open.
  static std::string begun(Batch& one) {
    std::string text;
    const auto marks = one.journal().marks().value();
    CHECK(one.journal().visit_begun(0, [&](BatchJournal::Place place, const BatchFile& file) {
      if (marks.is_open(place)) text += file.id;
      return true;
    }));
    return text;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what becomes of files is counted, and in the journal") {
  auto a = add("a");
  auto b = add("b", 7);
  auto c = add("c");
  REQUIRE(batch->note_part(*a));
  REQUIRE(batch->note_part(*b));
  CHECK(begun(*batch) == "ab");
  CHECK(batch->counts().open() == 3);
  batch->note_end(*b);
  a->error = failure(ErrorKind::kDenied);
  batch->note_end(*a);
  INFO("a file may fail before anything of it was begun");
  c->error = failure(ErrorKind::kAbnormal);
  batch->note_end(*c);
  CHECK(ended(*batch) == "b+a-c-");
  const auto counts = batch->counts();
  CHECK(counts.selected == 3);
  CHECK(counts.delivered == 1);
  CHECK(counts.failed == 2);
  CHECK(counts.bytes == 7);
  CHECK(counts.claimed_bytes == 27);
  CHECK(counts.open() == 0);
  INFO("and counted from the journal it is the same");
  REQUIRE(batch->recount());
  CHECK(batch->counts().selected == 3);
  CHECK(batch->counts().delivered == 1);
  CHECK(batch->counts().failed == 2);
  CHECK(batch->counts().bytes == 7);
}

TEST_CASE_FIXTURE(Fixture, "a further part of a file is noted with the first") {
  auto a = add("a");
  REQUIRE(batch->note_part(*a));
  const auto place = a->place;
  a->part.path = "/in/.a.2.part";
  REQUIRE(batch->note_part(*a));
  CHECK(a->place == place);
  CHECK(begun(*batch) == "a");
  const auto marks = batch->journal().marks().value();
  REQUIRE(marks.more_parts.size() == 1);
  CHECK(marks.more_parts.begin()->second == "/in/.a.2.part");
}

TEST_CASE_FIXTURE(Fixture, "what is uploaded waits for its name, and is on its way no more") {
  auto a = add("a");
  REQUIRE(batch->note_part(*a));
  batch->note_uploaded(*a);
  CHECK(batch->counts().uploaded == 1);
  CHECK(batch->counts().open() == 0);
  CHECK(batch->journal().marks()->uploaded.size() == 1);
  REQUIRE(batch->recount());
  CHECK(batch->counts().uploaded == 1);
  CHECK(batch->counts().selected == 1);
  REQUIRE(batch->journal().note_end(*a->place, {.date = now()}));
  REQUIRE(batch->recount());
  CHECK(batch->counts().uploaded == 0);
  CHECK(batch->counts().delivered == 1);
}

TEST_CASE_FIXTURE(Fixture, "a name can be taken once in a batch") {
  CHECK(batch->take_name("/in/a"));
  CHECK_FALSE(batch->take_name("/in/a"));
  CHECK(batch->take_name("/in/b"));
  CHECK(open("batch-2")->take_name("/in/a"));
}

// From one batch to the next.

TEST_CASE_FIXTURE(Fixture, "a file that goes on in the next batch is that one's alone") {
  auto a = add("a");
  auto large = add("large", 1000);
  REQUIRE(batch->note_part(*a));
  REQUIRE(batch->note_part(*large));
  batch->note_end(*a);
  const auto next = open("batch-2");
  REQUIRE(batch->hand_over(*large, *next));
  large->batch = next.get();
  CHECK(batch->counts().selected == 1);
  CHECK(batch->counts().open() == 0);
  CHECK(batch->counts().claimed_bytes == 10);
  CHECK(next->counts().open() == 1);
  CHECK(next->counts().claimed_bytes == 1000);
  CHECK(begun(*batch).empty());
  CHECK(begun(*next) == "large");
  next->note_end(*large);
  CHECK(ended(*batch) == "a+");
  CHECK(ended(*next) == "large+");
  REQUIRE(batch->recount());
  CHECK(batch->counts().selected == 1);
  REQUIRE(next->recount());
  CHECK(next->counts().bytes == 1000);
}

TEST_CASE_FIXTURE(Fixture, "a file of which nothing was begun goes on without a word") {
  auto a = add("a");
  const auto next = open("batch-2");
  REQUIRE(batch->hand_over(*a, *next));
  CHECK_FALSE(a->place);
  CHECK(batch->counts().selected == 0);
  CHECK(next->counts().open() == 1);
  CHECK(begun(*next).empty());
}

TEST_CASE_FIXTURE(Fixture, "a file that cannot be handed over stays") {
  auto a = add("a");
  REQUIRE(batch->note_part(*a));
  const auto next = open("batch-2");
  const auto place = a->place;
  {
    const FullDisk full(fs::file_size(folder / "batch-2.journal"));
    CHECK_FALSE(batch->hand_over(*a, *next));
  }
  CHECK(a->place == place);
  CHECK(batch->counts().open() == 1);
  CHECK(next->counts().selected == 0);
  CHECK(begun(*batch) == "a");
  INFO("and can be, later");
  REQUIRE(batch->hand_over(*a, *next));
  CHECK(begun(*next) == "a");
  CHECK(begun(*batch).empty());
}

// A full disk.

TEST_CASE_FIXTURE(Fixture, "the end of a file that cannot be noted now is noted later, in order") {
  auto a = add("a");
  auto b = add("b");
  auto c = add("c");
  REQUIRE(batch->note_part(*a));
  REQUIRE(batch->note_part(*b));
  {
    const FullDisk full(fs::file_size(folder / "batch-1.journal") + 3);
    batch->note_end(*b);
    batch->note_end(*a);
    CHECK(batch->counts().delivered == 2);
    CHECK_FALSE(batch->write_notes());
    CHECK_FALSE(batch->note_part(*c));
    CHECK_FALSE(c->place);
  }
  REQUIRE(batch->write_notes());
  CHECK(ended(*batch) == "b+a+");
  INFO("and what was begun of a line is not in the way");
  REQUIRE(batch->note_part(*c));
  CHECK(begun(*batch) == "c");
}

// Left behind.

TEST_CASE_FIXTURE(Fixture,
                  "a file that was not ended is the next run's, and its part is to be removed") {
  auto a = add("a");
  auto large = add("large");
  REQUIRE(batch->note_part(*a));
  REQUIRE(batch->note_part(*large));
  auto begun = add("begun");
  REQUIRE(batch->note_part(*begun));
  begun->spread = std::make_unique<Spread>();
  INFO("what is in chunks is resumed, if there is any of it");
  large->spread = std::make_unique<Spread>();
  large->spread->acknowledged.add({0, 10});
  batch->drop(*a);
  batch->drop(*large);
  batch->drop(*begun);
  CHECK(batch->counts().selected == 0);
  CHECK(batch->counts().open() == 0);
  CHECK(batch->has_abandoned_parts());
  CHECK(batch->take_abandoned_parts() == std::set<std::string>{"/in/.a.part", "/in/.begun.part"});
  CHECK_FALSE(batch->has_abandoned_parts());
}

TEST_CASE_FIXTURE(
    Fixture, "abnormal sources are told of once, but not those that this destination refuses") {
  auto bad = add("bad");
  auto refused = add("refused");
  auto late = add("late");
  bad->error = failure(ErrorKind::kAbnormal);
  bad->source.identity.inode = 7;
  refused->error = failure(ErrorKind::kAbnormal);
  refused->refused_here = true;
  late->error = failure(ErrorKind::kIo);
  for (Job* job : {bad.get(), refused.get(), late.get()}) batch->note_end(*job);
  const auto abnormal = batch->take_abnormal();
  REQUIRE(abnormal.size() == 1);
  CHECK(abnormal[0].id == "bad");
  CHECK(abnormal[0].reason == "no");
  REQUIRE(abnormal[0].identity);
  CHECK(abnormal[0].identity->inode == 7);
  CHECK(batch->take_abnormal().empty());
}

TEST_CASE_FIXTURE(Fixture,
                  "of what is transformed the source is abnormal, not what was made of it") {
  auto job = add("a");
  job->error = failure(ErrorKind::kAbnormal);
  job->transformed = std::make_unique<Transformed>();
  job->transformed->source.identity.inode = 9;
  job->source.identity.inode = 10;
  batch->note_end(*job);
  CHECK(batch->take_abnormal().at(0).identity->inode == 9);
}
