#include "landing/watch/settle.h"

#include <doctest/doctest.h>

using namespace ferry::landing;
using namespace std::chrono_literals;
using ferry::FileIdentity;

namespace {

const TimePoint kStart = TimePoint() + 1h;

FileIdentity version(std::uint64_t size) {
  return {.device = 1, .inode = 2, .size = size};
}

struct Queue : SettleQueue {
  std::vector<std::string> due(Duration at, std::size_t limit = 100) {
    std::vector<std::string> paths;
    for (auto& item : take(kStart + at, limit)) paths.push_back(item.path);
    return paths;
  }
  void notice_at(Duration at, const std::string& path) { notice(path, kStart + at); }
  void finished_at(Duration at, const std::string& path) { finished(path, kStart + at); }
  void written_at(Duration at, const std::string& path, std::uint64_t size = 1) {
    unsettled(path, version(size), std::nullopt, kStart + at);
  }
};

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("a path is due when it is noticed, in the order of notice") {
  Queue queue;
  queue.notice_at(0s, "b");
  queue.notice_at(0s, "a");
  CHECK(queue.next_due() == kStart);
  CHECK(queue.due(0s) == Paths{"b", "a"});
}

TEST_CASE("repeated notices are one look") {
  Queue queue;
  for (int i = 0; i < 5; ++i) queue.notice_at(0s, "a");
  CHECK(queue.due(0s) == Paths{"a"});
}

TEST_CASE("no more are taken than asked for") {
  Queue queue;
  queue.notice_at(0s, "a");
  queue.notice_at(0s, "b");
  CHECK(queue.due(0s, 1) == Paths{"a"});
  CHECK(queue.fresh() == 1);
  CHECK(queue.in_flight() == 1);
}

TEST_CASE(
    "a notice for later waits; an earlier one brings it forward, a later one does not delay") {
  Queue queue;
  queue.notice_at(100ms, "a");
  CHECK(queue.due(99ms).empty());
  queue.notice_at(50ms, "a");
  queue.notice_at(500ms, "a");
  CHECK(queue.due(50ms) == Paths{"a"});
}

TEST_CASE("a finished path is forgotten") {
  Queue queue;
  queue.notice_at(0s, "a");
  queue.due(0s);
  queue.finished_at(1s, "a");
  CHECK(queue.empty());
}

TEST_CASE("what is noticed while in flight is looked at again, and never twice at once") {
  Queue queue;
  queue.notice_at(0s, "a");
  queue.due(0s);
  queue.notice_at(1s, "a");
  CHECK(queue.due(1s).empty());
  queue.finished_at(2s, "a");
  CHECK(queue.due(2s) == Paths{"a"});
  queue.finished_at(3s, "a");
  CHECK(queue.empty());
}

TEST_CASE(
    "a file that is still being written is tried again, less and less often, at most 2 s apart") {
  Queue queue;
  queue.notice_at(0s, "a");
  Duration at = 0s;
  for (const Duration pause : {100ms, 200ms, 400ms, 800ms, 1600ms, 2000ms, 2000ms}) {
    CHECK(queue.due(at) == Paths{"a"});
    queue.written_at(at, "a");
    at += pause;
    CHECK(queue.due(at - 1ms).empty());
  }
}

TEST_CASE("an event cuts a back-off short") {
  Queue queue;
  queue.notice_at(0s, "a");
  queue.due(0s);
  queue.written_at(0s, "a");
  queue.notice_at(10ms, "a");
  CHECK(queue.due(10ms) == Paths{"a"});
}

TEST_CASE("an event during the look leads to another one at once") {
  Queue queue;
  queue.notice_at(0s, "a");
  queue.due(0s);
  queue.notice_at(1ms, "a");
  queue.written_at(2ms, "a");
  CHECK(queue.due(2ms) == Paths{"a"});
}

TEST_CASE("a wait that is known is kept exactly") {
  Queue queue;
  queue.notice_at(0s, "a");
  queue.due(0s);
  queue.unsettled("a", version(1), 700ms, kStart);
  CHECK(queue.next_due() == kStart + 700ms);
}

TEST_CASE("a sighting lasts as long as the identity stays the same") {
  Queue queue;
  queue.notice_at(0s, "a");
  CHECK_FALSE(queue.take(kStart, 1).at(0).sighting);
  queue.written_at(0s, "a", 1);
  CHECK(queue.take(kStart + 1s, 1).at(0).sighting->since == kStart);
  queue.written_at(1s, "a", 1);
  CHECK(queue.take(kStart + 3s, 1).at(0).sighting->since == kStart);
  queue.written_at(3s, "a", 2);
  CHECK(queue.take(kStart + 5s, 1).at(0).sighting->since == kStart + 3s);
}

TEST_CASE("it is known how long a path has been unsettled") {
  Queue queue;
  queue.notice_at(0s, "a");
  queue.due(0s);
  CHECK(queue.unsettled_for("a", kStart + 1s) == 0s);
  queue.written_at(1s, "a", 1);
  queue.due(2s);
  queue.written_at(2s, "a", 2);
  queue.due(4s);
  CHECK(queue.unsettled_for("a", kStart + 4s) == 3s);
}

TEST_CASE("what is taken back is due at once, once more") {
  Queue queue;
  queue.notice_at(0s, "flying");
  queue.due(0s);
  queue.notice_at(0s, "flying");
  queue.notice_at(5s, "waiting");
  queue.take_back(kStart + 1s);
  CHECK(queue.in_flight() == 0);
  CHECK(queue.due(1s) == Paths{"flying"});
  queue.finished_at(2s, "flying");
  CHECK(queue.due(5s) == Paths{"waiting"});
}

TEST_CASE("clear forgets what waits; what is in flight ends without another look") {
  Queue queue;
  queue.notice_at(0s, "flying");
  queue.due(0s);
  queue.notice_at(0s, "flying");
  queue.notice_at(0s, "waiting");
  queue.clear();
  CHECK(queue.in_flight() == 1);
  queue.finished_at(1s, "flying");
  CHECK(queue.empty());
}

TEST_CASE("quiet: the file's own times count where they are trusted") {
  CHECK(quiet_delay(2s, 5s, 0s) == 0s);
  CHECK(quiet_delay(2s, 500ms, 0s) == 1500ms);
  CHECK(quiet_delay(2s, std::nullopt, 0s) == 2s);
}

TEST_CASE("quiet: what was seen counts always") {
  CHECK(quiet_delay(2s, std::nullopt, 1500ms) == 500ms);
  CHECK(quiet_delay(2s, 0s, 2s) == 0s);
}

TEST_CASE("quiet: a file whose clock is ahead of ours waits one period, not until that day") {
  CHECK(quiet_delay(2s, -24h, 0s) == 2s);
  CHECK(quiet_delay(2s, -24h, 2s) == 0s);
}

TEST_CASE("what was looked at and waits again is not fresh") {
  Queue queue;
  for (const char* path : {"a", "b", "c"}) queue.notice_at(0s, path);
  CHECK(queue.fresh() == 3);
  queue.due(0s);
  CHECK(queue.fresh() == 0);
  queue.written_at(0s, "a");
  CHECK(queue.fresh() == 0);
  queue.notice_at(0s, "b");
  queue.finished_at(0s, "b");
  CHECK(queue.fresh() == 1);
  queue.clear();
  CHECK(queue.fresh() == 0);
}

TEST_CASE("the more paths are unsettled, the longer each waits") {
  Queue queue;
  constexpr int kPaths = 5'000;
  for (int i = 0; i < kPaths; ++i) queue.notice_at(0s, std::to_string(i));
  for (Duration at = 0s; at < 2min; at = *queue.next_due() - kStart) {
    for (const std::string& path : queue.due(at, kPaths)) queue.written_at(at, path);
  }
  int looks = 0;
  for (Duration at = 2min; at < 3min; at = *queue.next_due() - kStart) {
    for (const std::string& path : queue.due(at, kPaths)) {
      ++looks;
      queue.written_at(at, path);
    }
  }
  CHECK(looks <= 66'000);
}

TEST_CASE("what is set aside makes room, and comes back like anything in flight") {
  Queue queue;
  for (const char* path : {"a", "b"}) queue.notice_at(0s, path);
  queue.due(0s);
  queue.set_aside("a");
  queue.set_aside("a");
  queue.set_aside("nobody");
  CHECK(queue.in_flight() == 1);
  queue.notice_at(1s, "a");
  queue.finished_at(2s, "a");
  CHECK(queue.due(2s) == Paths{"a"});
  CHECK(queue.in_flight() == 2);
  queue.set_aside("a");
  queue.give_up("a");
  CHECK(queue.in_flight() == 1);
  queue.set_aside("b");
  queue.take_back(kStart + 3s);
  CHECK(queue.due(3s) == Paths{"b"});
  CHECK(queue.in_flight() == 1);
}
