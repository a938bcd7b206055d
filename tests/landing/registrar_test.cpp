#include "landing/register/registrar.h"

#include <doctest/doctest.h>

#include "ferry/base/log.h"
#include "landing/fake_metastore.h"
#include "landing/files.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;

namespace {

struct Recorder {
  FakeMetastore store;
  Mailbox mailbox;
  Pulse pulse;
  StopToken stop;
  Registrar registrar{store, {{.name = "in", .path = {}, .ignore = {}}}, false, stop, mailbox,
                      pulse};

  Recorder() { log::init(log::Level::kOff, log::Format::kText); }

  void hashed(int number) {
    Inspection inspection{.outcome = Inspection::Outcome::kHashed};
    inspection.identity.inode = static_cast<std::uint64_t>(number) + 1;
    registrar.record({.area = 0, .path = std::to_string(number), .inspection = inspection});
  }
};

}  // namespace

TEST_CASE_FIXTURE(Recorder,
                  "what comes while a group is written makes the next ones, 1000 at most") {
  store.close_gate();
  hashed(0);
  REQUIRE(store.somebody_waits());
  for (int i = 1; i <= 1'500; ++i) hashed(i);
  store.open_gate();
  registrar.finish();
  CHECK(store.groups() == 3);
  CHECK(registrar.inserted() == 1'501);
  CHECK(mailbox.take().finished.size() == 1'501);
}

TEST_CASE_FIXTURE(Recorder, "a single file does not wait for others") {
  hashed(0);
  registrar.finish();
  CHECK(store.groups() == 1);
}

TEST_CASE_FIXTURE(Recorder, "what cannot be registered is an error, and nothing more is tried") {
  store.fail(1, ErrorKind::kCorrupt);
  store.close_gate();
  hashed(0);
  REQUIRE(store.somebody_waits());
  hashed(1);
  store.open_gate();
  registrar.finish();
  CHECK(registrar.inserted() == 0);
  CHECK(mailbox.take().failure->error.kind == ErrorKind::kCorrupt);
}

namespace {

/// Records refused files, and is stopped before the registry has them; returns how many are left.
std::size_t left_by_a_stop(bool retry) {
  log::init(log::Level::kOff, log::Format::kText);
  const ferry::testing::TemporaryDirectory dir;
  FakeMetastore store;
  Mailbox mailbox;
  Pulse pulse;
  StopToken stop;
  const LandingArea area{.name = "in", .path = dir.path(), .ignore = {}};
  Registrar registrar(store, {area}, retry, stop, mailbox, pulse);
  store.close_gate();
  for (const std::string name : {"a", "b"}) {
    put(dir / name, "x");
    registrar.record({.area = 0,
                      .path = name,
                      .inspection = {.outcome = Inspection::Outcome::kRefused,
                                     .identity = identity(dir / name),
                                     .reason = "no"}});
  }
  REQUIRE(store.somebody_waits());
  stop.request_stop();
  store.open_gate();
  registrar.finish();
  CHECK(registrar.quarantined() + fs::exists(dir / "a") + fs::exists(dir / "b") == 2);
  CHECK(mailbox.take().finished.size() == 2);
  return static_cast<std::size_t>(fs::exists(dir / "a")) + fs::exists(dir / "b");
}

}  // namespace

TEST_CASE("a watcher that is asked to end moves nothing more aside, unless it runs once") {
  CHECK(left_by_a_stop(true) == 2);
  CHECK(left_by_a_stop(false) == 0);
}
