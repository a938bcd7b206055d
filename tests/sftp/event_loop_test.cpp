#include "ferry/sftp/event_loop.h"

#include <doctest/doctest.h>

#include <future>
#include <string>

using namespace ferry;
using namespace ferry::sftp;
using std::chrono::milliseconds;

namespace {

using Clock = EventLoop::Clock;

struct Fixture {
  StopToken stop;
  EventLoop loop{stop};
  std::string log;

  Task<void> note_after(EventLoop::Time time, char what) {
    co_await loop.sleep_until(time);
    log.push_back(what);
  }
};

/// Something with no descriptor that counts how often it is served.
struct Counter final : EventLoop::Source {
  unsigned served = 0;
  bool serve() override {
    ++served;
    return false;
  }
  EventLoop::Time add_poll_fds(std::vector<pollfd>&) override { return Clock::now(); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "tasks sleep side by side, and wake in the order of their times") {
  const auto now = Clock::now();
  loop.spawn(note_after(now + milliseconds(20), 'b'));
  loop.spawn(note_after(now + milliseconds(10), 'a'));
  loop.run();
  CHECK(log == "ab");
  CHECK(Clock::now() >= now + milliseconds(20));
}

TEST_CASE_FIXTURE(Fixture,
                  "a task that is always due does not keep a connection from being served") {
  Counter connection;
  loop.add(connection);
  const auto busy = [](EventLoop& self, const Counter& counter) -> Task<void> {
    while (counter.served < 10) co_await self.sleep_until(Clock::now() - milliseconds(1));
  };
  loop.spawn(busy(loop, connection));
  loop.run();
  CHECK(connection.served >= 10);
  loop.remove(connection);
}

TEST_CASE_FIXTURE(Fixture, "tasks that only keep each other busy show as idle") {
  const auto busy = [](EventLoop& self) -> Task<void> {
    while (self.idle_time() < milliseconds(50)) {
      co_await self.sleep_until(Clock::now() - milliseconds(1));
    }
  };
  loop.spawn(busy(loop));
  loop.run();
  INFO("and a loop that does not run is not idle");
  CHECK(loop.idle_time() == milliseconds(0));
}

TEST_CASE_FIXTURE(Fixture, "a loop that waits is not idle") {
  const auto wait = [](EventLoop& self) -> Task<void> {
    co_await self.sleep_until(Clock::now() + milliseconds(100));
    CHECK(self.idle_time() < milliseconds(50));
  };
  loop.spawn(wait(loop));
  loop.run();
}

TEST_CASE_FIXTURE(Fixture, "a stop wakes who sleeps and who waits for a condition") {
  Condition never(loop);
  const auto wait = [](Condition& condition, std::string& notes) -> Task<void> {
    co_await condition.wait();
    notes.push_back('c');
  };
  const auto ask = [](EventLoop& self, StopToken& token) -> Task<void> {
    co_await self.sleep_until(Clock::now() + milliseconds(1));
    token.request_stop();
  };
  loop.spawn(wait(never, log));
  loop.spawn(note_after(Clock::now() + std::chrono::hours(1), 's'));
  loop.spawn(ask(loop, stop));
  loop.run();
  CHECK(log.size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "who waits for a condition is woken by it, or when the time has come") {
  Condition condition(loop);
  const auto wait = [](Condition& changed, std::optional<EventLoop::Time> until, std::string& notes,
                       char what) -> Task<void> {
    co_await changed.wait(until);
    notes.push_back(what);
  };
  loop.spawn(wait(condition, Clock::now() + milliseconds(1), log, 't'));
  const auto notify = [](EventLoop& self, Condition& changed) -> Task<void> {
    co_await self.sleep_until(Clock::now() + milliseconds(20));
    changed.notify_all();
    changed.notify_all();
  };
  loop.spawn(wait(condition, {}, log, 'n'));
  loop.spawn(notify(loop, condition));
  loop.run();
  CHECK(log == "tn");
}

TEST_CASE_FIXTURE(Fixture, "what a thread works out comes back to the task, which others outrun") {
  const auto compute = [](EventLoop& self, std::string& notes) -> Task<void> {
    std::promise<void> go;
    auto waiting = go.get_future().share();
    self.post([&go] { go.set_value(); });
    auto running = self.in_thread([waiting] {
      waiting.wait();
      return std::string("done");
    });
    const std::string result = co_await running;
    notes += result;
  };
  loop.spawn(compute(loop, log));
  loop.run();
  CHECK(log == "done");
}

TEST_CASE_FIXTURE(Fixture, "a group is waited for whole, also after a stop") {
  const auto work = [](EventLoop& self, std::string& notes) -> Task<void> {
    TaskGroup group(self);
    const auto lane = [](EventLoop& loop_of_lane, std::string& out) -> Task<void> {
      auto running = loop_of_lane.in_thread([] { return 1; });
      const int answer = co_await running;
      out.push_back(static_cast<char>('0' + answer));
    };
    for (int i = 0; i < 3; ++i) group.spawn(lane(self, notes));
    co_await group;
    notes.push_back('.');
  };
  stop.request_stop();
  loop.spawn(work(loop, log));
  loop.run();
  CHECK(log == "111.");
}
