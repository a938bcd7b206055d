#include "transfer/deliver/work_queue.h"

#include <doctest/doctest.h>

#include <boost/filesystem/operations.hpp>
#include <thread>

#include "temporary_directory.h"
#include "transfer/batch/batch.h"

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
    large.part.path = "/in/.large.part";
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
  /// With its chunks, as if nothing of it was at B.
  void add_large() {
    queue.add(large);
    const Work plan = take(false);
    REQUIRE(plan.kind == Kind::kPlan);
    queue.add_planned(plan);
  }
  static std::shared_ptr<SessionTask> task() { return std::make_shared<SessionTask>(); }
  Work take(bool takes_chunks = true) {
    const auto next = look(takes_chunks);
    REQUIRE(next.work);
    return *next.work;
  }
  WorkQueue::Next look(bool takes_chunks = true, WorkQueue::Time now = kNow) {
    return queue.take(takes_chunks, now, this, [this] { ++changes; });
  }
  bool has_work(bool takes_chunks = true, WorkQueue::Time now = kNow) {
    return look(takes_chunks, now).work.has_value();
  }
  Result<void> note(const Work& chunk, Range range, std::optional<std::uint32_t> modified = {}) {
    return queue.note(
        *chunk.job, {.ranges = std::span(&range, 1), .is_synced = true, .modified = modified}, "b");
  }
  After complete(const Work& chunk) {
    CHECK(note(chunk, chunk.range));
    return queue.complete(chunk);
  }
  std::uint64_t noted() {
    const auto past = Journal::load(journals.path(), journal_key_of(large, "b"));
    return past ? past->acknowledged.size() : 0;
  }
  unsigned changes = 0;
  Error error = make_error(ErrorKind::kDenied, "no");
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "of a large file somebody finds out first how much B has") {
  queue.add(large);
  const Work plan = take(false);
  CHECK(plan.kind == Kind::kPlan);
  CHECK_FALSE(has_work());
  SUBCASE("some of it") {
    large.spread->waiting.pop_front();
    queue.add_planned(plan);
    CHECK(take().range == Range{kMinChunkBytes, 2 * kMinChunkBytes});
  }
  SUBCASE("all of it") {
    large.spread->waiting.clear();
    queue.add_planned(plan);
    CHECK(take().kind == Kind::kFinish);
  }
  SUBCASE("it goes out in one go") {
    large.spread.reset();
    queue.add_planned(plan);
    CHECK(take().kind == Kind::kWhole);
  }
  SUBCASE("nobody can tell now") {
    CHECK(queue.put_back(plan, kNow) == After::kNothing);
    CHECK(take(false).kind == Kind::kPlan);
  }
  SUBCASE("it has failed") {
    large.spread.reset();
    CHECK(queue.abandon(plan, error) == After::kEnd);
    CHECK(look().is_over);
  }
}

TEST_CASE_FIXTURE(Fixture, "a part that is older or shorter than what was noted is doubtful") {
  add_large();
  const Work chunk = take();
  const auto check = [&](std::uint64_t size, std::uint32_t modified) {
    CHECK(queue.check_part(large, {.size = size, .permissions = {}, .modified = modified}, "b"));
    return large.part.is_doubtful;
  };
  CHECK_FALSE(queue.has_acknowledged(large));
  CHECK_FALSE(check(0, 1));
  REQUIRE(note(chunk, {0, 100}, 1700000010));
  REQUIRE(note(chunk, {100, 200}, 1700000007));
  CHECK(queue.has_acknowledged(large));
  CHECK_FALSE(check(200, 1700000011));
  CHECK_FALSE(check(300, 1700000008));
  SUBCASE("older") {
    CHECK(check(200, 1700000007));
  }
  SUBCASE("shorter") {
    CHECK(check(199, 1700000011));
  }
  INFO("for later runs as well");
  CHECK(Journal::load(journals.path(), journal_key_of(large, "b"))->is_doubtful);
}

TEST_CASE_FIXTURE(Fixture, "each piece of work is given out once") {
  add_large();
  queue.add(small);
  CHECK(take().range == Range{0, kMinChunkBytes});
  CHECK(take().range == Range{kMinChunkBytes, 2 * kMinChunkBytes});
  CHECK(take().range == Range{2 * kMinChunkBytes, 3 * kMinChunkBytes});
  CHECK(take().kind == Kind::kWhole);
  CHECK_FALSE(has_work());
}

TEST_CASE_FIXTURE(Fixture, "a lane that takes no chunks gets whole files only") {
  add_large();
  queue.add(small);
  CHECK(take(false).job == &small);
  CHECK_FALSE(has_work(false));
  CHECK(has_work(true));
}

TEST_CASE_FIXTURE(Fixture, "once the last chunk is complete the file is to be finished, once") {
  add_large();
  const Work one = take();
  const Work two = take();
  const Work three = take();
  complete(two);
  complete(three);
  CHECK_FALSE(has_work());
  complete(one);
  CHECK(take().kind == Kind::kFinish);
  CHECK_FALSE(has_work());
}

TEST_CASE_FIXTURE(Fixture, "a completed chunk is in the journal") {
  add_large();
  complete(take());
  CHECK(noted() == kMinChunkBytes);
}

TEST_CASE_FIXTURE(Fixture, "a file whose chunks are all at B wants only to be finished") {
  large.spread->waiting.clear();
  large.spread->acknowledged.add({0, 3 * kMinChunkBytes});
  add_large();
  CHECK(take().kind == Kind::kFinish);
}

TEST_CASE_FIXTURE(Fixture, "what is put back is given out again, not before its time") {
  add_large();
  const Work one = take();
  complete(take());
  complete(take());
  CHECK(queue.put_back(one, kNow + milliseconds(5)) == After::kNothing);
  const auto next = look();
  CHECK_FALSE(next.work);
  CHECK(next.wait_until == kNow + milliseconds(5));
  const auto later = look(true, kNow + milliseconds(5));
  REQUIRE(later.work);
  CHECK(later.work->range == one.range);
}

TEST_CASE_FIXTURE(Fixture, "who takes no chunks does not wait for one that is delayed") {
  add_large();
  const Work chunk = take();
  queue.put_back(chunk, kNow);
  CHECK_FALSE(look(false, kNow + milliseconds(1)).wait_until);
  queue.add(small);
  queue.put_back(take(false), kNow + milliseconds(7));
  CHECK(look(false, kNow + milliseconds(1)).wait_until == kNow + milliseconds(7));
}

TEST_CASE_FIXTURE(Fixture,
                  "of a chunk that is put back only what was not noted is given out again") {
  add_large();
  const Work one = take();
  CHECK(note(one, {0, 100}));
  queue.put_back(one, kNow);
  const Work again = take();
  CHECK(again.range == Range{100, kMinChunkBytes});
  CHECK(noted() == 100);
}

TEST_CASE_FIXTURE(Fixture, "a chunk that is put back though all of it was noted is done") {
  add_large();
  complete(take());
  complete(take());
  const Work last = take();
  CHECK(note(last, last.range));
  queue.put_back(last, kNow);
  CHECK(take().kind == Kind::kFinish);
}

TEST_CASE_FIXTURE(Fixture, "it is over when nothing waits and nobody has anything in hand") {
  CHECK(look().is_over);
  queue.add(small);
  const Work work = take();
  CHECK_FALSE(look().is_over);
  SUBCASE("it is done") {
    queue.done(work);
  }
  SUBCASE("it failed") {
    queue.abandon(work, error);
  }
  CHECK(changes == 1);
  CHECK(look().is_over);
}

TEST_CASE_FIXTURE(Fixture, "it is not over while somebody may add more") {
  queue.expect();
  queue.expect();
  CHECK_FALSE(look().is_over);
  queue.add(small);
  CHECK(changes == 1);
  queue.done(take());
  CHECK_FALSE(look().is_over);
  queue.expect_no_more();
  CHECK(changes == 2);
  CHECK_FALSE(look().is_over);
  queue.expect_no_more();
  CHECK(look().is_over);
}

TEST_CASE_FIXTURE(Fixture, "who waits is told once, and not any more when it has gone") {
  queue.expect();
  look();
  look();
  queue.add(small);
  CHECK(changes == 1);
  take();
  look();
  queue.forget(this);
  queue.add(large);
  CHECK(changes == 1);
}

TEST_CASE_FIXTURE(Fixture, "a file of which nothing is at B after all goes out anew") {
  add_large();
  complete(take());
  complete(take());
  complete(take());
  queue.start_over(take());
  const Work first = take();
  CHECK(first.kind == Kind::kChunk);
  CHECK(first.range.begin == 0);
  CHECK(large.spread->acknowledged.size() == 0);
  RangeSet again;
  again.add(first.range);
  for (auto next = look(); next.work; next = look()) again.add(next.work->range);
  CHECK(again.covers({0, 3 * kMinChunkBytes}));
}

TEST_CASE_FIXTURE(Fixture,
                  "a file that failed ends when nobody is at it any more, with its first error") {
  add_large();
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

TEST_CASE_FIXTURE(Fixture, "that the rename is asked for is noted if there is a journal") {
  add_large();
  complete(take());
  REQUIRE(queue.note_rename_asked(large));
  CHECK(large.part.rename_asked);
  CHECK(Journal::load(journals.path(), journal_key_of(large, "b"))->rename_asked);
  REQUIRE(queue.note_rename_asked(small));
  CHECK(small.part.rename_asked);
}

TEST_CASE_FIXTURE(Fixture,
                  "a journal that cannot be written is an error, and the chunk stays in hand") {
  add_large();
  const Work one = take();
  fs::remove_all(journals.path());
  REQUIRE(replace_file(journals.path(), "no directory"));
  CHECK_FALSE(note(one, one.range));
  CHECK(queue.abandon(one, error) == After::kEnd);
}

TEST_CASE_FIXTURE(Fixture, "losses count while nothing of the file gets through") {
  add_large();
  CHECK(queue.count_loss(large, true) == 1);
  CHECK(queue.count_loss(large, true) == 2);
  complete(take());
  CHECK(queue.count_loss(large, true) == 1);
}

// What is no file's.

TEST_CASE_FIXTURE(Fixture, "a task goes before files") {
  queue.add(small);
  const auto wanted = task();
  queue.add_task(wanted);
  const Work work = take(false);
  CHECK(work.kind == Kind::kTask);
  CHECK(work.task == wanted);
  queue.done(work);
  CHECK(take(false).job == &small);
}

TEST_CASE_FIXTURE(Fixture, "a task goes before the chunks of a file, too") {
  add_large();
  queue.add_task(task());
  CHECK(take().kind == Kind::kTask);
}

TEST_CASE_FIXTURE(Fixture, "a task that is put back is given out again, not before its time") {
  queue.add_task(task());
  const Work work = take();
  CHECK(queue.put_back(work, kNow + milliseconds(5)) == After::kNothing);
  CHECK(look().wait_until == kNow + milliseconds(5));
  CHECK_FALSE(look().is_over);
  CHECK(look(false, kNow + milliseconds(5)).work->task == work.task);
}

TEST_CASE_FIXTURE(Fixture, "it is not over while somebody is at a task") {
  queue.add_task(task());
  const Work work = take();
  CHECK_FALSE(look().is_over);
  queue.done(work);
  CHECK(changes == 1);
  CHECK(look().is_over);
}

// How much there is.

TEST_CASE_FIXTURE(Fixture, "who adds files is told when few are left") {
  std::vector<Job> jobs(4);
  std::size_t told = 0;
  queue.on_low(1, [&] { ++told; });
  for (Job& job : jobs) queue.add(job);
  CHECK(queue.backlog() == 4);
  take();
  take();
  CHECK(told == 0);
  take();
  CHECK(told == 1);
  CHECK(queue.backlog() == 1);
  take();
  CHECK(told == 2);
  CHECK(queue.backlog() == 0);
}

TEST_CASE_FIXTURE(Fixture,
                  "a file that is in chunks is one of the backlog until the last is taken") {
  add_large();
  CHECK(queue.backlog() == 1);
  take();
  take();
  CHECK(queue.backlog() == 1);
  take();
  CHECK(queue.backlog() == 0);
}

TEST_CASE_FIXTURE(Fixture, "progress counts bytes and files, and what B has already") {
  queue.add(small);
  CHECK(queue.progress().total == kFileCost + 100);
  CHECK(queue.progress().done == 0);
  queue.add_done_bytes(100);
  queue.add_done_file();
  CHECK(queue.progress().done == queue.progress().total);
  large.spread->acknowledged.add({0, kMinChunkBytes});
  large.spread->waiting.pop_front();
  queue.done(take());
  add_large();
  CHECK(queue.progress().total == 2 * kFileCost + 100 + 3 * kMinChunkBytes);
  CHECK(queue.progress().done == kFileCost + 100 + kMinChunkBytes);
}

TEST_CASE_FIXTURE(Fixture, "what is foreseen counts until there is more") {
  queue.foresee(1000);
  CHECK(queue.progress().total == 1000);
  queue.add(small);
  CHECK(queue.progress().total == kFileCost + 100);
  queue.add_done_bytes(100);
  INFO("it is what is left");
  queue.foresee(10 * kFileCost);
  CHECK(queue.progress().total == 10 * kFileCost + 100);
}

// Waiting without a connection.

TEST_CASE_FIXTURE(Fixture, "who waits for work waits until there is some, or will be none") {
  const auto always = [] { return true; };
  CHECK_FALSE(queue.wait_for_work(always));
  queue.add(small);
  CHECK(queue.wait_for_work(always));
  const Work work = take();
  CHECK_FALSE(queue.wait_for_work([] { return false; }));
  SUBCASE("the last of it is handed in") {
    std::jthread other([&] { queue.done(work); });
    CHECK_FALSE(queue.wait_for_work(always));
  }
  SUBCASE("it is put back, for now") {
    std::jthread other([&] { queue.put_back(work, kNow); });
    CHECK(queue.wait_for_work(always));
  }
  SUBCASE("it is put back, for later") {
    const auto time = std::chrono::steady_clock::now() + milliseconds(20);
    queue.put_back(work, time);
    CHECK(queue.wait_for_work(always));
    CHECK(std::chrono::steady_clock::now() >= time);
  }
  SUBCASE("somebody adds more") {
    queue.expect();
    queue.done(work);
    std::jthread other([&] { queue.add(small); });
    CHECK(queue.wait_for_work(always));
  }
  SUBCASE("nobody adds more") {
    queue.expect();
    queue.done(work);
    std::jthread other([&] { queue.expect_no_more(); });
    CHECK_FALSE(queue.wait_for_work(always));
  }
}
