#include "transfer/run/tenure.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace ferry;
using namespace ferry::transfer;
using Tenure = metastore::AgentPresence::Tenure;

namespace {

class Presence : public metastore::AgentPresence {
 public:
  explicit Presence(Tenure tenure) : tenure_(tenure) {}
  const std::string& name() const override { return name_; }
  Tenure tenure() const override {
    ++asked;
    return tenure_;
  }
  void turn(Tenure tenure) { tenure_ = tenure; }

  mutable std::atomic<int> asked = 0;

 private:
  const std::string name_ = "host-1-x";
  std::atomic<Tenure> tenure_;
};

struct Fixture {
  StopToken stop;
  sftp::EventLoop loop{stop};

  Result<void> confirm(const Presence* presence) {
    return loop.wait_for(confirm_tenure(presence, loop));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "whoever holds its claims goes on at once, as does whoever has none") {
  Presence presence(Tenure::kHeld);
  CHECK(confirm(&presence));
  CHECK(presence.asked == 1);
  CHECK(confirm(nullptr));
}

TEST_CASE_FIXTURE(Fixture, "whoever has lost its claims does not go on") {
  Presence presence(Tenure::kLost);
  CHECK(confirm(&presence).error().kind == ErrorKind::kCancelled);
  CHECK(is_lost(&presence));
  CHECK_FALSE(is_lost(nullptr));
}

TEST_CASE_FIXTURE(Fixture, "whoever is not sure waits until it is") {
  Presence presence(Tenure::kUnsure);
  CHECK_FALSE(is_lost(&presence));
  const auto turns = [&](Tenure tenure) {
    return std::jthread([&presence, tenure] {
      while (presence.asked < 3) std::this_thread::yield();
      presence.turn(tenure);
    });
  };
  SUBCASE("of having them") {
    const auto other = turns(Tenure::kHeld);
    CHECK(confirm(&presence));
  }
  SUBCASE("of having lost them") {
    const auto other = turns(Tenure::kLost);
    CHECK_FALSE(confirm(&presence));
  }
  SUBCASE("or is stopped") {
    const std::jthread other([&] {
      while (presence.asked < 3) std::this_thread::yield();
      stop.request_stop();
    });
    CHECK(confirm(&presence).error().kind == ErrorKind::kCancelled);
  }
}
