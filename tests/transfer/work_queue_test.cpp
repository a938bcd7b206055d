#include "transfer/work_queue.h"

#include <doctest/doctest.h>

#include <boost/filesystem/operations.hpp>

#include "temporary_directory.h"
#include "transfer/batch.h"

using namespace ferry;
using namespace ferry::transfer;
using After = WorkQueue::After;
using Kind = Work::Kind;
using std::chrono::milliseconds;

namespace {

const WorkQueue::Time kNow{};

struct Fixture {
  testing::TemporaryDirectory journals;
  WorkQueue queue{journals.path()};
  Job small = job("small", 100);
  Job large = job("large", 3 * kMinChunkBytes);

  Fixture() {
    large.spread = std::make_unique<Spread>();
    for (const Range& range : cut_into_chunks({{0, 3 * kMinChunkBytes}}, kMinChunkBytes)) {
      large.spread->waiting.push_back(range);
    }
  }

  static Job job(const std::string& id, std::uint64_t size) {
    Job result;
    result.id = id;
    result.remote_path = "/in/" + id;
    result.source.identity.size = size;
    return result;
  }
  Work take(bool takes_chunks = true) {
    const auto next = queue.take(takes_chunks, kNow);
    REQUIRE(next.work);
    return *next.work;
  }
  bool has_work(bool takes_chunks = true, WorkQueue::Time now = kNow) {
    return queue.take(takes_chunks, now).work.has_value();
  }
  After complete(const Work& work) {
    return queue.complete(work, journal_key_of(*work.job, "b")).value();
  }
  Error error = make_error(ErrorKind::kDenied, "no");
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "each piece of work is given out once") {
  queue.add(small);
  queue.add(large);
  CHECK(take().range == Range{0, kMinChunkBytes});
  CHECK(take().range == Range{kMinChunkBytes, 2 * kMinChunkBytes});
  CHECK(take().range == Range{2 * kMinChunkBytes, 3 * kMinChunkBytes});
  CHECK(take().kind == Kind::kWhole);
  CHECK_FALSE(has_work());
}

TEST_CASE_FIXTURE(Fixture, "a lane that takes no chunks gets whole files only") {
  queue.add(large);
  queue.add(small);
  CHECK(take(false).job == &small);
  CHECK_FALSE(has_work(false));
  CHECK(has_work(true));
}

TEST_CASE_FIXTURE(Fixture, "who completes the last chunk finishes the file") {
  queue.add(large);
  const Work one = take();
  const Work two = take();
  const Work three = take();
  CHECK(complete(two) == After::kNothing);
  CHECK(complete(three) == After::kNothing);
  CHECK(complete(one) == After::kFinish);
}

TEST_CASE_FIXTURE(Fixture, "a completed chunk is in the journal") {
  queue.add(large);
  complete(take());
  const auto past = Journal::load(journals.path(), journal_key_of(large, "b"));
  CHECK(past.acknowledged.size() == kMinChunkBytes);
}

TEST_CASE_FIXTURE(Fixture, "a file whose chunks are all at B wants only to be finished") {
  large.spread->waiting.clear();
  queue.add(large);
  CHECK(take().kind == Kind::kFinish);
}

TEST_CASE_FIXTURE(Fixture, "what is put back is given out again, not before its time") {
  queue.add(large);
  const Work one = take();
  complete(take());
  complete(take());
  CHECK(queue.put_back(one, kNow + milliseconds(5)) == After::kNothing);
  const auto next = queue.take(true, kNow);
  CHECK_FALSE(next.work);
  CHECK(next.wait_until == kNow + milliseconds(5));
  const auto later = queue.take(true, kNow + milliseconds(5));
  REQUIRE(later.work);
  CHECK(later.work->range == one.range);
  CHECK(complete(*later.work) == After::kFinish);
}

TEST_CASE_FIXTURE(Fixture,
                  "a file that failed ends when nobody is at it any more, with its first error") {
  queue.add(large);
  const Work one = take();
  const Work two = take();
  CHECK(queue.abandon(one, error) == After::kNothing);
  CHECK_FALSE(has_work());
  SUBCASE("the other chunk succeeds") {
    CHECK(complete(two) == After::kEnd);
  }
  SUBCASE("the other chunk is put back") {
    CHECK(queue.put_back(two, kNow) == After::kEnd);
  }
  SUBCASE("the other chunk fails too") {
    CHECK(queue.abandon(two, make_error(ErrorKind::kIo, "late")) == After::kEnd);
  }
  CHECK(large.error->message == "no");
  CHECK_FALSE(has_work());
}

TEST_CASE_FIXTURE(Fixture, "a whole file that failed ends at once") {
  queue.add(small);
  CHECK(queue.abandon(take(), error) == After::kEnd);
}

TEST_CASE_FIXTURE(Fixture, "that the rename is asked for is noted where there is a journal") {
  queue.add(large);
  complete(take());
  REQUIRE(queue.note_publishing(large));
  CHECK(large.publishing);
  CHECK(Journal::load(journals.path(), journal_key_of(large, "b")).publishing);
  REQUIRE(queue.note_publishing(small));
  CHECK(small.publishing);
}

TEST_CASE_FIXTURE(Fixture,
                  "a journal that cannot be written is an error, and the chunk stays in hand") {
  queue.add(large);
  const Work one = take();
  fs::remove_all(journals.path());
  CHECK_FALSE(queue.complete(one, journal_key_of(large, "b")));
  CHECK(queue.abandon(one, error) == After::kEnd);
}

TEST_CASE_FIXTURE(Fixture, "losses count while nothing of the file gets through") {
  queue.add(large);
  CHECK(queue.count_loss(large) == 1);
  CHECK(queue.count_loss(large) == 2);
  complete(take());
  CHECK(queue.count_loss(large) == 1);
}

TEST_CASE_FIXTURE(Fixture, "an uploaded file wants only its name") {
  queue.add_finish(small);
  CHECK(take().kind == Kind::kFinish);
}
